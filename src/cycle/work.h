// What one instruction asks of its engine, whenever it runs.
#ifndef ZEBRA_CYCLE_WORK_H_
#define ZEBRA_CYCLE_WORK_H_

#include <algorithm>
#include <cstdint>

#include "zebra/cycle.h"
#include "zebra/isa.h"

namespace zebra::cycle {

// Addresses [first, last]; empty unless set.
struct Interval {
  std::uint64_t first = 1;
  std::uint64_t last = 0;

  bool meets(const Interval& other) const {
    return std::max(first, other.first) <= std::min(last, other.last);
  }
};

struct Work {
  isa::Engine engine = isa::Engine::LOAD;
  std::uint32_t wait = 0;
  std::uint32_t signal = 0;
  // Cycles the engine needs: at its full rate, and what is lost on top.
  std::uint64_t busy = 0;
  std::uint64_t banks = 0;
  std::uint64_t hazard = 0;
  std::uint64_t parameters = 0;
  std::uint64_t pipeline = 0;  // from the last group issued until it is done; not the engine's
  // GEMM and VEC only: what instructions in one pipeline wait for. `accumulates`: GEMM and ACCUM,
  // `adds`: those without overwrite. The rest is VEC's: of POST in ACC, of both in ACT.
  bool accumulates = false;
  bool adds = false;
  bool reads_acc = false;
  bool writes_acc = false;
  Interval reads_act[2];
  Interval writes_act;
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
