#include <cstring>

#include "fsim/insn.h"
#include "fsim/nest.h"

namespace zebra::fsim {

void check_rules(const Site&, const isa::Fill&, const HwSizes&) {}

Operands operands(const isa::Fill& insn, const HwSizes&) {
  Operands result;
  result.write("destination", isa::Memory::ACT,
               footprint_of(insn.sram, insn.loops, &isa::FillLevel::sram));
  return result;
}

Work plan(const isa::Fill& insn, Machine& machine) {
  const auto fill = [&machine, insn](std::size_t) {
    const std::uint64_t block = machine.sizes.block;
    const Footprint destination = footprint_of(insn.sram, insn.loops, &isa::FillLevel::sram);
    destination.merged().for_each_run([&](std::uint64_t start, std::uint64_t count) {
      std::memset(machine.act.data() + start * block, insn.value + 128, count * block);
      return true;
    });
  };
  return {1, fill};
}

}  // namespace zebra::fsim
