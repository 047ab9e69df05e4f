#include "fsim/gemm_tables.h"

#include "fsim/operand.h"

namespace zebra::fsim {
namespace {

std::uint32_t narrow(std::uint64_t offset) { return static_cast<std::uint32_t>(offset); }

// act, acc of the levels that keep the weights.
std::vector<GemmPixel> pixel_table(const isa::Gemm& insn, std::uint64_t block) {
  Nest<2> nest;
  for (const isa::GemmLevel& level : insn.loops)
    if (level.acc != 0 && level.wgt == 0)
      nest.add(level.extent, {level.act * block, level.acc * block});
  std::vector<GemmPixel> table;
  table.reserve(nest.iterations());
  nest.walk(0, nest.iterations(), [&](const Nest<2>::Offsets& at, const std::uint64_t*) {
    table.push_back({narrow(at[0]), narrow(at[1])});
  });
  return table;
}

// act, wgt, acc of the levels that change weights and accumulators.
std::vector<GemmPanel> panel_table(const isa::Gemm& insn, std::uint64_t block) {
  Nest<3> nest;
  // Neighbouring panels should read the same activations: those levels first.
  for (const bool same_act : {true, false})
    for (const isa::GemmLevel& level : insn.loops)
      if (level.acc != 0 && level.wgt != 0 && (level.act == 0) == same_act)
        nest.add(level.extent, {level.act * block, level.wgt * block * block, level.acc * block});
  std::vector<GemmPanel> table;
  table.reserve(nest.iterations() * (block / kPanelLanes + 1));
  nest.walk(0, nest.iterations(), [&](const Nest<3>::Offsets& at, const std::uint64_t*) {
    append_panels(table, block, at[0], at[1], at[2]);
  });
  return table;
}

// Groups of up to kPanelGroup neighbours with the same activations.
std::vector<std::size_t> group_panels(const std::vector<GemmPanel>& panels) {
  std::vector<std::size_t> starts;
  for (std::size_t i = 0; i < panels.size(); ++i)
    if (starts.empty() || i - starts.back() == kPanelGroup ||
        panels[i].act != panels[starts.back()].act)
      starts.push_back(i);
  starts.push_back(panels.size());
  return starts;
}

Nest<2> steps_of(const isa::Gemm& insn, std::uint64_t block) {
  Nest<2> nest;
  for (const isa::GemmLevel& level : insn.loops)
    if (level.acc == 0) nest.add(level.extent, {level.act * block, level.wgt * block * block});
  return nest;
}

bool independent(const isa::Gemm& insn) {
  Footprint outputs(insn.acc);
  for (const isa::GemmLevel& level : insn.loops)
    if (level.acc != 0) outputs.add(level.extent, level.acc);
  return outputs.injective();
}

std::uint64_t iterations(const isa::Gemm& insn) {
  std::uint64_t count = 1;
  for (const isa::GemmLevel& level : insn.loops) count *= level.extent;
  return count;
}

}  // namespace

void append_steps(std::vector<GemmStep>& table, std::uint64_t block, std::uint64_t act,
                  std::uint64_t wgt) {
  for (std::uint64_t lane = 0; lane < block; lane += kStepLanes)
    table.push_back({narrow(act + lane), narrow(wgt + lane * block)});
}

void append_panels(std::vector<GemmPanel>& table, std::uint64_t block, std::uint64_t act,
                   std::uint64_t wgt, std::uint64_t acc) {
  for (std::uint64_t lane = 0; lane < block; lane += kPanelLanes)
    table.push_back({narrow(act), narrow(wgt + 4 * lane), narrow(acc + lane)});
}

GemmTables::GemmTables(const isa::Gemm& insn, std::uint64_t lanes)
    : block(lanes),
      macs(iterations(insn) * block * block),
      pixels(pixel_table(insn, block)),
      panels(panel_table(insn, block)),
      groups(group_panels(panels)),
      step_nest(steps_of(insn, block)),
      steps(chunk(0)) {}

std::vector<GemmStep> GemmTables::chunk(std::uint64_t first) const {
  const std::uint64_t count = std::min(kChunk, step_nest.iterations() - first);
  std::vector<GemmStep> table;
  table.reserve(count * (block / kStepLanes + 1));
  step_nest.walk(first, count, [&](const Nest<2>::Offsets& at, const std::uint64_t*) {
    append_steps(table, block, at[0], at[1]);
  });
  return table;
}

std::shared_ptr<const GemmTables> GemmTablesCache::find(const isa::Gemm& insn,
                                                        std::uint64_t block) {
  Key key;
  auto* field = key.data();
  for (const isa::GemmLevel& level : insn.loops)
    for (const std::uint32_t value : {level.extent, level.act, level.wgt, level.acc})
      *field++ = value;
  const auto known = kept_.find(key);
  if (known != kept_.end()) return known->second;
  std::shared_ptr<const GemmTables> tables;
  if (independent(insn)) tables = std::make_shared<GemmTables>(insn, block);
  if (tables != nullptr && tables->pixels.size() + tables->panels.size() > kMostPixels)
    return tables;
  if (kept_.size() == kMost) kept_.clear();
  kept_.emplace(key, tables);
  return tables;
}

}  // namespace zebra::fsim
