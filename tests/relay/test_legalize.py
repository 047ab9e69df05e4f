"""Simulated quantization (ONNX QDQ) becomes integer, and one region."""

from __future__ import annotations

from typing import Any

import numpy as np
import tvm
from tests.support.relay_oracle import (
    CONFIG,
    assert_one_exact_region,
    module,
    random_inputs,
    regions,
    run_llvm,
)
from tvm import relay

from zebra.relay import legalize, partition
from zebra.relay.expr import op_name, post_order

qnn = relay.qnn.op
X = relay.var("x", shape=(1, 3, 6, 6), dtype="int8")


def f32(value: float) -> Any:
    return relay.const(value, "float32")


def i32(value: int) -> Any:
    return relay.const(value, "int32")


def real(x: Any, scale: float = 0.05, zero: int = -4) -> Any:
    return qnn.dequantize(x, f32(scale), i32(zero))


def quantized(x: Any, scale: float = 0.05, zero: int = 7) -> Any:
    return qnn.quantize(x, f32(scale), i32(zero))


def simulated() -> Any:
    """Pad, convolution, leaky ReLU, adaptive average and mean, each between fake quantizers."""
    weight = np.random.default_rng(0).integers(-128, 128, (4, 3, 3, 3)).astype("int8")
    kernel = qnn.dequantize(relay.const(weight), f32(0.004), i32(0))
    padded = relay.nn.pad(real(X), ((0, 0), (0, 0), (1, 1), (1, 1)))
    core = real(quantized(relay.nn.conv2d(padded, kernel, channels=4, kernel_size=(3, 3))), zero=7)
    leaky = real(quantized(relay.nn.leaky_relu(core, 0.1)), zero=7)
    pooled = real(quantized(relay.nn.adaptive_avg_pool2d(leaky, (3, 2))), zero=7)
    return quantized(relay.mean(pooled, axis=[2, 3]))


def operators(mod: tvm.IRModule) -> list[str]:
    return [op_name(expr) for expr in post_order(mod["main"].body) if op_name(expr)]


def test_simulated_quantization_becomes_integer() -> None:
    mod = module(simulated())
    integer = legalize(mod)
    assert {"qnn.conv2d", "qnn.leaky_relu"} <= set(operators(integer))
    assert not {"qnn.dequantize", "qnn.quantize", "nn.conv2d"} & set(operators(integer))
    feed = random_inputs(mod, np.random.default_rng(1))
    steps = run_llvm(integer, feed)[0].astype(int) - run_llvm(mod, feed)[0].astype(int)
    assert np.abs(steps).max() <= 2, "rounding at each of five quantizers"
    assert_one_exact_region(integer["main"].body)


def test_functions_of_one_tensor_stay_as_they_are() -> None:
    mod = module(quantized(relay.sigmoid(real(X))))
    assert tvm.ir.structural_equal(legalize(mod), mod)


def test_a_float_tail_stays_as_it_is() -> None:
    mod = module(relay.nn.softmax(real(X)))
    assert tvm.ir.structural_equal(legalize(mod), mod)


def test_requantize_gets_the_reference_rounding() -> None:
    weight = relay.const(np.ones((4, 3, 1, 1), "int8"))
    core = qnn.conv2d(X, weight, i32(0), i32(0), f32(1.0), f32(1.0), (1, 1), 4)
    out = qnn.requantize(
        core, f32(0.1), i32(0), f32(1.0), i32(0), rounding="TONEAREST", out_dtype="int8"
    )
    mod = module(out)
    assert not regions(partition(mod, CONFIG))
    assert len(regions(partition(legalize(mod), CONFIG))) == 1
    assert operators(legalize(mod)) == operators(mod)
