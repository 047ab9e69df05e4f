#include <algorithm>
#include <vector>

#include "fsim/insn.h"
#include "fsim/nest.h"

namespace zebra::fsim {
namespace {

using isa::Memory;

constexpr std::uint64_t kShareLanes = 1 << 15;
constexpr std::uint64_t kStepTable = 4096;
constexpr AccumStep kOneStep = {0, 0};

// Strides and offsets, in elements.
enum : std::size_t { kAct, kAcc, kPar };
using Offsets = Nest<3>::Offsets;

Offsets strides_of(const isa::Accum& insn, const isa::AccumLevel& level, std::uint64_t block) {
  const std::uint64_t par = insn.op == isa::AccumOp::MAC ? level.par : 0;
  return {level.act * block, level.acc * block, par * block};
}

AccumRow row_at(const isa::Accum& insn, const Machine& machine, const Offsets& at) {
  const std::uint64_t block = machine.sizes.block;
  const std::uint64_t par = insn.op == isa::AccumOp::MAC ? insn.par : 0;
  AccumRow row = {};
  row.op = insn.op;
  row.overwrite = insn.overwrite;
  row.block = machine.sizes.block;
  row.steps = &kOneStep;
  row.step_count = 1;
  row.count = 1;
  row.act = machine.act.data() + insn.act * block + at[kAct];
  row.acc = machine.acc.data() + insn.acc * block + at[kAcc];
  row.par = machine.par.data() + par * block + at[kPar];
  return row;
}

std::vector<AccumStep> step_table(const Nest<3>& nest, std::uint64_t first, std::uint64_t count) {
  std::vector<AccumStep> table;
  table.reserve(count);
  nest.walk(first, count, [&](const Offsets& at, const std::uint64_t*) {
    table.push_back({static_cast<std::uint32_t>(at[kAct]), static_cast<std::uint32_t>(at[kPar])});
  });
  return table;
}

// Accumulators that are all different: the longest level is the row, every accumulator takes its
// reduction steps in order, and rows are independent.
Work plan_rows(const isa::Accum& insn, const Machine& machine) {
  const std::uint64_t block = machine.sizes.block;
  Nest<3> outputs, steps;
  for (const isa::AccumLevel& level : insn.loops)
    (level.acc == 0 ? steps : outputs).add(level.extent, strides_of(insn, level, block));
  const std::uint64_t step_count = steps.iterations();
  const std::uint64_t lanes = outputs.iterations() * step_count * block;
  const auto along = outputs.pop(outputs.longest());
  const Shares shares(outputs.iterations(), lanes, kShareLanes, machine.threads);
  const auto accum = [insn, &machine, outputs, steps, step_count, along, shares](std::size_t part) {
    for (std::uint64_t first = 0; first < step_count; first += kStepTable) {
      const auto table = step_table(steps, first, std::min(kStepTable, step_count - first));
      outputs.walk(shares.first(part), shares.size(part),
                   [&](const Offsets& at, const std::uint64_t*) {
                     AccumRow row = row_at(insn, machine, at);
                     row.overwrite = insn.overwrite && first == 0;
                     row.steps = table.data();
                     row.step_count = table.size();
                     row.count = along.extent;
                     row.act_stride = along.strides[kAct];
                     row.acc_stride = along.strides[kAcc];
                     row.par_stride = along.strides[kPar];
                     machine.kernels.accum(row);
                   });
    }
  };
  return {shares.parts, accum};
}

// Any nest, one iteration after the other.
void run_in_order(const isa::Accum& insn, const Machine& machine) {
  Nest<3> nest;
  for (const isa::AccumLevel& level : insn.loops)
    nest.add(level.extent, strides_of(insn, level, machine.sizes.block));
  nest.walk(0, nest.iterations(), [&](const Offsets& at, const std::uint64_t* index) {
    AccumRow row = row_at(insn, machine, at);
    for (std::size_t i = 0; i < nest.depth(); ++i)
      if (nest.level(i).strides[kAcc] == 0 && index[i] != 0) row.overwrite = false;
    machine.kernels.accum(row);
  });
}

}  // namespace

void check_rules(const Site& site, const isa::Accum& insn, const HwSizes&) {
  if (insn.loops[0].extent > 1 && insn.loops[0].acc == 0)
    refuse(site, Status::kOperandError, "level 0 has extent ", insn.loops[0].extent,
           " and acc stride 0");
}

Operands operands(const isa::Accum& insn, const HwSizes&) {
  Operands result;
  const Footprint acc = footprint_of(insn.acc, insn.loops, &isa::AccumLevel::acc);
  result.read("act", Memory::ACT, footprint_of(insn.act, insn.loops, &isa::AccumLevel::act));
  if (insn.op == isa::AccumOp::MAC)
    result.read("par", Memory::PAR, footprint_of(insn.par, insn.loops, &isa::AccumLevel::par));
  if (!insn.overwrite) result.read("acc", Memory::ACC, acc);
  result.write("acc", Memory::ACC, acc);
  return result;
}

Work plan(const isa::Accum& insn, Machine& machine) {
  Footprint outputs(insn.acc);
  for (const isa::AccumLevel& level : insn.loops)
    if (level.acc != 0) outputs.add(level.extent, level.acc);
  if (outputs.injective()) return plan_rows(insn, machine);
  return {1, [insn, &machine](std::size_t) { run_in_order(insn, machine); }};
}

}  // namespace zebra::fsim
