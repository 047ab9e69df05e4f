// Dependency tokens with the time at which each arrives.
#ifndef ZEBRA_CYCLE_TIMED_TOKENS_H_
#define ZEBRA_CYCLE_TIMED_TOKENS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cycle/dram.h"
#include "fsim/tokens.h"

namespace zebra::cycle {

// The last token to arrive of those an instruction waits for.
struct Arrival {
  std::uint64_t time = 0;  // kNever while one of them is not even given
  std::size_t giver = 0;
};

class TimedTokens {
 public:
  void give(std::size_t giver, std::size_t taker, std::uint64_t time) {
    pairs_[giver][taker].times.push_back(time);
  }

  Arrival arrival(std::size_t taker, std::uint32_t mask) const {
    Arrival last;
    for (std::size_t giver = 0; giver < fsim::kEngines; ++giver) {
      if ((mask >> giver & 1) == 0) continue;
      const Pair& pair = pairs_[giver][taker];
      const std::uint64_t time = pair.taken < pair.times.size() ? pair.times[pair.taken] : kNever;
      if (time > last.time) last = {time, giver};
    }
    return last;
  }

  void take(std::size_t taker, std::uint32_t mask) {
    for (std::size_t giver = 0; giver < fsim::kEngines; ++giver)
      pairs_[giver][taker].taken += mask >> giver & 1;
  }

 private:
  struct Pair {
    std::vector<std::uint64_t> times;
    std::size_t taken = 0;
  };
  Pair pairs_[fsim::kEngines][fsim::kEngines];
};

}  // namespace zebra::cycle

#endif  // ZEBRA_CYCLE_TIMED_TOKENS_H_
