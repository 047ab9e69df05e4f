"""Every operator's quantized form agrees with float within a few quantization steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from tests.support.quantizing import Compared, Weights, compare, module
from tvm import relay

from zebra.relay.quantizer.rewriting import Expr

IMAGE = (1, 6, 8, 8)


@dataclass(frozen=True)
class Case:
    """A network of one operator, the operators of its int8 form, the steps it may be off."""

    name: str
    build: Callable[[Expr, Weights], Expr]
    form: tuple[str, ...]
    steps: float
    shape: tuple[int, ...] = IMAGE


LINEAR = ("qnn.conv2d", "nn.bias_add", "qnn.requantize")
TABLE = ("reinterpret", "take")
AVERAGE = ("cast", "multiply")


def transposed(x: Expr, w: Weights, groups: int) -> Expr:
    return relay.nn.conv2d_transpose(
        x,
        w(6, 4 // groups, 3, 3),
        channels=4,
        kernel_size=(3, 3),
        strides=(2, 2),
        padding=(1, 1),
        output_padding=(1, 1),
        groups=groups,
    )


def hard_swish(x: Expr) -> Expr:
    return x * relay.clip(x + relay.const(3.0), 0, 6) / relay.const(6.0)


def gelu(x: Expr) -> Expr:
    half = relay.const(0.5)
    return x * half * (relay.const(1.0) + relay.erf(x * relay.const(2**-0.5)))


def mish(x: Expr) -> Expr:
    return x * relay.tanh(relay.log(relay.const(1.0) + relay.exp(x)))


def dead_channels(x: Expr, w: Weights) -> Expr:
    """Channels of no weight, or hardly any, keep their bias."""
    kernel = w.rng.uniform(-1, 1, (3, 6, 1, 1)).astype(np.float32)
    kernel[1] = 0
    kernel[2] *= 1e-20
    conv = relay.nn.conv2d(x, relay.const(kernel), channels=3, kernel_size=(1, 1))
    return relay.nn.bias_add(conv, relay.const(np.array([0.1, 0.7, -0.4], np.float32)))


def elu(x: Expr) -> Expr:
    return relay.where(x > relay.const(0.0), x, relay.exp(x) - relay.const(1.0))


def average(x: Expr, counted: bool) -> Expr:
    return relay.nn.avg_pool2d(x, (3, 3), strides=(2, 2), padding=(1, 1), count_include_pad=counted)


CASES = (
    Case("conv2d", lambda x, w: w.conv(x, 6, 5), LINEAR, 3),
    Case("conv2d strided dilated", lambda x, w: w.conv(x, 6, 5, strides=2, dilation=2), LINEAR, 3),
    Case("conv2d depthwise", lambda x, w: w.conv(x, 6, 6, groups=6), LINEAR, 3),
    Case("conv2d grouped", lambda x, w: w.conv(x, 6, 4, groups=2), LINEAR, 3),
    Case(
        "conv2d bias relu6",
        lambda x, w: relay.clip(relay.nn.bias_add(w.conv(x, 6, 5), w(5)), 0, 6),
        LINEAR,
        10,
    ),
    Case("conv2d batch norm", lambda x, w: w.batch_norm(w.conv(x, 6, 5), 5), LINEAR, 3),
    Case(
        "dense batch norm relu",
        lambda x, w: relay.nn.relu(w.batch_norm(relay.nn.dense(x, w(5, 12)), 5)),
        ("qnn.dense", "nn.bias_add", "qnn.requantize"),
        3,
        (3, 12),
    ),
    Case(
        "conv2d_transpose batch norm",
        lambda x, w: w.batch_norm(transposed(x, w, 1), 4),
        ("qnn.conv2d_transpose", "nn.bias_add", "qnn.requantize"),
        3,
    ),
    Case(
        "conv2d_transpose grouped",
        lambda x, w: w.batch_norm(transposed(x, w, 2), 4),
        ("qnn.conv2d_transpose", "nn.bias_add", "qnn.requantize"),
        3,
    ),
    Case("conv2d with dead channels", dead_channels, LINEAR, 3),
    Case("relu", lambda x, w: relay.nn.relu(x), TABLE, 2),
    Case("leaky relu", lambda x, w: relay.nn.leaky_relu(x, 0.1), TABLE, 1.5),
    Case("hard-swish", lambda x, w: hard_swish(x), TABLE, 2),
    Case("silu", lambda x, w: x * relay.sigmoid(x), TABLE, 1.5),
    Case("gelu", lambda x, w: gelu(x), TABLE, 1.5),
    Case("mish", lambda x, w: mish(x), TABLE, 1.5),
    Case("elu", lambda x, w: elu(x), TABLE, 1.5),
    Case("square root", lambda x, w: relay.sqrt(relay.abs(x)), TABLE, 14),
    Case("batch norm alone", lambda x, w: w.batch_norm(x, 6), LINEAR, 1.5),
    Case(
        "batch norm of vectors",
        lambda x, w: w.batch_norm(x, 5),
        ("reshape", *LINEAR, "squeeze"),
        1.5,
        (3, 5),
    ),
    Case("channel divide", lambda x, w: x / w(6, 1, 1, low=0.5, high=2.0), LINEAR, 1.5),
    Case("constant minus x", lambda x, w: w(1, 6, 1, 1) - x, LINEAR, 1.5),
    Case("prelu", lambda x, w: relay.nn.prelu(x, w(6)), (*TABLE, *LINEAR, "qnn.add"), 3),
    Case("add", lambda x, w: x + relay.sigmoid(x) * w(*IMAGE), ("qnn.mul", "qnn.add"), 3),
    Case("subtract constant", lambda x, w: x - w(*IMAGE), ("qnn.subtract",), 2),
    Case(
        "squeeze and excite",
        lambda x, w: x * relay.sigmoid(relay.nn.global_avg_pool2d(x)),
        ("nn.global_avg_pool2d", *TABLE, "qnn.mul"),
        2,
    ),
    Case("add relu", lambda x, w: relay.nn.relu(x + w(*IMAGE)), ("qnn.add",), 3),
    Case(
        "max pool",
        lambda x, w: relay.nn.max_pool2d(x, (3, 3), strides=(2, 2), padding=(1, 1)),
        ("nn.max_pool2d",),
        1,
    ),
    Case("average pool", lambda x, w: average(x, False), (*AVERAGE, "nn.avg_pool2d"), 2),
    Case(
        "average pool counting padding",
        lambda x, w: average(x, True),
        ("cast", "subtract", "multiply", "nn.avg_pool2d", "qnn.requantize"),
        2,
    ),
    Case(
        "adaptive average pool",
        lambda x, w: relay.nn.adaptive_avg_pool2d(x, (3, 3)),
        (*AVERAGE, "nn.adaptive_avg_pool2d"),
        1.5,
    ),
    Case("mean", lambda x, w: relay.mean(x, [2, 3]), (*AVERAGE, "nn.global_avg_pool2d"), 5),
    Case(
        "moves",
        lambda x, w: relay.transpose(
            relay.nn.pad(
                relay.strided_slice(x, [0, 1, 0, 0], [1, 5, 8, 8]),
                ((0, 0), (0, 0), (1, 0), (0, 2)),
                0.5,
            ),
            (0, 2, 1, 3),
        ),
        ("strided_slice", "nn.pad", "transpose"),
        1,
    ),
    Case(
        "concatenate",
        lambda x, w: relay.concatenate([relay.tanh(x), relay.nn.max_pool2d(x, padding=0)], 1),
        (*TABLE, "nn.max_pool2d", "concatenate"),
        1,
    ),
    Case(
        "split",
        lambda x, w: relay.split(x, 3, 1)[0] + relay.split(x, 3, 1)[2],
        ("strided_slice", "qnn.add"),
        2,
    ),
    Case("upsampling", lambda x, w: relay.nn.upsampling(x, 2, 3), ("nn.upsampling",), 1),
)


@pytest.fixture(scope="module")
def compared() -> list[Compared]:
    """All cases side by side in one network: compiling each alone takes minutes."""
    inputs = [relay.var(f"x{i}", shape=case.shape) for i, case in enumerate(CASES)]
    return compare(module(*(case.build(x, Weights()) for case, x in zip(CASES, inputs))))


@pytest.mark.parametrize("number", range(len(CASES)), ids=[case.name for case in CASES])
def test_agrees_with_float_within_steps(number: int, compared: list[Compared]) -> None:
    case, result = CASES[number], compared[number]
    assert set(case.form) <= set(result.operators)
    assert result.operators.count("qnn.quantize") == 1
    assert result.operators.count("qnn.dequantize") == 1
    assert result.steps <= case.steps
