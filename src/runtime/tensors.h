// TVM's arguments to a Runner's plain pointers.
#ifndef ZEBRA_RUNTIME_TENSORS_H_
#define ZEBRA_RUNTIME_TENSORS_H_

#include <tvm/runtime/packed_func.h>

#include "runner.h"

namespace zebra {

// Run on tensors: the inputs, then the outputs. Each must be int8, on the CPU, of the port's
// shape and contiguous; RunError (InputError) says which is not and what is.
void RunOnTensors(Runner* runner, tvm::runtime::TVMArgs args);

// Run on bare data pointers: a name, which is skipped, the inputs, then the outputs.
void RunOnPointers(Runner* runner, tvm::runtime::TVMArgs args);

}  // namespace zebra

#endif  // ZEBRA_RUNTIME_TENSORS_H_
