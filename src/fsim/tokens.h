// Dependency tokens: one count from every engine to every other.
#ifndef ZEBRA_FSIM_TOKENS_H_
#define ZEBRA_FSIM_TOKENS_H_

#include <cstddef>
#include <cstdint>

#include "fsim/insn.h"

namespace zebra::fsim {

constexpr std::size_t kEngines = 4;

const char* name_of(isa::Engine engine);

class Tokens {
 public:
  // Take one token from each engine in `mask`; throws an Error (kTokenError) if one has none.
  void take(const Site& site, isa::Engine taker, std::uint32_t mask);

  // Give one token to each engine in `mask`.
  void give(isa::Engine giver, std::uint32_t mask);

  // Throws an Error (kTokenError) if a token is left.
  void check_empty() const;

 private:
  std::uint64_t counts_[kEngines][kEngines] = {};  // [giver][taker]
};

}  // namespace zebra::fsim

#endif  // ZEBRA_FSIM_TOKENS_H_
