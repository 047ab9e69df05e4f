// Vectors of int32 lanes, as the compiler knows them for every instruction set.
#ifndef ZEBRA_FSIM_LANES_H_
#define ZEBRA_FSIM_LANES_H_

#include <cstdint>

namespace zebra::fsim {

template <int L>
using I32 __attribute__((vector_size(4 * L))) = std::int32_t;

}  // namespace zebra::fsim

#endif  // ZEBRA_FSIM_LANES_H_
