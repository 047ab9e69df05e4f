#include "fsim/memories.h"

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

Memories::Memories(const HwSizes& hw, const Program& contract)
    : sizes(hw),
      program(contract),
      written_{Bitmap(hw.act), Bitmap(hw.wgt),
               Bitmap(hw.acc), Bitmap(hw.par),
               Bitmap(hw.tab), Bitmap(contract.dram_bytes - contract.constant_bytes)} {
  for (const Span& span : program.inputs) mark_span(span);
}

std::uint64_t Memories::capacity(isa::Memory memory) const {
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

bool Memories::written(isa::Memory memory, const Footprint& footprint,
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

void Memories::mark(isa::Memory memory, const Footprint& footprint) {
  Bitmap& bits = written_[index(memory)];
  const std::uint64_t below = memory == isa::Memory::DRAM ? program.constant_bytes : 0;
  footprint.for_each_run([&](std::uint64_t start, std::uint64_t count) {
    const std::uint64_t first = std::max(start, below), stop = start + count;
    if (first < stop) bits.set(first - below, stop - first);
    return true;
  });
}

bool Memories::written_span(const Span& span, std::uint64_t* missing) const {
  Footprint bytes(span.start);
  bytes.add(span.size, 1);
  return span.size == 0 || written(isa::Memory::DRAM, bytes, missing);
}

void Memories::mark_span(const Span& span) {
  Footprint bytes(span.start);
  bytes.add(span.size, 1);
  if (span.size > 0) mark(isa::Memory::DRAM, bytes);
}

}  // namespace zebra::fsim
