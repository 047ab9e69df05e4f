#include <algorithm>
#include <vector>

#include "common/thread_pool.h"
#include "fsim/insn.h"
#include "fsim/nest.h"

namespace zebra::fsim {
namespace {

using isa::Memory;

constexpr std::uint64_t kParallelMacs = 1 << 20;  // below, sharing costs more than it gives
constexpr std::size_t kStepTable = 4096;
constexpr std::size_t kWeightBytes = 16 * 1024;  // of a group of panels, to stay in the L1 cache
constexpr std::size_t kSlicePixels = 48;

// A nest whose accumulators are all different, sorted by what a level does. Offsets are in
// elements from the operands' bases.
struct Plan {
  Nest<2> pixels;  // act, acc: levels that keep the weights
  Nest<3> panels;  // act, wgt, acc: levels that change weights and accumulators
  Nest<2> steps;   // act, wgt: reduction levels
};

Plan sort_levels(const isa::Gemm& insn, std::uint64_t block) {
  const std::uint64_t tile = block * block;
  Plan plan;
  // Neighbouring panels should read the same activations: those levels first.
  for (const bool same_act : {true, false})
    for (const isa::GemmLevel& level : insn.loops)
      if (level.acc != 0 && level.wgt != 0 && (level.act == 0) == same_act)
        plan.panels.add(level.extent, {level.act * block, level.wgt * tile, level.acc * block});
  for (const isa::GemmLevel& level : insn.loops) {
    if (level.acc == 0)
      plan.steps.add(level.extent, {level.act * block, level.wgt * tile});
    else if (level.wgt == 0)
      plan.pixels.add(level.extent, {level.act * block, level.acc * block});
  }
  return plan;
}

std::uint32_t narrow(std::uint64_t offset) { return static_cast<std::uint32_t>(offset); }

std::vector<GemmPixel> pixel_table(const Nest<2>& nest) {
  std::vector<GemmPixel> table;
  table.reserve(nest.iterations());
  nest.walk(0, nest.iterations(), [&](const Nest<2>::Offsets& at, const std::uint64_t*) {
    table.push_back({narrow(at[0]), narrow(at[1])});
  });
  return table;
}

// A tile of more than kStepLanes input lanes is several steps.
std::vector<GemmStep> step_table(const Nest<2>& nest, std::uint64_t block, std::uint64_t first,
                                 std::uint64_t count) {
  std::vector<GemmStep> table;
  table.reserve(count * (block / kStepLanes + 1));
  nest.walk(first, count, [&](const Nest<2>::Offsets& at, const std::uint64_t*) {
    for (std::uint64_t lane = 0; lane < block; lane += kStepLanes)
      table.push_back({narrow(at[0] + lane), narrow(at[1] + lane * block)});
  });
  return table;
}

// A tile of more than kPanelLanes output lanes is several panels.
void append_panels(std::vector<GemmPanel>& table, std::uint64_t block, std::uint64_t act,
                   std::uint64_t wgt, std::uint64_t acc) {
  for (std::uint64_t lane = 0; lane < block; lane += kPanelLanes)
    table.push_back({narrow(act), narrow(wgt + 4 * lane), narrow(acc + lane)});
}

std::vector<GemmPanel> panel_table(const Nest<3>& nest, std::uint64_t block) {
  std::vector<GemmPanel> table;
  table.reserve(nest.iterations() * (block / kPanelLanes + 1));
  nest.walk(0, nest.iterations(), [&](const Nest<3>::Offsets& at, const std::uint64_t*) {
    append_panels(table, block, at[0], at[1], at[2]);
  });
  return table;
}

// First panel of every group: up to kPanelGroup neighbours with the same activations. One more
// entry ends the last group.
std::vector<std::size_t> group_panels(const std::vector<GemmPanel>& panels) {
  std::vector<std::size_t> starts;
  for (std::size_t i = 0; i < panels.size(); ++i)
    if (starts.empty() || i - starts.back() == kPanelGroup ||
        panels[i].act != panels[starts.back()].act)
      starts.push_back(i);
  starts.push_back(panels.size());
  return starts;
}

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

void run_plan(const isa::Gemm& insn, const Machine& machine, const Plan& plan) {
  const std::uint64_t block = machine.sizes.block, step_count = plan.steps.iterations();
  const std::vector<GemmPixel> pixels = pixel_table(plan.pixels);
  const std::vector<GemmPanel> panels = panel_table(plan.panels, block);
  const std::vector<std::size_t> starts = group_panels(panels);
  const std::size_t groups = starts.size() - 1;
  const std::uint64_t macs = pixels.size() * plan.panels.iterations() * step_count * block * block;
  const unsigned threads = macs < kParallelMacs ? 1 : machine.threads;
  const std::size_t wanted = threads == 1 ? 1 : (4 * threads + groups - 1) / groups;
  const std::size_t slices = std::clamp<std::size_t>(pixels.size() / kSlicePixels, 1, wanted);
  GemmTask base = base_task(insn, machine);
  for (std::uint64_t first = 0; first < step_count; first += kStepTable) {
    const auto steps = step_table(plan.steps, block, first,
                                  std::min<std::uint64_t>(kStepTable, step_count - first));
    parallel_for(groups * slices, threads, [&](std::size_t item) {
      const std::size_t group = item / slices, slice = item % slices;
      const std::size_t from = pixels.size() * slice / slices;
      GemmTask task = base;
      task.pixels = pixels.data() + from;
      task.pixel_count = pixels.size() * (slice + 1) / slices - from;
      task.steps = steps.data();
      task.step_count = steps.size();
      task.panels = panels.data() + starts[group];
      task.panel_count = starts[group + 1] - starts[group];
      run_steps(machine.kernels, task);
    });
    base.overwrite = false;
  }
}

// Any nest, one iteration after the other: what a nest that visits an accumulator from several
// non-reduction indices needs.
void run_in_order(const isa::Gemm& insn, const Machine& machine) {
  const std::uint64_t block = machine.sizes.block, tile = block * block;
  Nest<3> nest;
  for (const isa::GemmLevel& level : insn.loops)
    nest.add(level.extent, {level.act * block, level.wgt * tile, level.acc * block});
  const GemmPixel origin = {0, 0};
  const std::vector<GemmStep> steps = step_table(Nest<2>(), block, 0, 1);
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

void execute(const isa::Gemm& insn, Machine& machine) {
  Footprint outputs(insn.acc);
  for (const isa::GemmLevel& level : insn.loops)
    if (level.acc != 0) outputs.add(level.extent, level.acc);
  if (outputs.injective())
    run_plan(insn, machine, sort_levels(insn, machine.sizes.block));
  else
    run_in_order(insn, machine);
}

}  // namespace zebra::fsim
