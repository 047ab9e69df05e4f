#include <algorithm>
#include <initializer_list>

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

// The iterations that are cut into groups of `rows`: those of the first `levels` levels.
struct Pixels {
  std::uint64_t rows;
  std::size_t levels;
  std::uint64_t extent;
};

// Level 0; or levels 0 and 1 as one sequence, if level 1 has pixels too and no bank is the worse
// for it. `steady(level)`: on that level the rows share their weights or parameters; and they
// write to different addresses on level 1 if `distinct`.
template <typename Level, std::size_t N, typename Steady>
Pixels pixels_of(const Level (&loops)[N], std::uint64_t rows, Steady steady, bool distinct,
                 std::initializer_list<Operand> operands) {
  if (!steady(loops[0])) return {1, 1, loops[0].extent};
  const std::uint64_t extent = loops[0].extent;
  const bool flat = distinct && steady(loops[1]) && 2 * extent >= rows &&
                    std::all_of(operands.begin(), operands.end(), [&](const Operand& operand) {
                      return operand.runs_on(extent, rows);
                    });
  if (!flat) return {rows, 1, extent};
  return {rows, 2, extent * loops[1].extent};
}

// base + sum(index * stride) over all indices, `stride` a member of the levels.
template <typename Level, std::size_t N>
fsim::Footprint footprint(std::uint64_t base, const Level (&loops)[N],
                          std::uint32_t Level::* stride) {
  fsim::Footprint result(base);
  for (const Level& level : loops) result.add(level.extent, level.*stride);
  return result;
}

Interval interval(const fsim::Footprint& footprint) {
  return {footprint.first(), footprint.last()};
}

// Whether the reduction levels from `innermost` on are next to each other, so that each
// accumulator is visited in one stretch.
template <typename Level, std::size_t N>
bool in_one_stretch(const Level (&loops)[N], std::size_t innermost) {
  std::size_t level = innermost;
  while (level < N && (loops[level].acc == 0 || loops[level].extent == 1)) ++level;
  return std::all_of(loops + level, loops + N,
                     [](const Level& other) { return other.acc != 0 || other.extent == 1; });
}

// Cycles lost because an accumulator is not read again within kAccLatency, for a nest whose
// pixels take `pass` cycles. One group that adds to itself never leaves the adder.
template <typename Insn>
std::uint64_t hazard_cycles(const Insn& insn, const Pixels& pixels, std::uint64_t pass) {
  constexpr std::size_t n = Insn::kLevels;
  const std::uint64_t total = pass * iterations(insn.loops, pixels.levels, n);
  fsim::Footprint visited(insn.acc);
  for (const auto& level : insn.loops)
    if (level.acc != 0) visited.add(level.extent, level.acc);
  if (!visited.injective()) return total * (kAccLatency - 1);
  const std::size_t reduction =
      innermost(insn.loops, [](const auto& level) { return level.acc == 0; });
  if (reduction == n) return 0;
  const std::uint64_t apart =
      pass * iterations(insn.loops, pixels.levels, std::max(reduction, pixels.levels));
  if (apart >= kAccLatency) return 0;
  if (apart == 1 && in_one_stretch(insn.loops, reduction)) return 0;
  return (kAccLatency - apart) * iterations(insn.loops, reduction, n);
}

// The time of a GEMM or ACCUM: its groups, their banks and the accumulators' latency.
template <typename Insn, typename Steady>
Work accumulation(const Insn& insn, const HwSizes& sizes, Steady steady) {
  const auto& loops = insn.loops;
  const Operand act = act_operand(loops[0].act, loops[1].act, sizes.rows);
  const Operand acc = acc_operand(loops[0].acc, loops[1].acc, sizes.rows);
  const bool distinct = loops[0].acc != 0 && loops[1].acc != 0;
  const Pixels pixels = pixels_of(loops, sizes.rows, steady, distinct, {act, acc});
  const std::uint64_t outer = iterations(loops, pixels.levels, Insn::kLevels);
  const std::uint64_t full = ceil_div(pixels.extent, pixels.rows);
  const std::uint64_t pass = in_groups(pixels.extent, pixels.rows, [&](std::uint64_t n) {
    return std::max(act.cycles(n), acc.cycles(n));
  });
  Work work = header(insn);
  work.busy = full * outer;
  work.banks = (pass - full) * outer;
  work.hazard = hazard_cycles(insn, pixels, pass);
  work.accumulates = true;
  work.adds = !insn.overwrite;
  return work;
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

// The time of a POST: its groups, their banks and parameters. One read of ACT, one of ACC and one
// write per bank and cycle: a second operand in ACT takes another cycle.
Work post_time(const isa::Post& insn, const HwSizes& sizes) {
  const auto& loops = insn.loops;
  const auto operand = [&](Memory memory, std::uint64_t stride, std::uint64_t next) {
    return memory == Memory::ACT ? act_operand(stride, next, sizes.rows)
                                 : acc_operand(stride, next, sizes.rows);
  };
  const bool a_in_act = insn.a_memory == Memory::ACT, two = insn.op != PostOp::SCALE;
  const Operand dst = operand(insn.dst_memory, loops[0].dst, loops[1].dst);
  const Operand a = operand(insn.a_memory, loops[0].a, loops[1].a);
  const Operand b = two ? operand(Memory::ACT, loops[0].b, loops[1].b) : a;
  const bool distinct = loops[0].dst != 0 && loops[1].dst != 0;
  const auto steady = [](const auto& level) { return level.par == 0; };
  const Pixels pixels = pixels_of(loops, sizes.rows, steady, distinct, {dst, a, b});
  const std::uint64_t outer = iterations(loops, pixels.levels, isa::Post::kLevels);
  const std::uint64_t per_group = std::max<std::uint64_t>(passes_of(insn), a_in_act && two ? 2 : 1);
  const std::uint64_t full = ceil_div(pixels.extent, pixels.rows) * per_group;
  const std::uint64_t pass = in_groups(pixels.extent, pixels.rows, [&](std::uint64_t n) {
    const std::uint64_t from_b = two ? b.cycles(n) : 0;
    const std::uint64_t read = a_in_act ? a.cycles(n) + from_b : std::max(a.cycles(n), from_b);
    return std::max({per_group, read, dst.cycles(n)});
  });
  Work work = header(insn);
  work.busy = full * outer;
  work.banks = (pass - full) * outer;
  work.parameters = parameter_cycles(insn, parameter_vectors(insn), pass * outer);
  return work;
}

}  // namespace

Work work_of(const isa::Gemm& insn, const HwSizes& sizes, const DramTiming&) {
  Work work = accumulation(insn, sizes, [](const auto& level) { return level.wgt == 0; });
  work.pipeline = kGemmPipeline + log2_of(sizes.block);
  work.macs = iterations(insn.loops, 0, isa::Gemm::kLevels) * sizes.block * sizes.block;
  return work;
}

Work work_of(const isa::Accum& insn, const HwSizes& sizes, const DramTiming&) {
  const bool mac = insn.op == isa::AccumOp::MAC;
  Work work = accumulation(insn, sizes, [&](const auto& level) { return !mac || level.par == 0; });
  work.parameters = mac ? parameter_cycles(insn, 1, work.busy + work.banks) : 0;
  work.pipeline = kVecPipeline;
  work.reads_act[0] = interval(footprint(insn.act, insn.loops, &isa::AccumLevel::act));
  work.macs = mac ? iterations(insn.loops, 0, isa::Accum::kLevels) * sizes.block : 0;
  return work;
}

Work work_of(const isa::Post& insn, const HwSizes& sizes, const DramTiming&) {
  const auto& loops = insn.loops;
  const bool a_in_act = insn.a_memory == Memory::ACT, two = insn.op != PostOp::SCALE;
  const fsim::Footprint dst = footprint(insn.dst, loops, &isa::PostLevel::dst);
  const Interval from_a = interval(footprint(insn.a, loops, &isa::PostLevel::a));
  const Interval from_b = interval(footprint(insn.b, loops, &isa::PostLevel::b));
  Work work = post_time(insn, sizes);
  work.pipeline = kVecPipeline;
  work.reads_acc = !a_in_act;
  work.writes_acc = insn.dst_memory == Memory::ACC;
  if (a_in_act) work.reads_act[0] = from_a;
  if (two) work.reads_act[1] = from_b;
  if (!work.writes_acc) work.writes_act = interval(dst);
  const bool in_place = (insn.a_memory == insn.dst_memory && from_a.meets(interval(dst))) ||
                        (two && from_b.meets(work.writes_act));
  if (in_place && !dst.injective()) work.hazard = (work.busy + work.banks) * (kVecPipeline - 1);
  return work;
}

}  // namespace zebra::cycle
