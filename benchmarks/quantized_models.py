"""Networks that come quantized: exact to the oracle, and beside their own framework.

    python benchmarks/quantized_models.py --data DIR [--pictures 100]

int8 TFLite networks against the TFLite interpreter (ai-edge-litert) and a small
convolutional network quantized by onnxruntime in QDQ and in QOperator form
against ONNX Runtime. One JSON line per network: inputs, equal (inputs on which
every element equals the oracle's), top1_equal with the framework's own int8
answer, and of the differences: ties (Zebra's own best two scores are equal or
the framework's are) and unstable (the framework's optimized and reference
kernels give different answers: rounding decides); then regions, mac_share and
what stays on the host.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from common import Arrays, build, build_oracle, crop, equal, photographs

import zebra

Framework = Callable[[np.ndarray], np.ndarray]


def litert(path: Path, reference: bool = False) -> Framework:
    """The TFLite interpreter's first output, with its optimized or its reference kernels."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    kernels = OpResolverType.BUILTIN_REF if reference else OpResolverType.AUTO
    interpreter = Interpreter(str(path), experimental_op_resolver_type=kernels)
    interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]
    target = interpreter.get_output_details()[0]

    def run(x: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(source["index"], x.reshape(source["shape"]))
        interpreter.invoke()
        return np.asarray(interpreter.get_tensor(target["index"]))

    return run


def onnx_runtime(path: Path, reference: bool = False) -> Framework:
    """ONNX Runtime's first output, node by node, or with its fused integer kernels."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = (
        levels.ORT_ENABLE_ALL if reference else levels.ORT_DISABLE_ALL
    )
    session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: np.asarray(session.run(None, {name: x})[0])


def cifar(data: Path, count: int) -> np.ndarray:
    """CIFAR-10 test pictures, uint8 [count, 32, 32, 3]."""
    return np.load(data / "cifar10_test.npz")["x"][:count]


def signed(pixels: np.ndarray) -> np.ndarray:
    """uint8 pixels as int8 (minus 128)."""
    return (pixels.astype(np.int16) - 128).astype(np.int8)


def inputs_of(name: str, data: Path, count: int) -> list[np.ndarray]:
    """Real inputs of each TFLite network."""
    paths = photographs(data / "imagenet1000_s256")
    chosen = [paths[i] for i in np.linspace(0, len(paths) - 1, count).astype(int)]
    if "resnet8" in name:
        return [signed(x)[None] for x in cifar(data, count)]
    if "kws" in name:
        samples = np.load(data / "kws_int8_inputs.npz")["x"][:count]
        return [x.reshape(1, 49, 10, 1) for x in samples]
    if "vww" in name:
        return [signed(crop(path, 96, 96))[None] for path in chosen]
    pixels = [crop(path, 224, 256)[None] for path in chosen]
    return pixels if "mobilenet_v2" in name else [signed(x) for x in pixels]


TFLITE = (
    "tf2_mobilenet_v2_1.0_224_ptq",
    "mlperf_tiny_resnet8_int8",
    "mlperf_tiny_vww_int8",
    "mlperf_tiny_kws_int8",
)


def is_tie(scores: np.ndarray) -> bool:
    """Whether the best two scores are the same number."""
    best = np.sort(scores.ravel())[-2:]
    return bool(best[0] == best[1])


def compare(
    name: str,
    mod: Any,
    params: Any,
    inputs: list[np.ndarray],
    framework: Framework,
    other: Framework,
) -> dict[str, object]:
    """Zebra, the oracle and the framework (``other``: its other kernels) on every input."""
    quantized = zebra.quantize(mod, params)
    mine, oracle = build(quantized, "zebra"), build_oracle(quantized)
    variable = mod["main"].params[0].name_hint
    exact = same = ties = unstable = 0
    for x in inputs:
        feed: Arrays = {variable: x}
        got = mine(feed)
        exact += equal(got, oracle(feed))
        theirs = framework(x)
        if got[0].argmax() == theirs.argmax():
            same += 1
        elif is_tie(got[0]) or is_tie(theirs):
            ties += 1
        elif theirs.argmax() != other(x).argmax():
            unstable += 1
    report = zebra.inspect(quantized, target="zebra")
    return {
        "network": name,
        "inputs": len(inputs),
        "equal": exact,
        "top1_equal": same,
        "ties": ties,
        "unstable": unstable,
        "regions": report.regions,
        "mac_share": report.mac_share,
        "host": [f"{op.name} x{op.count}: {op.rule} ({op.seen})" for op in report.host],
    }


def small_onnx(path: Path, pictures: np.ndarray) -> None:
    """A CIFAR-sized float CNN with seeded weights: conv, depthwise, residual, pools, dense."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    constants = []

    def const(name: str, *shape: int) -> str:
        values = rng.standard_normal(shape) * (2.0 / max(1, int(np.prod(shape[1:])))) ** 0.5
        constants.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name

    conv = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    nodes = [
        helper.make_node("Conv", ["x", const("w0", 24, 3, 3, 3), const("b0", 24)], ["a"], **conv),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("MaxPool", ["b"], ["c"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node(
            "Conv", ["c", const("w1", 24, 1, 3, 3), const("b1", 24)], ["d"], group=24, **conv
        ),
        helper.make_node("Relu", ["d"], ["e"]),
        helper.make_node("Conv", ["e", const("w2", 24, 24, 1, 1), const("b2", 24)], ["f"]),
        helper.make_node("Add", ["f", "c"], ["g"]),
        helper.make_node("Relu", ["g"], ["h"]),
        helper.make_node("GlobalAveragePool", ["h"], ["i"]),
        helper.make_node("Flatten", ["i"], ["j"]),
        helper.make_node("Gemm", ["j", const("w3", 10, 24), const("b3", 10)], ["y"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, *pictures.shape[1:]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 10])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.save(model, path)


def onnx_cases(data: Path, count: int) -> Iterator[tuple[str, Path, list[np.ndarray]]]:
    """The small network quantized by onnxruntime, in both forms, with its inputs."""
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    pixels = cifar(data, count + 32).astype(np.float32).transpose(0, 3, 1, 2) / 255 - 0.5
    inputs = [np.ascontiguousarray(x[None]) for x in pixels]

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.rest = iter(inputs[count:])

        def get_next(self) -> Arrays | None:
            x = next(self.rest, None)
            return None if x is None else {"x": x}

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "float.onnx"
        small_onnx(source, pixels)
        for form in (QuantFormat.QDQ, QuantFormat.QOperator):
            path = Path(folder) / f"{form.name}.onnx"
            quantize_static(
                str(source),
                str(path),
                Reader(),
                quant_format=form,
                per_channel=True,
                activation_type=QuantType.QInt8,
                weight_type=QuantType.QInt8,
            )
            yield f"onnxruntime_{form.name}", path, inputs[:count]


def main() -> None:
    """One JSON line per network; exit code 1 if one differs from its oracle."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=100)
    options = parser.parse_args()
    data, count = options.data, options.pictures
    wrong = 0
    for name in TFLITE:
        path = data / "models" / f"{name}.tflite"
        mod, params = zebra.load(path)
        inputs = inputs_of(name, data, count)
        record = compare(name, mod, params, inputs, litert(path), litert(path, True))
        print(json.dumps(record), flush=True)
        wrong += record["equal"] != record["inputs"]
    for name, path, inputs in onnx_cases(data, count):
        mod, params = zebra.load(path)
        record = compare(name, mod, params, inputs, onnx_runtime(path), onnx_runtime(path, True))
        print(json.dumps(record), flush=True)
        wrong += record["equal"] != record["inputs"]
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
