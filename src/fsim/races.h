// Whether tokens order every two conflicting accesses of different engines.
#ifndef ZEBRA_FSIM_RACES_H_
#define ZEBRA_FSIM_RACES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/zeros.h"
#include "fsim/insn.h"
#include "fsim/memories.h"
#include "fsim/operand.h"
#include "fsim/tokens.h"

namespace zebra::fsim {

// Per engine, how many of its instructions are known to be done.
using Clock = std::array<std::uint32_t, kEngines>;

// Vector clocks of the engines and, per memory entry, each engine's last accesses. An instruction
// of engine X knows that the n-th instruction of Y is done if a chain of tokens and queue order
// leads from there to it: its clock[Y] >= n. As an engine works in order, knowing its last access
// to an entry done is enough.
class Races {
 public:
  explicit Races(const Memories& memories) : memories_(memories) {}

  // The next instruction, of `engine`, which takes the tokens that `wait` names; they are there.
  void enter(const Site& site, isa::Engine engine, std::uint32_t wait);

  // Throws an Error (kTokenError) for an access of that instruction that is not ordered after an
  // earlier conflicting one; else remembers the accesses.
  void access(const Site& site, isa::Engine engine, const Operands& touched);

  // Give the tokens that it signals.
  void give(isa::Engine engine, std::uint32_t signal);

 private:
  // One engine's last reads, or last writes, of every entry of one memory, counted from 1.
  struct History {
    Zeros<std::uint32_t> last;
    std::uint32_t latest = 0;
  };
  struct Queue {
    std::vector<Clock> given;
    std::size_t taken = 0;
  };

  void check(const Site& site, std::size_t engine, const Operand& operand) const;
  void note(std::size_t engine, const Operand& operand);
  [[noreturn]] void refuse_race(const Site& site, std::size_t engine, const Operand& operand,
                                std::size_t other, Use use, std::uint64_t address) const;
  std::uint64_t below(isa::Memory memory) const;

  const Memories& memories_;
  Clock clocks_[kEngines] = {};
  Queue queues_[kEngines][kEngines];  // [giver][taker]
  std::vector<Site> sites_[kEngines];
  History histories_[kMemories][kEngines][2];  // [][][Use]
};

}  // namespace zebra::fsim

#endif  // ZEBRA_FSIM_RACES_H_
