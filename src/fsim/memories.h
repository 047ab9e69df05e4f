// The limits of the memories of one program, and what has been written to them.
#ifndef ZEBRA_FSIM_MEMORIES_H_
#define ZEBRA_FSIM_MEMORIES_H_

#include <cstddef>
#include <cstdint>

#include "fsim/bitmap.h"
#include "fsim/footprint.h"
#include "zebra/isa.h"
#include "zebra/simulator.h"

namespace zebra::fsim {

constexpr std::size_t kMemories = 6;

// It borrows the sizes and the program. The inputs count as written.
struct Memories {
  Memories(const HwSizes& hw, const Program& contract);

  // Entries of a memory (DRAM: bytes).
  std::uint64_t capacity(isa::Memory memory) const;

  // Whether everything in `footprint`, which lies inside `memory`, was written; else `*missing` is
  // an address that was not.
  bool written(isa::Memory memory, const Footprint& footprint, std::uint64_t* missing) const;

  // Record that everything in `footprint` is written.
  void mark(isa::Memory memory, const Footprint& footprint);

  // The same for a span of DRAM, which may be empty.
  bool written_span(const Span& span, std::uint64_t* missing) const;
  void mark_span(const Span& span);

  const HwSizes& sizes;
  const Program& program;

 private:
  // Indexed by isa::Memory; DRAM's begins behind the constants.
  Bitmap written_[kMemories];
};

}  // namespace zebra::fsim

#endif  // ZEBRA_FSIM_MEMORIES_H_
