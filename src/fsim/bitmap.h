// One bit per entry of a memory: has anything written it?
#ifndef ZEBRA_FSIM_BITMAP_H_
#define ZEBRA_FSIM_BITMAP_H_

#include <algorithm>
#include <cstdint>

#include "common/zeros.h"

namespace zebra::fsim {

class Bitmap {
 public:
  explicit Bitmap(std::uint64_t bits) : words_(bits / 64 + 1) {}

  void set(std::uint64_t start, std::uint64_t count) {
    if (count == 0) return;
    const Range range(start, count);
    std::uint64_t* const words = words_.data();
    if (range.first == range.last) {
      words[range.first] |= range.head & range.tail;
      return;
    }
    words[range.first] |= range.head;
    std::fill(words + range.first + 1, words + range.last, kFull);
    words[range.last] |= range.tail;
  }

  bool all(std::uint64_t start, std::uint64_t count) const {
    if (count == 0) return true;
    const Range range(start, count);
    const std::uint64_t* const words = words_.data();
    if (range.first == range.last) return (~words[range.first] & range.head & range.tail) == 0;
    return (~words[range.first] & range.head) == 0 && (~words[range.last] & range.tail) == 0 &&
           std::all_of(words + range.first + 1, words + range.last,
                       [](std::uint64_t word) { return word == kFull; });
  }

  bool test(std::uint64_t bit) const { return words_.data()[bit / 64] >> (bit % 64) & 1; }

 private:
  static constexpr std::uint64_t kFull = ~std::uint64_t{0};

  // The words of at least one bit, and the bits of the first and of the last of them that are
  // not outside.
  struct Range {
    Range(std::uint64_t start, std::uint64_t count)
        : first(start / 64),
          last((start + count - 1) / 64),
          head(kFull << (start % 64)),
          tail(kFull >> (63 - (start + count - 1) % 64)) {}
    const std::uint64_t first, last, head, tail;
  };

  Zeros<std::uint64_t> words_;
};

}  // namespace zebra::fsim

#endif  // ZEBRA_FSIM_BITMAP_H_
