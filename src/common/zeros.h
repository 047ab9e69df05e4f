// A large array of zeros. Its pages cost nothing until they are written.
#ifndef ZEBRA_COMMON_ZEROS_H_
#define ZEBRA_COMMON_ZEROS_H_

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>

namespace zebra {

template <typename T>
class Zeros {
 public:
  // None at all: data() is null.
  Zeros() = default;
  // Throws std::bad_alloc.
  explicit Zeros(std::size_t count) : data_(static_cast<T*>(std::calloc(count, sizeof(T)))) {
    if (data_ == nullptr) throw std::bad_alloc();
  }
  T* data() const { return data_.get(); }

 private:
  struct Free {
    void operator()(T* data) const { std::free(data); }
  };
  std::unique_ptr<T, Free> data_;
};

}  // namespace zebra

#endif  // ZEBRA_COMMON_ZEROS_H_
