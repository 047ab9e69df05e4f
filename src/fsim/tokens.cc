#include "fsim/tokens.h"

namespace zebra::fsim {
namespace {

std::size_t index(isa::Engine engine) { return static_cast<std::size_t>(engine); }

const char* engine_name(std::size_t i) { return name_of(static_cast<isa::Engine>(i)); }

}  // namespace

const char* name_of(isa::Engine engine) {
  static constexpr const char* kNames[kEngines] = {"LOAD", "GEMM", "VEC", "STORE"};
  return kNames[index(engine)];
}

void Tokens::take(const Site& site, isa::Engine taker, std::uint32_t mask) {
  for (std::size_t giver = 0; giver < kEngines; ++giver) {
    if ((mask >> giver & 1) == 0) continue;
    std::uint64_t& count = counts_[giver][index(taker)];
    if (count == 0)
      refuse(site, Status::kTokenError, "waits for a token from ", engine_name(giver),
             ", but none is there; an earlier ", engine_name(giver), " instruction must signal ",
             name_of(taker));
    --count;
  }
}

void Tokens::give(isa::Engine giver, std::uint32_t mask) {
  for (std::size_t taker = 0; taker < kEngines; ++taker)
    counts_[index(giver)][taker] += mask >> taker & 1;
}

void Tokens::check_empty() const {
  for (std::size_t giver = 0; giver < kEngines; ++giver)
    for (std::size_t taker = 0; taker < kEngines; ++taker)
      if (counts_[giver][taker] != 0)
        fail(Status::kTokenError, "the program ends with ", counts_[giver][taker],
             " token(s) from ", engine_name(giver), " to ", engine_name(taker),
             " that nothing waits for");
}

}  // namespace zebra::fsim
