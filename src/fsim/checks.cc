#include "fsim/checks.h"

#include "common/error.h"

namespace zebra::fsim {
namespace {

void check_operand_bounds(const Site& site, const Operand& operand, const Memories& memories) {
  const std::uint64_t capacity = memories.capacity(operand.memory);
  const Footprint& touched = operand.footprint;
  if (touched.last() >= capacity)
    refuse(site, Status::kAddressError, operand.name, ": ", name_of(operand.memory), " ",
           unit_of(operand.memory), "s ", touched.first(), "..", touched.last(),
           " leaves the memory's ", capacity, " ", unit_of(operand.memory), "s");
  const std::uint64_t constants = memories.program.constant_bytes;
  if (operand.use == Use::kWrite && operand.memory == isa::Memory::DRAM &&
      touched.first() < constants)
    refuse(site, Status::kAddressError, operand.name, ": DRAM bytes ", touched.first(), "..",
           touched.last(), " starts inside the ", constants, " constant bytes");
}

void check_operand_written(const Site& site, const Operand& operand, const Memories& memories) {
  std::uint64_t missing = 0;
  if (operand.use == Use::kRead && !memories.written(operand.memory, operand.footprint, &missing))
    refuse(site, Status::kUninitializedError, operand.name, " reads ", name_of(operand.memory), " ",
           unit_of(operand.memory), " ", missing, ", which nothing wrote");
}

}  // namespace

void check_bounds(const Site& site, const Operands& touched, const Memories& memories) {
  for (const Operand& operand : touched) check_operand_bounds(site, operand, memories);
}

void check_written(const Site& site, const Operands& touched, const Memories& memories) {
  for (const Operand& operand : touched) check_operand_written(site, operand, memories);
}

void mark_written(const Operands& touched, Memories* memories) {
  for (const Operand& operand : touched)
    if (operand.use == Use::kWrite) memories->mark(operand.memory, operand.footprint);
}

void check_outputs(const Memories& memories) {
  std::uint64_t missing = 0;
  for (const Span& span : memories.program.outputs)
    if (!memories.written_span(span, &missing))
      fail(Status::kUninitializedError, "the program ends but the output span ", span.start, "..",
           span.start + span.size, " was not wholly written, the first missing byte is ", missing);
}

const char* name_of(isa::Memory memory) {
  static constexpr const char* kNames[] = {"ACT", "WGT", "ACC", "PAR", "TAB", "DRAM"};
  return kNames[static_cast<std::size_t>(memory)];
}

const char* unit_of(isa::Memory memory) {
  static constexpr const char* kUnits[] = {"vector", "tile", "vector", "vector", "table", "byte"};
  return kUnits[static_cast<std::size_t>(memory)];
}

}  // namespace zebra::fsim
