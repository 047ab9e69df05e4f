// What must hold before the first instruction: the sizes and the DRAM contract.
#ifndef ZEBRA_FSIM_LIMITS_H_
#define ZEBRA_FSIM_LIMITS_H_

#include "zebra/simulator.h"

namespace zebra::fsim {

// Throws an Error (kDriverError) unless `sizes` can be those of an HwConfig.
void check_sizes(const HwSizes& sizes);

// Throws an Error: kAddressError for a span or constants outside DRAM, kEncodingError for code
// that is no whole number of instructions.
void check_program(const Program& program);

}  // namespace zebra::fsim

#endif  // ZEBRA_FSIM_LIMITS_H_
