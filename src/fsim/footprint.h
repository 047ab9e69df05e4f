// The set of addresses that one operand of a loop nest touches.
#ifndef ZEBRA_FSIM_FOOTPRINT_H_
#define ZEBRA_FSIM_FOOTPRINT_H_

#include <cstddef>
#include <cstdint>

namespace zebra::fsim {

struct Dim {
  std::uint64_t extent = 1;
  std::uint64_t stride = 0;
};

// base + sum(index * stride) over all indices. Operands have up to 6 loop levels, and in DRAM
// two more: the lanes and the bytes of an entry.
class Footprint {
 public:
  static constexpr std::size_t kMaxDims = 8;

  Footprint() : Footprint(0) {}
  explicit Footprint(std::uint64_t base) : first_(base), last_(base) {}

  // One more level. Fields are at most 32 bits wide, so that last() cannot overflow.
  void add(std::uint64_t extent, std::uint64_t stride);

  std::uint64_t first() const { return first_; }
  std::uint64_t last() const { return last_; }
  std::uint64_t length() const { return last_ - first_ + 1; }

  // The same set with as few dims as possible, by ascending stride: levels that overlap or
  // follow each other gaplessly become one.
  Footprint merged() const;

  // Whether different indices always give different addresses (false also where unsure).
  bool injective() const;

  // How many runs for_each_run visits.
  std::uint64_t run_count() const;

  // visit(start, count) for runs that together are the set, while it returns true. A
  // merged footprint has the fewest.
  template <typename Visit>
  bool for_each_run(Visit visit) const {
    return walk(count_, dense() ? 1 : 0, first_, dense() ? dims_[0].extent : 1, visit);
  }

 private:
  template <typename Visit>
  bool walk(std::size_t level, std::size_t stop, std::uint64_t start, std::uint64_t run,
            Visit& visit) const {
    if (level == stop) return visit(start, run);
    const Dim& dim = dims_[level - 1];
    for (std::uint64_t i = 0; i < dim.extent; ++i)
      if (!walk(level - 1, stop, start + i * dim.stride, run, visit)) return false;
    return true;
  }

  Footprint sorted() const;
  bool dense() const { return count_ > 0 && dims_[0].stride == 1; }

  std::uint64_t first_;
  std::uint64_t last_;
  Dim dims_[kMaxDims];
  std::size_t count_ = 0;
};

}  // namespace zebra::fsim

#endif  // ZEBRA_FSIM_FOOTPRINT_H_
