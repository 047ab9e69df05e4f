// What is to be done for an instruction once it has passed all checks.
#ifndef ZEBRA_FSIM_WORK_H_
#define ZEBRA_FSIM_WORK_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace zebra::fsim {

// run(0) .. run(items - 1), in any order and on any threads. It owns what it needs but the
// machine, and does not throw.
struct Work {
  std::size_t items = 1;
  std::function<void(std::size_t)> run;
};

// `count` independent pieces of work, dealt out in equal shares.
struct Shares {
  std::uint64_t count;
  std::uint64_t parts;

  // Up to `most` shares, but none with less than `least` of the `total` work: below, sharing costs
  // more than it gives.
  Shares(std::uint64_t pieces, std::uint64_t total, std::uint64_t least, std::uint64_t most)
      : count(pieces), parts(std::clamp<std::uint64_t>(total / least, 1, std::min(pieces, most))) {}

  std::uint64_t first(std::uint64_t part) const { return count * part / parts; }
  std::uint64_t size(std::uint64_t part) const { return first(part + 1) - first(part); }
};

}  // namespace zebra::fsim

#endif  // ZEBRA_FSIM_WORK_H_
