#include "fsim/insn.h"
#include "fsim/nest.h"

namespace zebra::fsim {
namespace {

void store(const isa::Store& insn, const Machine& machine) {
  Nest<2> nest;
  for (const isa::DmaLevel& level : insn.loops) nest.add(level.extent, {level.dram, level.sram});
  const std::uint64_t block = machine.sizes.block;
  std::uint64_t run = insn.lane_stride == 1 ? insn.lanes : 1;
  if (run == block && nest.depth() > 0 && nest.level(0).strides == Nest<2>::Offsets{block, 1})
    run *= nest.pop(0).extent;
  nest.walk(0, nest.iterations(), [&](const Nest<2>::Offsets& at, const std::uint64_t*) {
    const std::uint8_t* from = machine.act.data() + (insn.sram + at[1]) * block + insn.lane;
    std::uint8_t* to = machine.dram + insn.dram + at[0];
    if (insn.lane_stride == 1)
      machine.kernels.copy_flipped(from, to, run);
    else
      for (std::uint64_t k = 0; k < insn.lanes; ++k) to[k * insn.lane_stride] = from[k] ^ 0x80;
  });
}

}  // namespace

void check_rules(const Site& site, const isa::Store& insn, const HwSizes& sizes) {
  const Status bad = Status::kOperandError;
  if (insn.lane + insn.lanes > sizes.block)
    refuse(site, bad, "lane ", insn.lane, " + lanes ", insn.lanes, " = ", insn.lane + insn.lanes,
           " is more than BLOCK = ", sizes.block);
  if (insn.lanes > 1 && insn.lane_stride == 0)
    refuse(site, bad, "lane_stride = 0 stores ", insn.lanes, " lanes to one byte");
}

Operands operands(const isa::Store& insn, const HwSizes&) {
  Operands result;
  Footprint destination = footprint_of(insn.dram, insn.loops, &isa::DmaLevel::dram);
  destination.add(insn.lanes, insn.lane_stride);
  result.read("source", isa::Memory::ACT,
              footprint_of(insn.sram, insn.loops, &isa::DmaLevel::sram));
  result.write("destination", isa::Memory::DRAM, destination);
  return result;
}

Work plan(const isa::Store& insn, Machine& machine) {
  return {1, [insn, &machine](std::size_t) { store(insn, machine); }};
}

}  // namespace zebra::fsim
