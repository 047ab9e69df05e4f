// Level 0 on ROWS rows: how many cycles a memory needs for it.
#ifndef ZEBRA_CYCLE_GROUPS_H_
#define ZEBRA_CYCLE_GROUPS_H_

#include <cstddef>
#include <cstdint>
#include <numeric>

namespace zebra::cycle {

inline std::uint64_t ceil_div(std::uint64_t a, std::uint64_t b) { return (a + b - 1) / b; }

// Cycles to access `extent` entries `stride` apart, `rows` of them per cycle, in a memory of
// `rows` banks (address modulo rows). Stride 0 is one entry for all rows of a cycle.
inline std::uint64_t access_cycles(std::uint64_t extent, std::uint64_t stride, std::uint64_t rows) {
  if (stride == 0) return ceil_div(extent, rows);
  const std::uint64_t same_bank = std::gcd(stride, rows);
  return extent / rows * same_bank + ceil_div(extent % rows * same_bank, rows);
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
