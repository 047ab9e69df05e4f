// Pixels on ROWS rows: how many cycles the banks of a memory need for them.
#ifndef ZEBRA_CYCLE_GROUPS_H_
#define ZEBRA_CYCLE_GROUPS_H_

#include <cstddef>
#include <cstdint>
#include <numeric>

namespace zebra::cycle {

inline std::uint64_t ceil_div(std::uint64_t a, std::uint64_t b) { return (a + b - 1) / b; }

// Banks of a memory; an entry lies in bank (address modulo banks).
inline std::uint64_t act_banks(std::uint64_t rows) { return 2 * rows; }
inline std::uint64_t acc_banks(std::uint64_t rows) { return rows; }

// Cycles in which `banks` banks, one access each per cycle, serve `count` entries `stride` apart.
// Stride 0 is one entry for all of them.
inline std::uint64_t bank_cycles(std::uint64_t count, std::uint64_t stride, std::uint64_t banks) {
  return stride == 0 ? 1 : ceil_div(count * std::gcd(stride, banks), banks);
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
