#include <algorithm>
#include <cstring>

#include "fsim/insn.h"
#include "fsim/nest.h"

namespace zebra::fsim {
namespace {

using isa::Memory;

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "PAR is copied as little-endian int32");

constexpr std::uint8_t kZero = 128;  // int8 0 as ACT holds it

constexpr std::uint64_t kShareBytes = 1 << 14;

// DRAM bytes of one entry.
std::uint64_t entry_bytes(const isa::Load& insn, std::uint64_t block) {
  if (insn.memory == Memory::ACT) return insn.lanes;
  if (insn.memory == Memory::WGT) return block * block;
  if (insn.memory == Memory::TAB) return 256;
  return insn.widen ? block : 4 * block;
}

// One ACT vector.
void load_vector(const isa::Load& insn, std::uint64_t block, const std::uint8_t* from,
                 std::uint8_t* to) {
  if (!insn.merge) std::memset(to, kZero, block);
  for (std::uint64_t k = 0; k < insn.lanes; ++k)
    to[insn.lane + k] = from[k * insn.lane_stride] ^ 0x80;
}

void load_entry(const isa::Load& insn, const Machine& machine, std::uint64_t dram,
                std::uint64_t sram) {
  const std::uint64_t block = machine.sizes.block;
  const std::uint8_t* from = machine.dram + dram;
  if (insn.memory == Memory::ACT)
    return load_vector(insn, block, from, machine.act.data() + sram * block);
  if (insn.memory == Memory::WGT)
    return machine.kernels.load_tile(block, from, machine.wgt.data() + sram * block * block);
  if (insn.memory == Memory::TAB) {
    std::memcpy(machine.tab.data() + sram * 256, from, 256);
    return;
  }
  std::int32_t* to = machine.par.data() + sram * block;
  if (insn.widen)
    for (std::uint64_t l = 0; l < block; ++l) to[l] = static_cast<std::int8_t>(from[l]);
  else
    std::memcpy(to, from, 4 * block);
}

}  // namespace

void check_rules(const Site& site, const isa::Load& insn, const HwSizes& sizes) {
  const Status bad = Status::kOperandError;
  if (insn.lane + insn.lanes > sizes.block)
    refuse(site, bad, "lane ", insn.lane, " + lanes ", insn.lanes, " = ", insn.lane + insn.lanes,
           " is more than BLOCK = ", sizes.block);
  if (insn.memory == Memory::ACC || insn.memory == Memory::DRAM)
    refuse(site, bad, "memory = ", name_of(insn.memory),
           " cannot be loaded; ACT, WGT, PAR and TAB can");
  if (insn.memory != Memory::ACT &&
      (insn.lane != 0 || insn.lanes != sizes.block || insn.lane_stride != 1 || insn.merge))
    refuse(site, bad, "lane = ", insn.lane, ", lanes = ", insn.lanes,
           ", lane_stride = ", insn.lane_stride, ", merge = ", insn.merge, " must be 0, ",
           sizes.block, ", 1, 0: ", name_of(insn.memory), " takes whole entries");
  if (insn.widen && insn.memory != Memory::PAR)
    refuse(site, bad, "widen is for PAR, not for ", name_of(insn.memory));
}

Operands operands(const isa::Load& insn, const HwSizes& sizes) {
  Operands result;
  Footprint source = footprint_of(insn.dram, insn.loops, &isa::DmaLevel::dram);
  if (insn.memory == Memory::ACT)
    source.add(insn.lanes, insn.lane_stride);
  else
    source.add(entry_bytes(insn, sizes.block), 1);
  const Footprint destination = footprint_of(insn.sram, insn.loops, &isa::DmaLevel::sram);
  result.read("source", Memory::DRAM, source);
  if (insn.merge && insn.lanes < sizes.block) result.read("merged lanes", insn.memory, destination);
  result.write("destination", insn.memory, destination);
  return result;
}

Work plan(const isa::Load& insn, Machine& machine) {
  Nest<2> nest;
  for (const isa::DmaLevel& level : insn.loops) nest.add(level.extent, {level.dram, level.sram});
  const std::uint64_t block = machine.sizes.block, entries = nest.iterations();
  const bool whole = insn.memory == Memory::ACT && insn.lanes == block && insn.lane_stride == 1;
  std::uint64_t run = 1;
  if (whole && nest.depth() > 0 && nest.level(0).strides == Nest<2>::Offsets{block, 1})
    run = nest.pop(0).extent;
  const bool independent = footprint_of(insn.sram, insn.loops, &isa::DmaLevel::sram).injective();
  const Shares shares(nest.iterations(), entries * entry_bytes(insn, block), kShareBytes,
                      independent ? machine.threads : 1);
  const auto load = [insn, &machine, nest, whole, run, shares](std::size_t part) {
    nest.walk(shares.first(part), shares.size(part),
              [&](const Nest<2>::Offsets& at, const std::uint64_t*) {
                const std::uint64_t dram = insn.dram + at[0], sram = insn.sram + at[1];
                if (!whole) return load_entry(insn, machine, dram, sram);
                const std::uint64_t block = machine.sizes.block;
                machine.kernels.copy_flipped(machine.dram + dram, machine.act.data() + sram * block,
                                             run * block);
              });
  };
  return {shares.parts, load};
}

}  // namespace zebra::fsim
