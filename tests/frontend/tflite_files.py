"""TFLite models made for the tests: one fully connected layer, float or int8."""

from __future__ import annotations

from dataclasses import dataclass

import flatbuffers
import numpy as np
import numpy.typing as npt
import tflite

WEIGHTS = np.array([[1, -2, 3, 4], [5, 6, -7, 8]], np.int8)
INPUT_SCALE, WEIGHT_SCALE, OUTPUT_SCALE = 0.5, 0.25, 1.0
INPUT_ZERO, OUTPUT_ZERO = 3, -5


@dataclass(frozen=True)
class Tensor:
    name: str
    shape: tuple[int, ...]
    dtype: int
    buffer: int = 0
    scale: float | None = None
    zero_point: int = 0


def fully_connected(quantized: bool) -> bytes:
    """y[1, 2] = x[1, 4] @ WEIGHTS.T, weights as above (times WEIGHT_SCALE if quantized)."""
    weights = WEIGHTS if quantized else WEIGHTS.astype(np.float32)
    kind = tflite.TensorType.INT8 if quantized else tflite.TensorType.FLOAT32
    scales = (INPUT_SCALE, WEIGHT_SCALE, OUTPUT_SCALE) if quantized else (None, None, None)
    tensors = [
        Tensor("x", (1, 4), kind, 0, scales[0], INPUT_ZERO),
        Tensor("w", (2, 4), kind, 1, scales[1]),
        Tensor("y", (1, 2), kind, 0, scales[2], OUTPUT_ZERO),
    ]
    return one_operator(tflite.BuiltinOperator.FULLY_CONNECTED, tensors, weights)


def one_operator(code: int, tensors: list[Tensor], weights: npt.NDArray[np.generic]) -> bytes:
    """A model of the one operator ``code``: inputs are all tensors but the last, the output."""
    b = flatbuffers.Builder(1024)
    empty, data = _buffer(b, b""), _buffer(b, weights.tobytes())
    buffers = _offsets(b, tflite.ModelStartBuffersVector, [empty, data])
    rows = _offsets(b, tflite.SubGraphStartTensorsVector, [_tensor(b, t) for t in tensors])
    last = len(tensors) - 1
    operators = _offsets(b, tflite.SubGraphStartOperatorsVector, [_operator(b, code, last)])
    inputs = b.CreateNumpyVector(np.array([0], np.int32))
    outputs = b.CreateNumpyVector(np.array([last], np.int32))
    tflite.SubGraphStart(b)
    tflite.SubGraphAddTensors(b, rows)
    tflite.SubGraphAddInputs(b, inputs)
    tflite.SubGraphAddOutputs(b, outputs)
    tflite.SubGraphAddOperators(b, operators)
    graph = tflite.SubGraphEnd(b)
    tflite.OperatorCodeStart(b)
    tflite.OperatorCodeAddDeprecatedBuiltinCode(b, min(code, 127))
    tflite.OperatorCodeAddBuiltinCode(b, code)
    opcode = tflite.OperatorCodeEnd(b)
    codes = _offsets(b, tflite.ModelStartOperatorCodesVector, [opcode])
    graphs = _offsets(b, tflite.ModelStartSubgraphsVector, [graph])
    tflite.ModelStart(b)
    tflite.ModelAddVersion(b, 3)
    tflite.ModelAddOperatorCodes(b, codes)
    tflite.ModelAddSubgraphs(b, graphs)
    tflite.ModelAddBuffers(b, buffers)
    b.Finish(tflite.ModelEnd(b), b"TFL3")
    return bytes(b.Output())


def _offsets(b: flatbuffers.Builder, start: object, items: list[int]) -> int:
    start(b, len(items))  # type: ignore[operator]
    for item in reversed(items):
        b.PrependUOffsetTRelative(item)
    return int(b.EndVector())


def _buffer(b: flatbuffers.Builder, content: bytes) -> int:
    data = b.CreateByteVector(content) if content else None
    tflite.BufferStart(b)
    if data is not None:
        tflite.BufferAddData(b, data)
    return int(tflite.BufferEnd(b))


def _tensor(b: flatbuffers.Builder, tensor: Tensor) -> int:
    name = b.CreateString(tensor.name)
    shape = b.CreateNumpyVector(np.array(tensor.shape, np.int32))
    quantization = None
    if tensor.scale is not None:
        scale = b.CreateNumpyVector(np.array([tensor.scale], np.float32))
        zero = b.CreateNumpyVector(np.array([tensor.zero_point], np.int64))
        tflite.QuantizationParametersStart(b)
        tflite.QuantizationParametersAddScale(b, scale)
        tflite.QuantizationParametersAddZeroPoint(b, zero)
        quantization = tflite.QuantizationParametersEnd(b)
    tflite.TensorStart(b)
    tflite.TensorAddShape(b, shape)
    tflite.TensorAddType(b, tensor.dtype)
    tflite.TensorAddBuffer(b, tensor.buffer)
    tflite.TensorAddName(b, name)
    if quantization is not None:
        tflite.TensorAddQuantization(b, quantization)
    return int(tflite.TensorEnd(b))


def _operator(b: flatbuffers.Builder, code: int, last: int) -> int:
    inputs = b.CreateNumpyVector(np.arange(last, dtype=np.int32))
    outputs = b.CreateNumpyVector(np.array([last], np.int32))
    tflite.FullyConnectedOptionsStart(b)
    options = tflite.FullyConnectedOptionsEnd(b)
    tflite.OperatorStart(b)
    tflite.OperatorAddOpcodeIndex(b, 0)
    tflite.OperatorAddInputs(b, inputs)
    tflite.OperatorAddOutputs(b, outputs)
    if code == tflite.BuiltinOperator.FULLY_CONNECTED:
        tflite.OperatorAddBuiltinOptionsType(b, tflite.BuiltinOptions.FullyConnectedOptions)
        tflite.OperatorAddBuiltinOptions(b, options)
    return int(tflite.OperatorEnd(b))
