// Walking a loop nest in the sequential reference order.
#ifndef ZEBRA_FSIM_NEST_H_
#define ZEBRA_FSIM_NEST_H_

#include <array>
#include <cstddef>
#include <cstdint>

namespace zebra::fsim {

// A nest of up to kMaxLevels levels with K strides each (one per operand), innermost first.
// Levels of one iteration are left out.
template <std::size_t K>
class Nest {
 public:
  static constexpr std::size_t kMaxLevels = 6;
  using Offsets = std::array<std::uint64_t, K>;

  struct Level {
    std::uint64_t extent;
    Offsets strides;
  };

  void add(std::uint64_t extent, const Offsets& strides) {
    if (extent > 1) levels_[count_++] = {extent, strides};
  }

  std::size_t depth() const { return count_; }
  const Level& level(std::size_t i) const { return levels_[i]; }

  std::uint64_t iterations() const {
    std::uint64_t product = 1;
    for (std::size_t i = 0; i < count_; ++i) product *= levels_[i].extent;
    return product;
  }

  // The level with the most iterations; 0 if there is no level.
  std::size_t longest() const {
    std::size_t best = 0;
    for (std::size_t i = 1; i < count_; ++i)
      if (levels_[i].extent > levels_[best].extent) best = i;
    return best;
  }

  // Take off level `i`; one iteration if there is no level.
  Level pop(std::size_t i) {
    if (count_ == 0) return {1, Offsets{}};
    const Level taken = levels_[i];
    for (; i + 1 < count_; ++i) levels_[i] = levels_[i + 1];
    --count_;
    return taken;
  }

  // visit(offsets, index) for iterations [first, first + count), in order; `index` holds the
  // loop index of every level.
  template <typename Visit>
  void walk(std::uint64_t first, std::uint64_t count, Visit visit) const {
    std::array<std::uint64_t, kMaxLevels> index{};
    Offsets offsets{};
    std::uint64_t rest = first;
    for (std::size_t i = 0; i < count_; ++i) {
      index[i] = rest % levels_[i].extent;
      rest /= levels_[i].extent;
      for (std::size_t k = 0; k < K; ++k) offsets[k] += index[i] * levels_[i].strides[k];
    }
    for (; count > 0; --count) {
      visit(static_cast<const Offsets&>(offsets), index.data());
      advance(index, offsets);
    }
  }

 private:
  void advance(std::array<std::uint64_t, kMaxLevels>& index, Offsets& offsets) const {
    for (std::size_t i = 0; i < count_; ++i) {
      const Level& level = levels_[i];
      if (++index[i] < level.extent) {
        for (std::size_t k = 0; k < K; ++k) offsets[k] += level.strides[k];
        return;
      }
      index[i] = 0;
      for (std::size_t k = 0; k < K; ++k) offsets[k] -= (level.extent - 1) * level.strides[k];
    }
  }

  std::array<Level, kMaxLevels> levels_{};
  std::size_t count_ = 0;
};

}  // namespace zebra::fsim

#endif  // ZEBRA_FSIM_NEST_H_
