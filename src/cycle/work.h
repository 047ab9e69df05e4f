// What one instruction asks of its engine, whenever it runs.
#ifndef ZEBRA_CYCLE_WORK_H_
#define ZEBRA_CYCLE_WORK_H_

#include <cstdint>

#include "zebra/cycle.h"
#include "zebra/isa.h"

namespace zebra::cycle {

struct Work {
  isa::Engine engine = isa::Engine::LOAD;
  std::uint32_t wait = 0;
  std::uint32_t signal = 0;
  // Cycles the engine needs: at its full rate, and what is lost on top.
  std::uint64_t busy = 0;
  std::uint64_t banks = 0;
  std::uint64_t hazard = 0;
  std::uint64_t parameters = 0;
  std::uint64_t pipeline = 0;
  // LOAD and STORE only: `busy` is then the DRAM's time for `moved` bytes alone.
  std::uint64_t useful = 0;
  std::uint64_t moved = 0;
  std::uint64_t requests = 0;  // cycles that the requests or the scratchpad need
  std::uint64_t macs = 0;
};

Work work_of(const isa::Load& insn, const HwSizes& sizes, const DramTiming& dram);
Work work_of(const isa::Store& insn, const HwSizes& sizes, const DramTiming& dram);
Work work_of(const isa::Fill& insn, const HwSizes& sizes, const DramTiming& dram);
Work work_of(const isa::Gemm& insn, const HwSizes& sizes, const DramTiming& dram);
Work work_of(const isa::Accum& insn, const HwSizes& sizes, const DramTiming& dram);
Work work_of(const isa::Post& insn, const HwSizes& sizes, const DramTiming& dram);

}  // namespace zebra::cycle

#endif  // ZEBRA_CYCLE_WORK_H_
