// The rules that one instruction can break by itself, in the order of docs/architecture.md.
#ifndef ZEBRA_FSIM_STATIC_RULES_H_
#define ZEBRA_FSIM_STATIC_RULES_H_

#include <cstdint>

#include "fsim/insn.h"
#include "fsim/tokens.h"
#include "zebra/isa.h"

namespace zebra::fsim {

constexpr std::uint64_t kMaxIterations = 1 << 24;

inline const char* kind_of(isa::Opcode opcode) {
  static constexpr const char* kNames[] = {"", "LOAD", "STORE", "FILL", "GEMM", "ACCUM", "POST"};
  return kNames[static_cast<std::size_t>(opcode)];
}

template <typename Insn>
void check_header(const Site& site, const Insn& insn) {
  const std::uint32_t own = 1u << static_cast<unsigned>(Insn::kEngine);
  const auto check = [&](const char* name, std::uint32_t mask) {
    if (mask & own)
      refuse(site, Status::kOperandError, name, " = ", mask, " names its own engine ",
             name_of(Insn::kEngine), ", a queue in order anyway");
  };
  check("wait", insn.wait);
  check("signal", insn.signal);
}

// The nest's iterations; throws an Error (kOperandError) beyond kMaxIterations.
template <typename Insn>
std::uint64_t count_iterations(const Site& site, const Insn& insn) {
  std::uint64_t count = 1;
  for (const auto& level : insn.loops) {
    count *= level.extent;  // at most 2^24 * 2^16 before the check
    if (count > kMaxIterations)
      refuse(site, Status::kOperandError, "at least ", count, " iterations are more than ",
             kMaxIterations, "; split the nest");
  }
  return count;
}

// visit(site, insn, iterations) of instruction `index` at `bytes`, which keeps the static rules;
// throws an Error (kEncodingError, kOperandError) if it does not.
template <typename Visit>
void visit_instruction(std::uint64_t index, const std::uint8_t* bytes, const HwSizes& sizes,
                       Visit visit) {
  isa::Opcode opcode;
  if (!isa::decode_opcode(bytes, &opcode))
    fail(Status::kEncodingError, "instruction ", index, ": opcode ",
         static_cast<unsigned>(bytes[0] & 15u), " is not an instruction");
  const Site site = {index, kind_of(opcode)};
  const auto checked = [&](auto insn) {
    if (!isa::decode(bytes, &insn))
      refuse(site, Status::kEncodingError, "unused bits are set or an enum value is unknown");
    check_header(site, insn);
    const std::uint64_t iterations = count_iterations(site, insn);
    check_rules(site, insn, sizes);
    visit(site, insn, iterations);
  };
  switch (opcode) {
    case isa::Opcode::Load:
      return checked(isa::Load());
    case isa::Opcode::Store:
      return checked(isa::Store());
    case isa::Opcode::Fill:
      return checked(isa::Fill());
    case isa::Opcode::Gemm:
      return checked(isa::Gemm());
    case isa::Opcode::Accum:
      return checked(isa::Accum());
    case isa::Opcode::Post:
      return checked(isa::Post());
  }
}

}  // namespace zebra::fsim

#endif  // ZEBRA_FSIM_STATIC_RULES_H_
