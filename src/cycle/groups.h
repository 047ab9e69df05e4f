// Pixels on ROWS rows: how many cycles the banks of a memory need for them.
#ifndef ZEBRA_CYCLE_GROUPS_H_
#define ZEBRA_CYCLE_GROUPS_H_

#include <cstddef>
#include <cstdint>
#include <numeric>

namespace zebra::cycle {

inline std::uint64_t ceil_div(std::uint64_t a, std::uint64_t b) { return (a + b - 1) / b; }

// One operand of the pixel levels 0 and 1, in a memory of `banks` banks (bank = address modulo
// `banks`, a power of two) of one access per cycle each.
struct Operand {
  std::uint64_t stride;  // of level 0
  std::uint64_t next;    // of level 1
  std::uint64_t banks;

  // Cycles to access `count` entries that follow each other on level 0. Stride 0 is one entry.
  std::uint64_t cycles(std::uint64_t count) const {
    return stride == 0 ? 1 : ceil_div(count * std::gcd(stride, banks), banks);
  }

  // Whether a group of `rows` that runs on from one pass of level 0, `extent` long, to the next
  // finds no two entries in one bank but those that a group within level 0 would find there too:
  // m iterations and w ends of level 0 apart. `extent` is at least rows / 2.
  bool runs_on(std::uint64_t extent, std::uint64_t rows) const {
    if (stride == 0 && next == 0) return true;
    const std::uint64_t slip = next - extent * stride;  // modulo 2^64, as good as modulo banks
    for (std::uint64_t w = 1; w <= 2; ++w)
      for (std::uint64_t m = w == 1 ? 1 : extent + 1; m < rows; ++m)
        if ((m * stride + w * slip) % banks == 0 && (stride == 0 || m * stride % banks != 0))
          return false;
    return true;
  }
};

inline Operand act_operand(std::uint64_t stride, std::uint64_t next, std::uint64_t rows) {
  return {stride, next, 2 * rows};
}
inline Operand acc_operand(std::uint64_t stride, std::uint64_t next, std::uint64_t rows) {
  return {stride, next, rows};
}

// Cycles of `extent` iterations in groups of `rows`; cycles(n) are those of a group of n.
template <typename Cycles>
std::uint64_t in_groups(std::uint64_t extent, std::uint64_t rows, Cycles cycles) {
  return extent / rows * cycles(rows) + (extent % rows == 0 ? 0 : cycles(extent % rows));
}

// Iterations of levels [first, last).
template <typename Level, std::size_t N>
std::uint64_t iterations(const Level (&loops)[N], std::size_t first, std::size_t last) {
  std::uint64_t product = 1;
  for (std::size_t i = first; i < last; ++i) product *= loops[i].extent;
  return product;
}

// The innermost level of more than one iteration that `is`; N if there is none.
template <typename Level, std::size_t N, typename Is>
std::size_t innermost(const Level (&loops)[N], Is is) {
  for (std::size_t i = 0; i < N; ++i)
    if (loops[i].extent > 1 && is(loops[i])) return i;
  return N;
}

}  // namespace zebra::cycle

#endif  // ZEBRA_CYCLE_GROUPS_H_
