"""ResNet-18 as ONNX Runtime quantizes it, for a comparison of run times.

The network is torchvision's graph (batch norms folded) with seeded random weights, made by
onnx.helper and quantized by onnxruntime: QDQ, uint8 activations, int8 weights per channel, which
is the form that ONNX Runtime recommends for x86.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)

SHAPE = (1, 3, 224, 224)


class Network:
    """The nodes and constants so far; each method appends some and names their output."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def node(self, kind: str, *inputs: str, **attributes: object) -> str:
        """One operator."""
        output = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def weights(self, *shape: int) -> str:
        """Random values of variance 2 / fan-in."""
        values = self.rng.standard_normal(shape) * (2 / np.prod(shape[1:])) ** 0.5
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name

    def conv(self, x: str, ins: int, outs: int, k: int, stride: int) -> str:
        """A convolution that keeps the size at stride 1."""
        weights, bias = self.weights(outs, ins, k, k), self.weights(outs)
        pads, strides = [k // 2] * 4, [stride, stride]
        return self.node("Conv", x, weights, bias, kernel_shape=[k, k], pads=pads, strides=strides)

    def block(self, x: str, ins: int, outs: int, stride: int) -> str:
        """Two convolutions and the way around them."""
        y = self.node("Relu", self.conv(x, ins, outs, 3, stride))
        y = self.conv(y, outs, outs, 3, 1)
        if stride > 1:
            x = self.conv(x, ins, outs, 1, stride)
        return self.node("Relu", self.node("Add", y, x))


def make_float(path: Path, seed: int = 0) -> None:
    """The float network, input "x" of SHAPE, output [1, 1000]."""
    network, ins = Network(seed), 64
    x = network.node("Relu", network.conv("x", 3, 64, 7, 2))
    window = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}
    x = network.node("MaxPool", x, **window)
    for outs in (64, 128, 256, 512):
        x = network.block(x, ins, outs, outs // ins)
        x = network.block(x, outs, outs, 1)
        ins = outs
    x = network.node("Flatten", network.node("GlobalAveragePool", x))
    x = network.node("Gemm", x, network.weights(1000, 512), network.weights(1000), transB=1)
    graph = helper.make_graph(
        network.nodes,
        "resnet18",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE)],
        [helper.make_tensor_value_info(x, TensorProto.FLOAT, [1, 1000])],
        network.constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.save(model, path)


def picture(seed: int) -> np.ndarray:
    """A random input."""
    return np.random.default_rng(seed).standard_normal(SHAPE).astype(np.float32)


class Pictures(CalibrationDataReader):  # type: ignore[misc]
    """Four random inputs."""

    def __init__(self) -> None:
        self.rest = iter([picture(seed) for seed in range(1, 5)])

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next one."""
        x = next(self.rest, None)
        return None if x is None else {"x": x}


def make_quantized(path: Path) -> None:
    """The network at ``path``, quantized."""
    source = path.with_suffix(".float.onnx")
    make_float(source)
    quantize_static(
        str(source),
        str(path),
        Pictures(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )


Inference = Callable[[np.ndarray], np.ndarray]


def on_zebra(path: Path) -> Inference:
    """The quantized network built for target zebra: one region, simulated; its scores."""
    from common import build

    import zebra
    from zebra.relay import legalize

    run = build(legalize(zebra.quantize(*zebra.load(path))), "zebra")
    return lambda x: run({"x": x})[0]


def on_onnx_runtime(path: Path, threads: int) -> Inference:
    """The quantized network in ONNX Runtime, with all its optimizations; its scores."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    return lambda x: np.asarray(session.run(None, {"x": x})[0])
