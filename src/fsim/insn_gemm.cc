#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "fsim/gemm_tables.h"
#include "fsim/insn.h"
#include "fsim/nest.h"

namespace zebra::fsim {
namespace {

using isa::Memory;

constexpr std::uint64_t kShareMacs = 1 << 19;
constexpr std::size_t kItems = 2;                // of a large GEMM for every thread
constexpr std::size_t kWeightBytes = 16 * 1024;  // of a group of panels, to stay in the L1 cache

// All steps of `task`, so few at a time that their weights stay in the cache for all pixels.
void run_steps(const Kernels& kernels, GemmTask task) {
  const std::size_t outs = std::min<std::size_t>(task.block, kPanelLanes);
  const std::size_t bytes = task.panel_count * outs * std::min<std::size_t>(task.block, kStepLanes);
  const std::size_t most = std::max<std::size_t>(1, kWeightBytes / bytes);
  for (std::size_t left = task.step_count; left > 0; left -= task.step_count) {
    task.step_count = std::min(left, most);
    kernels.gemm(task);
    task.steps += task.step_count;
    task.overwrite = false;
  }
}

GemmTask base_task(const isa::Gemm& insn, const Machine& machine) {
  const std::size_t block = machine.sizes.block;
  GemmTask task = {};
  task.act = machine.act.data() + insn.act * block;
  task.wgt = machine.wgt.data() + insn.wgt * block * block;
  task.acc = machine.acc.data() + insn.acc * block;
  task.block = machine.sizes.block;
  task.overwrite = insn.overwrite;
  return task;
}

// One group of panels for one slice of the pixels.
void run_group(const isa::Gemm& insn, const Machine& machine, const GemmTables& tables,
               std::size_t group, const Shares& slices, std::size_t slice) {
  GemmTask task = base_task(insn, machine);
  task.pixels = tables.pixels.data() + slices.first(slice);
  task.pixel_count = slices.size(slice);
  task.panels = tables.panels.data() + tables.groups[group];
  task.panel_count = tables.groups[group + 1] - tables.groups[group];
  tables.for_each_chunk([&](const std::vector<GemmStep>& steps) {
    task.steps = steps.data();
    task.step_count = steps.size();
    run_steps(machine.kernels, task);
    task.overwrite = false;
  });
}

Work plan_groups(const isa::Gemm& insn, const Machine& machine,
                 std::shared_ptr<const GemmTables> tables) {
  const std::size_t groups = tables->groups.size() - 1;
  const Shares slices(tables->pixels.size(), tables->macs / groups, kShareMacs,
                      (kItems * machine.threads + groups - 1) / groups);
  const auto work = [insn, &machine, tables = std::move(tables), slices](std::size_t item) {
    run_group(insn, machine, *tables, item / slices.parts, slices, item % slices.parts);
  };
  return {groups * slices.parts, work};
}

// Any nest, one iteration after the other: what a nest that visits an accumulator from several
// non-reduction indices needs.
void run_in_order(const isa::Gemm& insn, const Machine& machine) {
  const std::uint64_t block = machine.sizes.block, tile = block * block;
  Nest<3> nest;
  for (const isa::GemmLevel& level : insn.loops)
    nest.add(level.extent, {level.act * block, level.wgt * tile, level.acc * block});
  const GemmPixel origin = {0, 0};
  std::vector<GemmStep> steps;
  append_steps(steps, block, 0, 0);
  std::vector<GemmPanel> panels;
  GemmTask task = base_task(insn, machine);
  task.pixels = &origin;
  task.pixel_count = 1;
  task.steps = steps.data();
  task.step_count = steps.size();
  nest.walk(0, nest.iterations(), [&](const Nest<3>::Offsets& at, const std::uint64_t* index) {
    bool first = true;
    for (std::size_t i = 0; i < nest.depth(); ++i)
      first = first && (nest.level(i).strides[2] != 0 || index[i] == 0);
    task.overwrite = insn.overwrite && first;
    panels.clear();
    append_panels(panels, block, at[0], at[1], at[2]);
    for (std::size_t j = 0; j < panels.size(); j += kPanelGroup) {
      task.panels = panels.data() + j;
      task.panel_count = std::min(kPanelGroup, panels.size() - j);
      machine.kernels.gemm(task);
    }
  });
}

}  // namespace

void check_rules(const Site& site, const isa::Gemm& insn, const HwSizes&) {
  if (insn.loops[0].extent > 1 && insn.loops[0].acc == 0)
    refuse(site, Status::kOperandError, "level 0 has extent ", insn.loops[0].extent,
           " and acc stride 0");
}

Operands operands(const isa::Gemm& insn, const HwSizes&) {
  Operands result;
  const Footprint acc = footprint_of(insn.acc, insn.loops, &isa::GemmLevel::acc);
  result.read("act", Memory::ACT, footprint_of(insn.act, insn.loops, &isa::GemmLevel::act));
  result.read("wgt", Memory::WGT, footprint_of(insn.wgt, insn.loops, &isa::GemmLevel::wgt));
  if (!insn.overwrite) result.read("acc", Memory::ACC, acc);
  result.write("acc", Memory::ACC, acc);
  return result;
}

Work plan(const isa::Gemm& insn, Machine& machine) {
  auto tables = machine.gemm_tables.find(insn, machine.sizes.block);
  if (tables != nullptr) return plan_groups(insn, machine, std::move(tables));
  return {1, [insn, &machine](std::size_t) { run_in_order(insn, machine); }};
}

}  // namespace zebra::fsim
