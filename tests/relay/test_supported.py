"""Every rule refuses with what it saw and what is allowed; the docs are the rules."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.relay_oracle import CONFIG, module, regions
from tvm import relay

from zebra.errors import UnsupportedError
from zebra.relay import lower, partition
from zebra.relay.inspect import report
from zebra.relay.supported import to_markdown

qnn = relay.qnn.op
X = relay.var("x", shape=(1, 4, 6, 6), dtype="int8")
Y = relay.var("y", shape=(1, 4, 6, 6), dtype="int8")


def f32(value: Any) -> Any:
    return relay.const(np.asarray(value, "float32"))


def i32(value: Any) -> Any:
    return relay.const(np.asarray(value, "int32"))


def conv(x: Any = X, weight: Any = None, zero: Any = 0, kernel_zero: int = 0, **attrs: Any) -> Any:
    if weight is None:
        weight = relay.const(np.ones((4, 4, 3, 3), "int8"))
    zero = zero if isinstance(zero, relay.Expr) else i32(zero)
    return qnn.conv2d(
        x, weight, zero, i32(kernel_zero), f32(1.0), f32(1.0), (3, 3), 4, **attrs
    )  # fmt: skip


def out(x: Any, scale: Any = 0.01, kind: str = "int8", **attrs: Any) -> Any:
    scale = scale if isinstance(scale, relay.Expr) else f32(scale)
    return qnn.requantize(x, scale, i32(0), f32(1.0), i32(0), out_dtype=kind, **attrs)


def add(x: Any, y: Any, scale: Any = 1.0, zero: Any = 0) -> Any:
    return qnn.add(x, y, f32(scale), i32(zero), f32(1.0), i32(0), f32(1.0), i32(0))


def average(x: Any, kind: str = "int32", **attrs: Any) -> Any:
    return relay.nn.avg_pool2d(relay.cast(x, kind), (2, 2), **attrs)


def wide_weight() -> Any:
    return relay.const(np.array([255] * 144, "uint8").reshape(4, 4, 3, 3))


U = relay.var("u", shape=(1, 4, 6, 6), dtype="uint8")
BIG = relay.var("big", shape=(1, 1, 400, 400), dtype="int8")
CASES: dict[str, tuple[Callable[[], Any], str, str]] = {
    "computed weights": (
        lambda: out(conv(weight=relay.var("w", shape=(4, 4, 3, 3), dtype="int8"))),
        "computed weights", "a constant",
    ),
    "computed zero point": (
        lambda: out(conv(zero=relay.var("z", shape=(), dtype="int32"))),
        "a computed or per-channel zero point", "constants",
    ),
    "zero point outside the type": (lambda: out(conv(zero=200)), "zero point 200", "-128..127"),
    "weights too wide": (
        lambda: out(conv(weight=wide_weight())), "weights 255..255", "-256..254"
    ),
    "kernel layout": (
        lambda: out(conv(relay.var("x", shape=(1, 1, 6, 6, 4), dtype="int8"), data_layout="NCHW4c",
                         weight=relay.const(np.ones((1, 1, 3, 3, 4, 4), "int8")),
                         kernel_layout="OIHW4i4o"), axis=1),
        "5 dimensions", "4",
    ),
    "computed bias": (
        lambda: out(relay.add(conv(), relay.var("b", shape=(4, 1, 1), dtype="int32"))),
        "a computed operand", "a constant",
    ),
    "bias per pixel": (
        lambda: out(relay.add(conv(), i32(np.ones((4, 4))))), "add of shape [4, 4]",
        "one per channel",
    ),
    "computed scale": (
        lambda: out(conv(), relay.var("s", shape=(), dtype="float32")),
        "computed or unusable scales", "positive constants",
    ),
    "scale of another axis": (
        lambda: out(conv(), f32([0.1] * 4), axis=3), "scales along axis 3", "axis 1"
    ),
    "shift too large": (lambda: out(conv(), 1e-11), "shift 67..67", "1..62"),
    "shift too small": (lambda: out(conv(), 3e9), "shift -1..-1", "1..62"),
    "rounding of its own": (
        lambda: out(conv(), rounding="TONEAREST", compute_dtype="int64"),
        "rounding TONEAREST in int64", "UPWARD in int64",
    ),
    "wrapping cast": (
        lambda: relay.cast(out(conv(), kind="int32"), "int8"), "a cast that can wrap",
        "a clip before it",
    ),
    "dilated pool": (
        lambda: relay.nn.max_pool2d(X, (2, 2), dilation=(2, 2)), "nn.max_pool2d",
        "plain 2-D windows",
    ),
    "average in int16": (
        lambda: relay.cast(average(X, "int16"), "int8"), "an average in int16", "int32"
    ),
    "sum beyond int32": (
        lambda: out(relay.nn.global_avg_pool2d(relay.cast(BIG, "int32") * i32(256))),
        "sums to 10444800000", "2147483647",
    ),
    "average wraps": (
        lambda: relay.cast(
            relay.nn.avg_pool2d(relay.cast(X, "int32") * i32(2), (2, 2)), "int8"),
        "a cast that can wrap", "values -128..127",
    ),
    "not a mean of x": (
        lambda: relay.cast(
            relay.nn.avg_pool2d(
                relay.cast(X, "int32") * relay.cast(X, "int32"), (2, 2)), "int8"),
        "a function that is not gain * (x - zero point)",
        "such a function, or 8-bit values",
    ),
    "computed add scale": (
        lambda: qnn.add(X, Y, relay.var("s", shape=(), dtype="float32"), i32(0), f32(1.0),
                        i32(0), f32(1.0), i32(0)),
        "computed or per-channel scales", "scalar constants",
    ),
    "add shift": (lambda: add(X, Y, 1e-10), "shift 30..64", "1..62"),
    "stepping back": (
        lambda: relay.strided_slice(X, [5], [0], [-1], axes=[2]), "strides [-1]", "at least 1"
    ),
    "batch padding": (
        lambda: relay.nn.pad(X, ((1, 0), (0, 0), (0, 0), (0, 0))),
        "pad_width [(1, 0), (0, 0), (0, 0), (0, 0)]", "no batch padding, no negative padding",
    ),
    "edge padding": (
        lambda: relay.nn.pad(X, ((0, 0), (0, 0), (1, 1), (1, 1)), pad_mode="edge"),
        "pad_mode edge", "one constant",
    ),
    "bilinear": (
        lambda: relay.nn.upsampling(X, 2, 2, method="bilinear"),
        "bilinear, (1, 4, 6, 6) to (1, 4, 12, 12)", "nearest by whole factors",
    ),
    "one and a half": (
        lambda: relay.image.resize2d(X, (9, 9), method="nearest_neighbor",
                                     coordinate_transformation_mode="asymmetric"),
        "nearest_neighbor, (1, 4, 6, 6) to (1, 4, 9, 9)", "nearest by whole factors",
    ),
    "blocked layout": (
        lambda: relay.layout_transform(X, "NCHW", "NCHW4c"), "NCHW to NCHW4c", "letters only"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_rule_names_what_it_saw_and_what_is_allowed(name: str) -> None:
    build, seen, limit = CASES[name]
    mod = module(build())
    hosts = report(mod, CONFIG).host
    assert (seen, limit) in {(op.seen, op.limit) for op in hosts}, hosts
    assert all(op.rule.endswith(".") and len(op.rule) > 20 for op in hosts)
    assert not regions(partition(mod, CONFIG))


def test_a_refused_region_says_why() -> None:
    function = module(out(conv(), 1e-11))["main"]
    with pytest.raises(UnsupportedError) as caught:
        lower(function, CONFIG)
    assert str(caught.value) == (
        "qnn.requantize cannot run on zebra: The ratio of the scales needs a right shift of "
        "1..62. Seen: shift 67..67; allowed: 1..62"
    )


def test_a_region_with_a_foreign_operator_says_so() -> None:
    function = module(relay.nn.softmax(relay.cast(X, "float32")))["main"]
    with pytest.raises(UnsupportedError, match=r"^nn\.softmax is in a region but is no operator"):
        lower(function, CONFIG)


def test_the_documentation_is_the_table() -> None:
    committed = Path(__file__).parents[2] / "docs" / "supported_ops.md"
    assert committed.read_text(encoding="utf-8") == to_markdown()
