// Packing of inputs whose kernel taps become channels.
#ifndef ZEBRA_RUNTIME_FOLD_H_
#define ZEBRA_RUNTIME_FOLD_H_

#include <cstdint>

#include "zebra/artifact.h"

namespace zebra {

// Fold images that lie pixel by pixel, [N][H][W][C], as `port` says, and write
// [N][ceil(taps * C / block)][H'][W'][block]; padding lanes become 0. `dense` holds the bytes of
// `port.dims` and nothing else is read.
void PackFolded(const InputPort& port, uint64_t block, const int8_t* dense, int8_t* blocked);

}  // namespace zebra

#endif  // ZEBRA_RUNTIME_FOLD_H_
