// The memories of one run and what has been written to them.
#ifndef ZEBRA_FSIM_MACHINE_H_
#define ZEBRA_FSIM_MACHINE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

#include "fsim/bitmap.h"
#include "fsim/footprint.h"
#include "fsim/kernels.h"
#include "zebra/isa.h"
#include "zebra/simulator.h"

namespace zebra::fsim {

// An uninitialised array that starts on a cache line.
template <typename T>
class Array {
 public:
  explicit Array(std::size_t count)
      : data_(static_cast<T*>(::operator new(count * sizeof(T), kAlignment))) {}
  T* data() const { return data_.get(); }

 private:
  static constexpr std::align_val_t kAlignment{64};
  struct Free {
    void operator()(T* data) const { ::operator delete(data, kAlignment); }
  };
  std::unique_ptr<T, Free> data_;
};

// ACT holds its int8 as x + 128: what VNNI's unsigned operand wants. WGT holds tiles as
// [input lane / 4][output lane][input lane % 4]: four products per 32-bit accumulator lane.
struct Machine {
  Machine(const HwSizes& hw, const Program& contract, std::uint8_t* memory, unsigned thread_count,
          const Kernels& kernel_set);

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
  std::uint8_t* const dram;
  const unsigned threads;
  const Kernels& kernels;
  Array<std::uint8_t> act;
  Array<std::int8_t> wgt;
  Array<std::int32_t> acc;
  Array<std::int32_t> par;
  Array<std::int8_t> tab;

 private:
  // Indexed by isa::Memory; DRAM's begins behind the constants.
  Bitmap written_[6];
};

}  // namespace zebra::fsim

#endif  // ZEBRA_FSIM_MACHINE_H_
