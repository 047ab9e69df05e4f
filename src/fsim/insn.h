// What each instruction is, once per kind, in insn_<kind>.cc: its static rules, what it touches
// and what it does. Everything else (decoding, tokens, limits, initialisation) is simulator.cc.
#ifndef ZEBRA_FSIM_INSN_H_
#define ZEBRA_FSIM_INSN_H_

#include <cstdint>

#include "common/error.h"
#include "fsim/machine.h"
#include "fsim/operand.h"
#include "fsim/work.h"
#include "zebra/isa.h"

namespace zebra::fsim {

// The instruction that an error is about.
struct Site {
  std::uint64_t index;
  const char* kind;
};

template <typename... Parts>
[[noreturn]] void refuse(const Site& site, Status status, const Parts&... parts) {
  fail(status, "instruction ", site.index, " (", site.kind, "): ", parts...);
}

const char* name_of(isa::Memory memory);
const char* unit_of(isa::Memory memory);

// Throw an Error (kOperandError) if the instruction breaks a static rule of its kind.
void check_rules(const Site& site, const isa::Load& insn, const HwSizes& sizes);
void check_rules(const Site& site, const isa::Store& insn, const HwSizes& sizes);
void check_rules(const Site& site, const isa::Fill& insn, const HwSizes& sizes);
void check_rules(const Site& site, const isa::Gemm& insn, const HwSizes& sizes);
void check_rules(const Site& site, const isa::Accum& insn, const HwSizes& sizes);
void check_rules(const Site& site, const isa::Post& insn, const HwSizes& sizes);

// Everything the instruction reads and writes; unused operands are left out.
Operands operands(const isa::Load& insn, const HwSizes& sizes);
Operands operands(const isa::Store& insn, const HwSizes& sizes);
Operands operands(const isa::Fill& insn, const HwSizes& sizes);
Operands operands(const isa::Gemm& insn, const HwSizes& sizes);
Operands operands(const isa::Accum& insn, const HwSizes& sizes);
Operands operands(const isa::Post& insn, const HwSizes& sizes);

// Throw an Error (kOperandError) if a parameter in PAR cannot be used. Only POST has such rules.
void check_parameters(const Site& site, const isa::Post& insn, const Machine& machine);

// What remains to be done. All checks have passed.
Work plan(const isa::Load& insn, Machine& machine);
Work plan(const isa::Store& insn, Machine& machine);
Work plan(const isa::Fill& insn, Machine& machine);
Work plan(const isa::Gemm& insn, Machine& machine);
Work plan(const isa::Accum& insn, Machine& machine);
Work plan(const isa::Post& insn, Machine& machine);

}  // namespace zebra::fsim

#endif  // ZEBRA_FSIM_INSN_H_
