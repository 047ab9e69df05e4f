// What an instruction touches, as the generic checks need it.
#ifndef ZEBRA_FSIM_OPERAND_H_
#define ZEBRA_FSIM_OPERAND_H_

#include <cstddef>
#include <cstdint>

#include "fsim/footprint.h"
#include "zebra/isa.h"

namespace zebra::fsim {

enum class Use { kRead, kWrite };

// One operand of one instruction: the addresses it reads or writes, merged.
struct Operand {
  const char* name;
  isa::Memory memory;
  Use use;
  Footprint footprint;
};

// The operands of one instruction, reads first.
class Operands {
 public:
  void read(const char* name, isa::Memory memory, const Footprint& footprint) {
    items_[count_++] = {name, memory, Use::kRead, footprint.merged()};
  }
  void write(const char* name, isa::Memory memory, const Footprint& footprint) {
    items_[count_++] = {name, memory, Use::kWrite, footprint.merged()};
  }
  const Operand* begin() const { return items_; }
  const Operand* end() const { return items_ + count_; }

 private:
  static constexpr std::size_t kMost = 5;  // POST: a, par, b, table, dst
  Operand items_[kMost];
  std::size_t count_ = 0;
};

// The addresses of a nest: `base`, and of every level the extent with one of its strides.
template <typename Level, std::size_t N>
Footprint footprint_of(std::uint32_t base, const Level (&loops)[N], std::uint32_t Level::* stride) {
  Footprint footprint(base);
  for (const Level& level : loops) footprint.add(level.extent, level.*stride);
  return footprint;
}

}  // namespace zebra::fsim

#endif  // ZEBRA_FSIM_OPERAND_H_
