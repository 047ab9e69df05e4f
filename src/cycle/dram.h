// The DRAM: one data bus shared fairly by three requesters.
#ifndef ZEBRA_CYCLE_DRAM_H_
#define ZEBRA_CYCLE_DRAM_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace zebra::cycle {

enum class Requester : std::size_t { kLoad = 0, kStore = 1, kFetch = 2 };
constexpr std::size_t kRequesters = 3;
constexpr std::uint64_t kNever = ~std::uint64_t{0};

// The active requesters take turns burst by burst, so each gets an equal share of the bytes per
// cycle. A sixth of a byte is the unit in which one, two and three of them share exactly.
class Dram {
 public:
  explicit Dram(std::uint64_t bytes_per_cycle) {
    for (std::uint64_t sharing = 0; sharing <= kRequesters; ++sharing)
      shares_[sharing] = kUnit * bytes_per_cycle / std::max<std::uint64_t>(sharing, 1);
  }

  void begin(Requester who, std::uint64_t bytes) { left_[index(who)] = kUnit * bytes; }
  bool active(Requester who) const { return left_[index(who)] > 0; }

  // Cycles until the first active requester has all its bytes; kNever if none is active.
  std::uint64_t next() const {
    std::uint64_t least = kNever;
    for (const std::uint64_t left : left_)
      if (left > 0) least = std::min(least, left);
    return least == kNever ? kNever : (least + share() - 1) / share();
  }

  // Let `cycles` pass, at most next().
  void advance(std::uint64_t cycles) {
    const std::uint64_t given = cycles * share();
    for (std::uint64_t& left : left_) left -= std::min(left, given);
  }

 private:
  static constexpr std::uint64_t kUnit = 6;
  static std::size_t index(Requester who) { return static_cast<std::size_t>(who); }

  std::uint64_t share() const {
    std::uint64_t sharing = 0;
    for (const std::uint64_t left : left_) sharing += left > 0;
    return shares_[sharing];
  }

  std::uint64_t shares_[kRequesters + 1];  // of each, by how many are active
  std::uint64_t left_[kRequesters] = {};
};

}  // namespace zebra::cycle

#endif  // ZEBRA_CYCLE_DRAM_H_
