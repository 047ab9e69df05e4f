#include <algorithm>
#include <numeric>
#include <vector>

#include "cycle/groups.h"
#include "cycle/rules.h"
#include "cycle/work.h"

namespace zebra::cycle {
namespace {

using isa::DmaLevel;
using isa::Memory;

// A transfer as the DRAM sees it.
struct Traffic {
  std::uint64_t bursts = 0;
  std::uint64_t requests = 0;
};

// How many of the addresses base + sum(index * stride) have each offset within a burst.
class Offsets {
 public:
  Offsets(std::uint64_t base, std::uint64_t burst) : count_(burst) { count_[base % burst] = 1; }

  void add(std::uint64_t extent, std::uint64_t stride) {
    const std::uint64_t burst = count_.size();
    const std::uint64_t period = burst / std::gcd(stride % burst, burst);
    std::vector<std::uint64_t> result(burst);
    for (std::uint64_t i = 0; i < std::min(extent, period); ++i) {
      const std::uint64_t times = (extent - i - 1) / period + 1;
      const std::uint64_t shift = i * (stride % burst) % burst;
      for (std::uint64_t offset = 0; offset < burst; ++offset)
        result[(offset + shift) % burst] += count_[offset] * times;
    }
    count_ = std::move(result);
  }

  // The sum of f(offset) over all addresses.
  template <typename F>
  std::uint64_t sum(F f) const {
    std::uint64_t total = 0;
    for (std::uint64_t offset = 0; offset < count_.size(); ++offset)
      if (count_[offset] > 0) total += count_[offset] * f(offset);
    return total;
  }

 private:
  std::vector<std::uint64_t> count_;
};

// Runs of `run` bytes: levels that continue the run lengthen it, the others repeat it. A
// run that starts in the burst in which the one before it ended shares that burst, if
// both are of one walk over the innermost level that repeats the run.
template <std::size_t N>
Traffic contiguous(std::uint64_t base, std::uint64_t run, const DmaLevel (&loops)[N],
                   std::uint64_t burst) {
  Offsets starts(base, burst), followed(base, burst);
  std::uint64_t runs = 1, distance = 0;
  for (const DmaLevel& level : loops) {
    if (level.extent == 1) continue;
    if (runs == 1 && level.dram == run) {
      run *= level.extent;
      continue;
    }
    starts.add(level.extent, level.dram);
    if (runs == 1) distance = level.dram;
    followed.add(runs == 1 ? level.extent - 1 : level.extent, level.dram);
    runs *= level.extent;
  }
  const auto last = [&](std::uint64_t at) { return (at + run - 1) / burst; };
  const std::uint64_t shared = runs == 1 ? 0 : followed.sum([&](std::uint64_t at) {
    return std::uint64_t{last(at) == (at + distance) / burst};
  });
  return {starts.sum([&](std::uint64_t at) { return last(at) + 1; }) - shared, runs - shared};
}

// Lanes `stride` bytes apart: a burst for each that is not in the burst of the one before.
template <std::size_t N>
Traffic scattered(std::uint64_t base, std::uint64_t lanes, std::uint64_t stride,
                  const DmaLevel (&loops)[N], std::uint64_t burst) {
  Offsets starts(base, burst);
  for (const DmaLevel& level : loops)
    if (level.extent > 1) starts.add(level.extent, level.dram);
  Traffic traffic;
  traffic.bursts = starts.sum([&](std::uint64_t at) {
    return stride < burst ? (at + (lanes - 1) * stride) / burst + 1 : lanes;
  });
  traffic.requests = traffic.bursts;
  return traffic;
}

// Cycles of the scratchpad: ROWS neighbouring ACT vectors or one other entry each.
template <typename Level, std::size_t N>
std::uint64_t act_cycles(const Level (&loops)[N], std::uint64_t rows) {
  const Operand act = act_operand(loops[0].sram, 0, rows);
  const auto cycles = [&](std::uint64_t n) { return act.cycles(n); };
  return in_groups(loops[0].extent, rows, cycles) * iterations(loops, 1, N);
}

std::uint64_t entry_bytes(const isa::Load& insn, std::uint64_t block) {
  if (insn.memory == Memory::WGT) return block * block;
  if (insn.memory == Memory::TAB) return 256;
  if (insn.memory == Memory::PAR) return insn.widen ? block : 4 * block;
  return insn.lanes;
}

template <typename Insn>
Work transfer(const Insn& insn, std::uint64_t bytes, std::uint64_t scratchpad,
              const DramTiming& dram) {
  const bool packed = insn.lane_stride == 1 || insn.lanes == 1;
  const Traffic traffic =
      packed ? contiguous(insn.dram, bytes, insn.loops, dram.burst_bytes)
             : scattered(insn.dram, insn.lanes, insn.lane_stride, insn.loops, dram.burst_bytes);
  Work work;
  work.engine = Insn::kEngine;
  work.wait = insn.wait;
  work.signal = insn.signal;
  work.useful = bytes * iterations(insn.loops, 0, Insn::kLevels);
  work.moved = traffic.bursts * dram.burst_bytes;
  work.busy = ceil_div(work.moved, dram.bytes_per_cycle);
  work.requests = std::max(traffic.requests, scratchpad);
  return work;
}

}  // namespace

Work work_of(const isa::Load& insn, const HwSizes& sizes, const DramTiming& dram) {
  const std::uint64_t entries = iterations(insn.loops, 0, isa::Load::kLevels);
  std::uint64_t scratchpad = entries;
  if (insn.memory == Memory::ACT) scratchpad = act_cycles(insn.loops, sizes.rows);
  if (insn.memory == Memory::TAB) scratchpad = entries * (256 / kTabBytes);
  return transfer(insn, entry_bytes(insn, sizes.block), scratchpad, dram);
}

Work work_of(const isa::Store& insn, const HwSizes& sizes, const DramTiming& dram) {
  return transfer(insn, insn.lanes, act_cycles(insn.loops, sizes.rows), dram);
}

Work work_of(const isa::Fill& insn, const HwSizes& sizes, const DramTiming&) {
  Work work;
  work.engine = isa::Fill::kEngine;
  work.wait = insn.wait;
  work.signal = insn.signal;
  work.busy =
      ceil_div(insn.loops[0].extent, sizes.rows) * iterations(insn.loops, 1, isa::Fill::kLevels);
  work.banks = act_cycles(insn.loops, sizes.rows) - work.busy;
  return work;
}

}  // namespace zebra::cycle
