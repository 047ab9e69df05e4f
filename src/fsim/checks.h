// The checks of an instruction's operands, in the order of docs/architecture.md.
#ifndef ZEBRA_FSIM_CHECKS_H_
#define ZEBRA_FSIM_CHECKS_H_

#include "fsim/insn.h"
#include "fsim/memories.h"
#include "fsim/operand.h"

namespace zebra::fsim {

// Throws an Error (kAddressError) for an operand that leaves its memory or writes a constant.
void check_bounds(const Site& site, const Operands& touched, const Memories& memories);

// Throws an Error (kUninitializedError) for a read of what nothing wrote.
void check_written(const Site& site, const Operands& touched, const Memories& memories);

// Record what an instruction wrote.
void mark_written(const Operands& touched, Memories* memories);

// Throws an Error (kUninitializedError) if a byte of an output span was never written.
void check_outputs(const Memories& memories);

}  // namespace zebra::fsim

#endif  // ZEBRA_FSIM_CHECKS_H_
