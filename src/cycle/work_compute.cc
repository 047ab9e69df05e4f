#include <algorithm>

#include "cycle/groups.h"
#include "cycle/rules.h"
#include "cycle/work.h"
#include "fsim/footprint.h"

namespace zebra::cycle {
namespace {

using isa::Memory;
using isa::PostOp;

template <typename Insn>
Work header(const Insn& insn) {
  Work work;
  work.engine = Insn::kEngine;
  work.wait = insn.wait;
  work.signal = insn.signal;
  return work;
}

std::uint64_t log2_of(std::uint64_t power) {
  std::uint64_t log = 0;
  while (power > 1) power /= 2, ++log;
  return log;
}

// Cycles lost because an accumulator is not revisited within kAccLatency, for a nest whose
// level 0 takes `level0` cycles.
template <typename Insn>
std::uint64_t hazard_cycles(const Insn& insn, std::uint64_t level0) {
  constexpr std::size_t n = Insn::kLevels;
  const std::uint64_t total = level0 * iterations(insn.loops, 1, n);
  fsim::Footprint visited(insn.acc);
  for (const auto& level : insn.loops)
    if (level.acc != 0) visited.add(level.extent, level.acc);
  if (!visited.injective()) return total * (kAccLatency - 1);
  const std::size_t reduction =
      innermost(insn.loops, [](const auto& level) { return level.acc == 0; });
  if (reduction == n) return 0;
  const std::uint64_t apart =
      level0 * iterations(insn.loops, 1, std::max<std::size_t>(reduction, 1));
  if (apart >= kAccLatency) return 0;
  return (kAccLatency - apart) * iterations(insn.loops, reduction, n);
}

// Cycles of level 0 of GEMM or ACCUM in groups of `rows`, banks included.
template <typename Level>
std::uint64_t accumulation_cycles(const Level& pixels, std::uint64_t rows, const HwSizes& sizes) {
  return in_groups(pixels.extent, rows, [&](std::uint64_t n) {
    return std::max(bank_cycles(n, pixels.act, act_banks(sizes.rows)),
                    bank_cycles(n, pixels.acc, acc_banks(sizes.rows)));
  });
}

std::uint64_t banks_of(Memory memory, const HwSizes& sizes) {
  return memory == Memory::ACT ? act_banks(sizes.rows) : acc_banks(sizes.rows);
}

// PAR vectors one iteration reads.
std::uint64_t parameter_vectors(const isa::Post& insn) {
  if (insn.op == PostOp::SCALE) return 3;
  return insn.op == PostOp::MUL ? 4 : 6;
}

// Cycles to read parameters: the first set, and every further one as far as the time for which
// the previous set is used does not cover it. `work` is the time of all iterations.
template <typename Insn>
std::uint64_t parameter_cycles(const Insn& insn, std::uint64_t vectors, std::uint64_t work) {
  const std::uint64_t read = ceil_div(vectors, kParVectors);
  const std::size_t changing =
      innermost(insn.loops, [](const auto& level) { return level.par != 0; });
  const std::uint64_t sets = iterations(insn.loops, changing, Insn::kLevels);
  const std::uint64_t used = work / sets;
  return read + (read > used ? (read - used) * sets : 0);
}

// Cycles of a POST's arithmetic per group of rows: two multipliers of 32 x MULT_WIDTH a lane.
std::uint64_t passes_of(const isa::Post& insn) {
  return (insn.op == PostOp::MUL ? 2 : 1) + (insn.wide ? 1 : 0);
}

}  // namespace

Work work_of(const isa::Gemm& insn, const HwSizes& sizes, const DramTiming&) {
  Work work = header(insn);
  const isa::GemmLevel& pixels = insn.loops[0];
  const std::uint64_t rows = pixels.wgt == 0 ? sizes.rows : 1;
  const std::uint64_t outer = iterations(insn.loops, 1, isa::Gemm::kLevels);
  const std::uint64_t full = ceil_div(pixels.extent, rows);
  const std::uint64_t level0 = accumulation_cycles(pixels, rows, sizes);
  work.busy = full * outer;
  work.banks = (level0 - full) * outer;
  work.hazard = hazard_cycles(insn, level0);
  work.pipeline = kGemmPipeline + log2_of(sizes.block);
  work.macs = pixels.extent * outer * sizes.block * sizes.block;
  return work;
}

Work work_of(const isa::Accum& insn, const HwSizes& sizes, const DramTiming&) {
  Work work = header(insn);
  const bool mac = insn.op == isa::AccumOp::MAC;
  const isa::AccumLevel& pixels = insn.loops[0];
  const std::uint64_t rows = mac && pixels.par != 0 ? 1 : sizes.rows;
  const std::uint64_t outer = iterations(insn.loops, 1, isa::Accum::kLevels);
  const std::uint64_t full = ceil_div(pixels.extent, rows);
  const std::uint64_t level0 = accumulation_cycles(pixels, rows, sizes);
  work.busy = full * outer;
  work.banks = (level0 - full) * outer;
  work.hazard = hazard_cycles(insn, level0);
  work.parameters = mac ? parameter_cycles(insn, 1, level0 * outer) : 0;
  work.pipeline = kVecPipeline;
  work.macs = mac ? pixels.extent * outer * sizes.block : 0;
  return work;
}

// One read of ACT, one of ACC and one write per bank and cycle: a second operand in ACT takes
// another cycle.
Work work_of(const isa::Post& insn, const HwSizes& sizes, const DramTiming&) {
  Work work = header(insn);
  const isa::PostLevel& pixels = insn.loops[0];
  const std::uint64_t rows = pixels.par == 0 ? sizes.rows : 1;
  const std::uint64_t outer = iterations(insn.loops, 1, isa::Post::kLevels);
  const bool a_in_act = insn.a_memory == Memory::ACT, two = insn.op != PostOp::SCALE;
  const std::uint64_t per_group = std::max<std::uint64_t>(passes_of(insn), a_in_act && two ? 2 : 1);
  const std::uint64_t full = ceil_div(pixels.extent, rows) * per_group;
  const std::uint64_t level0 = in_groups(pixels.extent, rows, [&](std::uint64_t n) {
    const std::uint64_t a = bank_cycles(n, pixels.a, banks_of(insn.a_memory, sizes));
    const std::uint64_t b = two ? bank_cycles(n, pixels.b, act_banks(sizes.rows)) : 0;
    const std::uint64_t dst = bank_cycles(n, pixels.dst, banks_of(insn.dst_memory, sizes));
    return std::max({per_group, a_in_act ? a + b : std::max(a, b), dst});
  });
  work.busy = full * outer;
  work.banks = (level0 - full) * outer;
  work.parameters = parameter_cycles(insn, parameter_vectors(insn), level0 * outer);
  work.pipeline = kVecPipeline;
  return work;
}

}  // namespace zebra::cycle
