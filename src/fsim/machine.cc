#include "fsim/machine.h"

namespace zebra::fsim {

Machine::Machine(const HwSizes& hw, const Program& contract, std::uint8_t* memory,
                 unsigned thread_count, const Kernels& kernel_set)
    : Memories(hw, contract),
      dram(memory),
      threads(thread_count),
      kernels(kernel_set),
      act(std::size_t{hw.act} * hw.block),
      wgt(std::size_t{hw.wgt} * hw.block * hw.block),
      acc(std::size_t{hw.acc} * hw.block),
      par(std::size_t{hw.par} * hw.block),
      tab(std::size_t{hw.tab} * 256) {}

}  // namespace zebra::fsim
