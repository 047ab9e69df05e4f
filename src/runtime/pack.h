// Between the caller's dense arrays and the blocked values of the DRAM.
#ifndef ZEBRA_RUNTIME_PACK_H_
#define ZEBRA_RUNTIME_PACK_H_

#include <cstdint>

#include "zebra/artifact.h"

namespace zebra {

// Write the dense array of `port`, folded, as [N][ceil(C / block)][H][W][block]; padding lanes
// become 0.
void Pack(const InputPort& port, uint32_t block, const int8_t* dense, int8_t* blocked);

// Write all pieces of `port` to its dense array; `dram` is all of DRAM.
void Unpack(const OutputPort& port, uint32_t block, const int8_t* dram, int8_t* dense);

}  // namespace zebra

#endif  // ZEBRA_RUNTIME_PACK_H_
