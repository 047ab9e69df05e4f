#include "fsim/machine.h"

#include <algorithm>

namespace zebra::fsim {
namespace {

std::size_t index(isa::Memory memory) { return static_cast<std::size_t>(memory); }

// First address of [start, start + count) whose bit is clear; there must be one.
std::uint64_t first_clear(const Bitmap& bits, std::uint64_t start) {
  while (bits.test(start)) ++start;
  return start;
}

}  // namespace

Machine::Machine(const HwSizes& hw, const Program& contract, std::uint8_t* memory,
                 unsigned thread_count, const Kernels& kernel_set)
    : sizes(hw),
      program(contract),
      dram(memory),
      threads(thread_count),
      kernels(kernel_set),
      act(std::size_t{hw.act} * hw.block),
      wgt(std::size_t{hw.wgt} * hw.block * hw.block),
      acc(std::size_t{hw.acc} * hw.block),
      par(std::size_t{hw.par} * hw.block),
      tab(std::size_t{hw.tab} * 256),
      written_{Bitmap(hw.act), Bitmap(hw.wgt),
               Bitmap(hw.acc), Bitmap(hw.par),
               Bitmap(hw.tab), Bitmap(contract.dram_bytes - contract.constant_bytes)} {}

std::uint64_t Machine::capacity(isa::Memory memory) const {
  switch (memory) {
    case isa::Memory::ACT:
      return sizes.act;
    case isa::Memory::WGT:
      return sizes.wgt;
    case isa::Memory::ACC:
      return sizes.acc;
    case isa::Memory::PAR:
      return sizes.par;
    case isa::Memory::TAB:
      return sizes.tab;
    case isa::Memory::DRAM:
      break;
  }
  return program.dram_bytes;
}

bool Machine::written(isa::Memory memory, const Footprint& footprint,
                      std::uint64_t* missing) const {
  const Bitmap& bits = written_[index(memory)];
  const std::uint64_t below = memory == isa::Memory::DRAM ? program.constant_bytes : 0;
  const auto check = [&](std::uint64_t start, std::uint64_t count) {
    const std::uint64_t first = std::max(start, below), stop = start + count;
    return first >= stop || bits.all(first - below, stop - first);
  };
  const auto find = [&](std::uint64_t start, std::uint64_t count) {
    if (check(start, count)) return true;
    *missing = first_clear(bits, std::max(start, below) - below) + below;
    return false;
  };
  // Where the runs are many and short, all that lies between them is quicker to look at.
  const bool short_runs = footprint.length() / 64 < footprint.run_count();
  return (short_runs && check(footprint.first(), footprint.length())) ||
         footprint.for_each_run(find);
}

void Machine::mark(isa::Memory memory, const Footprint& footprint) {
  Bitmap& bits = written_[index(memory)];
  const std::uint64_t below = memory == isa::Memory::DRAM ? program.constant_bytes : 0;
  footprint.for_each_run([&](std::uint64_t start, std::uint64_t count) {
    const std::uint64_t first = std::max(start, below), stop = start + count;
    if (first < stop) bits.set(first - below, stop - first);
    return true;
  });
}

bool Machine::written_span(const Span& span, std::uint64_t* missing) const {
  Footprint bytes(span.start);
  bytes.add(span.size, 1);
  return span.size == 0 || written(isa::Memory::DRAM, bytes, missing);
}

void Machine::mark_span(const Span& span) {
  Footprint bytes(span.start);
  bytes.add(span.size, 1);
  if (span.size > 0) mark(isa::Memory::DRAM, bytes);
}

}  // namespace zebra::fsim
