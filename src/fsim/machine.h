// The memories of one run.
#ifndef ZEBRA_FSIM_MACHINE_H_
#define ZEBRA_FSIM_MACHINE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

#include "fsim/gemm_tables.h"
#include "fsim/kernels.h"
#include "fsim/memories.h"
#include "zebra/simulator.h"

namespace zebra::fsim {

// An uninitialised array that starts on a cache line.
template <typename T>
class Array {
 public:
  explicit Array(std::size_t count)
      : data_(static_cast<T*>(::operator new(count * sizeof(T), kAlignment))) {}
  T* data() const { return data_.get(); }

 private:
  static constexpr std::align_val_t kAlignment{64};
  struct Free {
    void operator()(T* data) const { ::operator delete(data, kAlignment); }
  };
  std::unique_ptr<T, Free> data_;
};

// ACT holds its int8 as x + 128: what VNNI's unsigned operand wants. WGT holds tiles as
// [input lane / 4][output lane][input lane % 4]: four products per 32-bit accumulator lane.
struct Machine : Memories {
  Machine(const HwSizes& hw, const Program& contract, std::uint8_t* memory, unsigned thread_count,
          const Kernels& kernel_set);

  std::uint8_t* const dram;
  const unsigned threads;
  const Kernels& kernels;
  Array<std::uint8_t> act;
  Array<std::int8_t> wgt;
  Array<std::int32_t> acc;
  Array<std::int32_t> par;
  Array<std::int8_t> tab;
  GemmTablesCache gemm_tables;
};

}  // namespace zebra::fsim

#endif  // ZEBRA_FSIM_MACHINE_H_
