// One bit per entry of a memory: has anything written it?
#ifndef ZEBRA_FSIM_BITMAP_H_
#define ZEBRA_FSIM_BITMAP_H_

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

namespace zebra::fsim {

class Bitmap {
 public:
  explicit Bitmap(std::uint64_t bits) : words_(allocate(bits / 64 + 1)) {}

  void set(std::uint64_t start, std::uint64_t count) {
    for_words(start, count, [this](std::uint64_t word, std::uint64_t mask) {
      words_.get()[word] |= mask;
      return true;
    });
  }

  bool all(std::uint64_t start, std::uint64_t count) const {
    return for_words(start, count, [this](std::uint64_t word, std::uint64_t mask) {
      return (words_.get()[word] & mask) == mask;
    });
  }

  bool test(std::uint64_t bit) const { return words_.get()[bit / 64] >> (bit % 64) & 1; }

 private:
  struct Free {
    void operator()(std::uint64_t* words) const { std::free(words); }
  };

  // calloc, because the pages of a large and mostly untouched memory then cost nothing.
  static std::uint64_t* allocate(std::uint64_t words) {
    void* memory = std::calloc(words, sizeof(std::uint64_t));
    if (memory == nullptr) throw std::bad_alloc();
    return static_cast<std::uint64_t*>(memory);
  }

  // visit(word, mask) for each word that bits [start, start + count) touch, while it is true.
  template <typename Visit>
  static bool for_words(std::uint64_t start, std::uint64_t count, Visit visit) {
    while (count > 0) {
      const std::uint64_t shift = start % 64;
      const std::uint64_t here = count < 64 - shift ? count : 64 - shift;
      const std::uint64_t mask = (~std::uint64_t{0} >> (64 - here)) << shift;
      if (!visit(start / 64, mask)) return false;
      start += here;
      count -= here;
    }
    return true;
  }

  std::unique_ptr<std::uint64_t, Free> words_;
};

}  // namespace zebra::fsim

#endif  // ZEBRA_FSIM_BITMAP_H_
