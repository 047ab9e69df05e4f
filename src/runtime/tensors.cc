#include "tensors.h"

#include <tvm/runtime/data_type.h>
#include <tvm/runtime/ndarray.h>

namespace zebra {
namespace {

using tvm::runtime::TVMArgs;

std::string ShapeText(const int64_t* extents, size_t rank) {
  std::string text;
  for (size_t i = 0; i < rank; ++i) text += (i == 0 ? "" : ", ") + std::to_string(extents[i]);
  return "(" + text + ")";
}

bool Contiguous(const DLTensor& tensor) {
  if (tensor.strides == nullptr) return true;
  int64_t expected = 1;
  for (int axis = tensor.ndim - 1; axis >= 0; --axis) {
    if (tensor.shape[axis] != 1 && tensor.strides[axis] != expected) return false;
    expected *= tensor.shape[axis];
  }
  return true;
}

[[noreturn]] void Refuse(const TensorPort& port, const std::string& what) {
  throw RunError("InputError", "tensor " + port.name + " " + what);
}

int8_t* CheckedData(const TensorPort& port, const DLTensor* tensor) {
  if (tensor == nullptr || tensor->data == nullptr) Refuse(port, "is null; give an int8 array");
  const tvm::runtime::DataType type(tensor->dtype);
  if (type != tvm::runtime::DataType::Int(8)) {
    Refuse(port,
           "has dtype " + tvm::runtime::DLDataType2String(tensor->dtype) + "; give an int8 array");
  }
  if (tensor->device.device_type != kDLCPU) {
    Refuse(port, "is on device type " + std::to_string(tensor->device.device_type) +
                     "; give an array on the CPU");
  }
  const std::vector<int64_t>& shape = port.shape;
  if (static_cast<size_t>(tensor->ndim) != shape.size() ||
      !std::equal(shape.begin(), shape.end(), tensor->shape)) {
    Refuse(port, "has shape " + ShapeText(tensor->shape, tensor->ndim) + "; give " +
                     ShapeText(shape.data(), shape.size()));
  }
  if (!Contiguous(*tensor)) Refuse(port, "is not contiguous; give a compact row-major array");
  return static_cast<int8_t*>(tensor->data) + tensor->byte_offset;
}

void CheckCount(const Artifact& artifact, int count) {
  if (static_cast<size_t>(count) == artifact.inputs.size() + artifact.outputs.size()) return;
  throw RunError("InputError", std::to_string(count) + " tensors were given; give " +
                                   std::to_string(artifact.inputs.size()) + " inputs and " +
                                   std::to_string(artifact.outputs.size()) + " outputs");
}

// Run with `pointer(port, i)` as the data of the i-th tensor.
template <typename Pointer>
void RunWith(Runner* runner, Pointer pointer) {
  const Artifact& artifact = runner->artifact();
  std::vector<const int8_t*> inputs;
  std::vector<int8_t*> outputs;
  for (const TensorPort& port : artifact.inputs) {
    inputs.push_back(pointer(port, static_cast<int>(inputs.size())));
  }
  for (const TensorPort& port : artifact.outputs) {
    outputs.push_back(pointer(port, static_cast<int>(inputs.size() + outputs.size())));
  }
  runner->Run(inputs, outputs);
}

}  // namespace

void RunOnTensors(Runner* runner, TVMArgs args) {
  CheckCount(runner->artifact(), args.size());
  RunWith(runner, [&](const TensorPort& port, int i) {
    const int code = args[i].type_code();
    if (code != kTVMDLTensorHandle && code != kTVMNDArrayHandle) {
      Refuse(port, "is not a tensor; give an int8 array");
    }
    return CheckedData(port, args[i].operator DLTensor*());
  });
}

void RunOnPointers(Runner* runner, TVMArgs args) {
  CheckCount(runner->artifact(), args.size() - 1);
  RunWith(runner, [&](const TensorPort& port, int i) {
    auto* data = static_cast<int8_t*>(args[i + 1].operator void*());
    if (data == nullptr) Refuse(port, "is null; give an int8 array");
    return data;
  });
}

}  // namespace zebra
