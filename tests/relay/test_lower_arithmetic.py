"""Convolutions, dense layers, pools, binary operators and tables: Graph equals TVM, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.support.relay_oracle import assert_one_exact_region
from tvm import relay

from zebra.graph import nodes as g

qnn = relay.qnn.op


def const(value: Any, kind: str) -> Any:
    return relay.const(np.asarray(value, kind), kind)


def f32(value: Any) -> Any:
    return const(value, "float32")


def i32(value: Any) -> Any:
    return const(value, "int32")


def var(name: str, shape: tuple[int, ...], kind: str = "int8") -> Any:
    return relay.var(name, shape=shape, dtype=kind)


def weights(rng: np.random.Generator, *shape: int, kind: str = "int8") -> Any:
    low, high = np.iinfo(kind).min, np.iinfo(kind).max
    return const(rng.integers(low, high + 1, shape), kind)


def requantized(
    x: Any, rng: np.random.Generator, k: int, axis: int = 1, kind: str = "int8", reach: float = 400
) -> Any:
    """Per-channel requantization that brings sums of about ``reach`` * 128 to 8 bits."""
    scales = f32(rng.uniform(0.3, 2.0, k) / reach)
    zero = int(rng.integers(-20, 20)) + (128 if kind == "uint8" else 0)
    return qnn.requantize(x, scales, i32(0), f32(1.0), i32(zero), axis=axis, out_dtype=kind)


def conv(x: Any, w: Any, channels: int, zero: int = 0, kernel_zero: Any = 0, **attrs: Any) -> Any:
    layout = attrs.get("kernel_layout", "OIHW")
    shape = [int(d) for d in w.data.shape]
    size = (shape[layout.index("H")], shape[layout.index("W")])
    return qnn.conv2d(
        x,
        w,
        i32(zero),
        i32(kernel_zero),
        f32(0.1),
        f32(0.1),
        kernel_size=size,
        channels=channels,
        **attrs,
    )


def test_conv2d_nchw_with_every_attribute_and_tail() -> None:
    rng = np.random.default_rng(1)
    x = var("x", (2, 6, 9, 8))
    plain = conv(x, weights(rng, 5, 6, 3, 3), 5, zero=-7)
    biased = relay.nn.bias_add(plain, i32(rng.integers(-900, 900, 5)))
    strided = conv(
        x,
        weights(rng, 4, 6, 3, 2),
        4,
        zero=9,
        strides=(2, 3),
        padding=(2, 1, 0, 3),
        dilation=(2, 1),
    )
    added = relay.add(strided, i32(rng.integers(-900, 900, (4, 1, 1))))
    grouped = conv(x, weights(rng, 9, 2, 3, 3), 9, zero=-128, padding=(1, 1), groups=3)
    depthwise = conv(x, weights(rng, 6, 1, 3, 3), 6, zero=3, padding=(1, 1), groups=6)
    wide = requantized(biased, rng, 5, kind="int32")
    zero_in = qnn.requantize(
        grouped,
        f32(rng.uniform(0.001, 0.01, 9)),
        i32(77),
        f32(0.7),
        i32(3),
        axis=1,
        out_dtype="int8",
    )
    graph = assert_one_exact_region(
        relay.clip(requantized(biased, rng, 5), -20, 90),
        relay.cast(relay.clip(wide, -128, 127), "int8"),
        requantized(added, rng, 4),
        zero_in,
        requantized(depthwise, rng, 6, reach=200),
    )
    convs = [node for node in graph.nodes if isinstance(node, g.Conv2d)]
    assert len(convs) == 5
    assert {(-20, 90)} == {(c.finish.low, c.finish.high) for c in convs} - {(-128, 127)}
    assert not any(isinstance(node, g.Table) for node in graph.nodes)


def test_conv2d_nhwc_as_tflite_spells_it() -> None:
    rng = np.random.default_rng(2)
    x = var("x", (1, 7, 6, 4))
    nhwc: dict[str, Any] = {"data_layout": "NHWC"}
    full = conv(x, weights(rng, 3, 3, 4, 5), 5, zero=-3, kernel_layout="HWIO", **nhwc)
    full = relay.nn.bias_add(full, i32(rng.integers(-900, 900, 5)), axis=3)
    dw1 = conv(
        x,
        weights(rng, 3, 3, 4, 1),
        4,
        zero=11,
        kernel_layout="HWOI",
        groups=4,
        padding=(1, 0, 1, 2),
        **nhwc,
    )
    dw2 = conv(x, weights(rng, 2, 3, 4, 2), 8, zero=-11, kernel_layout="HWOI", groups=4, **nhwc)
    graph = assert_one_exact_region(
        requantized(full, rng, 5, axis=3),
        requantized(dw1, rng, 4, axis=3, reach=200),
        requantized(dw2, rng, 8, axis=3, reach=200),
    )
    assert graph.inputs[0].layout == "NHWC"
    assert {port.layout for port in graph.outputs} == {"NHWC"}
    assert not any(isinstance(node, g.Relayout) for node in graph.nodes)


def test_conv2d_uint8_with_a_weight_zero_point() -> None:
    rng = np.random.default_rng(3)
    x = var("x", (1, 3, 6, 6), "uint8")
    w = const(rng.integers(0, 250, (4, 3, 3, 3)), "uint8")
    first = conv(x, w, 4, zero=131, kernel_zero=100, padding=(1, 1))
    a = relay.clip(requantized(first, rng, 4, kind="uint8", reach=900), 10, 255)
    second = conv(a, weights(rng, 4, 4, 1, 1), 4, zero=5)
    graph = assert_one_exact_region(a, requantized(second, rng, 4))
    assert max(int(n.weight.max()) for n in graph.nodes if isinstance(n, g.Conv2d)) > 127


@pytest.mark.parametrize("scale", [1e-9, 3e-5, 0.9999999, 1.0, 1.5, 700.0, 1e9])
def test_conv2d_with_extreme_scales(scale: float) -> None:
    rng = np.random.default_rng(4)
    x = var("x", (1, 3, 4, 4))
    scales = f32(scale * np.array([1.0, 1.0000001, 0.37]))
    core = conv(x, weights(rng, 3, 3, 2, 2), 3, zero=5)
    out = qnn.requantize(core, scales, i32(0), f32(1.0), i32(-4), axis=1, out_dtype="int8")
    assert_one_exact_region(out)


def test_dense_after_every_kind_of_flatten() -> None:
    rng = np.random.default_rng(5)
    vector, nchw, nhwc = var("v", (3, 10)), var("a", (2, 3, 2, 4)), var("b", (2, 2, 4, 3))

    def dense(x: Any, features: int, units: int) -> Any:
        out = qnn.dense(
            x, weights(rng, units, features), i32(-9), i32(0), f32(0.1), f32(0.1), units=units
        )
        out = relay.nn.bias_add(out, i32(rng.integers(-900, 900, units)))
        return requantized(out, rng, units)

    pooled = relay.nn.max_pool2d(nhwc, (1, 1), layout="NHWC")
    graph = assert_one_exact_region(
        dense(vector, 10, 4),
        dense(relay.nn.batch_flatten(nchw), 24, 7),
        dense(relay.reshape(pooled, (-1, 24)), 24, 5),
        relay.reshape(dense(vector, 10, 12), (3, 3, 2, 2)),
    )
    assert sum(isinstance(node, g.Relayout) for node in graph.nodes) == 0


def test_dense_to_image_to_conv() -> None:
    rng = np.random.default_rng(6)
    x = var("x", (2, 5))
    out = qnn.dense(x, weights(rng, 12, 5), i32(3), i32(0), f32(0.1), f32(0.1), units=12)
    image = relay.reshape(requantized(out, rng, 12), (2, 3, 2, 2))
    back = requantized(conv(image, weights(rng, 4, 3, 2, 2), 4), rng, 4)
    graph = assert_one_exact_region(back)
    assert [type(node) for node in graph.nodes] == [g.Input, g.Conv2d, g.Relayout, g.Conv2d]


@pytest.mark.parametrize(
    ("stride", "padding", "output_padding", "zero"),
    [((1, 1), (0, 0, 0, 0), (0, 0), 0), ((2, 2), (1, 1, 1, 1), (1, 1), -5),
     ((3, 2), (0, 1, 2, 0), (0, 0), 17)],
    ids=["plain", "doubling", "uneven"],
)  # fmt: skip
def test_conv2d_transpose(
    stride: tuple[int, int],
    padding: tuple[int, ...],
    output_padding: tuple[int, int],
    zero: int,
) -> None:
    rng = np.random.default_rng(7)
    x = var("x", (2, 4, 3, 5))
    core = qnn.conv2d_transpose(
        x, weights(rng, 4, 3, 3, 4), i32(zero), i32(0), f32(0.1), f32(0.1), strides=stride,
        padding=padding, output_padding=output_padding, kernel_size=(3, 4), channels=3,
        out_dtype="int32",
    )  # fmt: skip
    core = relay.nn.bias_add(core, i32(rng.integers(-900, 900, 3)))
    assert_one_exact_region(requantized(core, rng, 3))


def averaged(x: Any, pool: Any, gain: int = 1, zero: int = 0, scale: float = 0.9) -> Any:
    wide = relay.cast(x, "int32")
    if zero:
        wide = relay.subtract(wide, i32(zero))
    if gain > 1:
        wide = relay.multiply(wide, i32(gain))
    return qnn.requantize(
        pool(wide), f32(scale / gain), i32(0), f32(1.0), i32(4), axis=1, out_dtype="int8"
    )


def test_average_pools() -> None:
    x, b = var("x", (2, 3, 7, 6)), var("b", (1, 6, 7, 3))
    nn = relay.nn
    assert_one_exact_region(
        averaged(x, lambda v: nn.avg_pool2d(v, (3, 2), (2, 2), padding=(1, 1))),
        averaged(
            x,
            lambda v: nn.avg_pool2d(v, (3, 3), (2, 2), padding=(1, 1), count_include_pad=True),
            gain=256,
        ),
        averaged(x, lambda v: nn.avg_pool2d(v, (3, 3), (2, 2), ceil_mode=True), zero=-77),
        averaged(x, lambda v: nn.adaptive_avg_pool2d(v, (3, 4)), gain=256, zero=12),
        averaged(x, nn.global_avg_pool2d, gain=256, scale=1.7),
        averaged(x, lambda v: relay.mean(v, axis=[2, 3]), gain=256, zero=-128),
        averaged(x, lambda v: relay.mean(v, axis=[2, 3], keepdims=True)),
        averaged(b, lambda v: relay.mean(v, axis=[1, 2], keepdims=True)),
        relay.cast(nn.avg_pool2d(relay.cast(b, "int32"), (2, 2), (2, 2), layout="NHWC"), "int8"),
    )


def test_average_pool_with_a_requantized_operand_and_uint8() -> None:
    x, u = var("x", (1, 3, 4, 4)), var("u", (1, 3, 4, 4), "uint8")
    wide = qnn.requantize(x, f32(0.05), i32(3), f32(0.07), i32(-6), axis=1, out_dtype="int32")
    assert_one_exact_region(
        relay.cast(relay.nn.avg_pool2d(wide, (2, 2), (2, 2)), "int8"),
        relay.cast(relay.nn.avg_pool2d(relay.cast(u, "int32"), (3, 3), padding=(1, 1)), "uint8"),
        averaged(u, relay.nn.global_avg_pool2d, gain=256, zero=100),
    )


@pytest.mark.parametrize("kind", ["int8", "uint8"])
def test_max_pools(kind: str) -> None:
    x, b = var("x", (1, 3, 7, 6), kind), var("b", (1, 7, 6, 3), kind)
    nn = relay.nn
    assert_one_exact_region(
        nn.max_pool2d(x, (3, 3), (2, 2), padding=(1, 1)),
        nn.max_pool2d(b, (2, 3), (2, 1), padding=(0, 1, 1, 1), layout="NHWC"),
        nn.max_pool2d(x, (3, 3), (2, 2), ceil_mode=True),
        nn.global_max_pool2d(x),
        nn.adaptive_max_pool2d(x, (2, 4)),
        relay.max(x, axis=[2, 3]),
    )


def binary(op: Any, a: Any, b: Any, scales: tuple[float, float, float], zeros: Any) -> Any:
    return op(
        a,
        b,
        f32(scales[0]),
        i32(zeros[0]),
        f32(scales[1]),
        i32(zeros[1]),
        f32(scales[2]),
        i32(zeros[2]),
    )


@pytest.mark.parametrize(
    "scales",
    [(0.03, 0.05, 0.06), (0.05, 0.05, 0.05), (1.0, 1e-7, 2.0), (900.0, 0.001, 1.0)],
    ids=["usual", "equal", "tiny", "huge"],
)
def test_binary_operators(scales: tuple[float, float, float]) -> None:
    rng = np.random.default_rng(8)
    a, b, gate = var("a", (2, 5, 3, 4)), var("b", (2, 5, 3, 4)), var("s", (2, 5, 1, 1))
    row = weights(rng, 1, 5, 1, 4)
    zeros = (-5, 17, 3)
    assert_one_exact_region(
        binary(qnn.add, a, b, scales, zeros),
        binary(qnn.subtract, gate, a, scales, zeros),
        binary(qnn.mul, a, row, scales, zeros),
    )


def test_binary_of_other_ranks_layouts_and_types() -> None:
    rng = np.random.default_rng(9)
    v, w = var("v", (3, 6)), var("w", (3, 6))
    u, t = var("u", (1, 3, 4, 5), "uint8"), var("t", (1, 3, 4, 5), "uint8")
    b, channels = var("b", (1, 4, 5, 3)), weights(rng, 3)
    scales, zeros = (0.03, 0.05, 0.06), (100, 140, 120)
    assert_one_exact_region(
        binary(qnn.add, v, w, scales, (-5, 3, 1)),
        binary(qnn.mul, v, weights(rng, 6), scales, (-5, 3, 1)),
        binary(qnn.add, u, t, scales, zeros),
        binary(qnn.mul, u, t, scales, zeros),
        binary(qnn.subtract, relay.nn.max_pool2d(b, layout="NHWC"), channels, scales, (1, 2, 3)),
    )


def dequantized(x: Any) -> Any:
    return qnn.dequantize(x, f32(0.04), i32(-3))


def quantized(x: Any, kind: str = "int8") -> Any:
    return qnn.quantize(x, f32(0.03), i32(5), out_dtype=kind)


def test_tables() -> None:
    rng = np.random.default_rng(10)
    x, u = var("x", (2, 3, 4, 4)), var("u", (7,), "uint8")
    real = dequantized(x)
    hard = relay.clip(real + f32(3.0), 0.0, 6.0) * f32(1 / 6)
    table = weights(rng, 256)
    four = [f32(0.04), i32(-3), f32(0.05), i32(7)]
    graph = assert_one_exact_region(
        quantized(relay.exp(relay.nn.relu(relay.tanh(real)))),
        quantized(real * hard),
        quantized(real * relay.sigmoid(real), "uint8"),
        qnn.hardswish(x, *four),
        qnn.leaky_relu(x, 0.2, *four),
        qnn.requantize(x, *four, out_dtype="int8"),
        qnn.requantize(x, f32(0.1), i32(0), f32(0.1), i32(128), out_dtype="uint8"),
        relay.maximum(x, const(-3, "int8")),
        relay.take(table, relay.reinterpret(x, "uint8"), axis=0, mode="fast"),
        relay.cast(relay.cast(x, "int32") * i32(3), "int8"),
        binary(qnn.add, x, const(9, "int8"), (0.1, 0.2, 0.3), (1, 2, 3)),
        qnn.requantize(u, *four, out_dtype="int8"),
        relay.clip(u, 20, 200),
    )
    kinds = [type(node) for node in graph.nodes]
    assert set(kinds) == {g.Input, g.Table, g.Slice}
    assert kinds.count(g.Slice) == 1, "int8 to uint8 of the same scale is a copy"


def test_tables_and_clamps_join_what_computes_their_operand() -> None:
    rng = np.random.default_rng(11)
    x = var("x", (1, 3, 4, 4))
    y = requantized(conv(x, weights(rng, 4, 3, 1, 1), 4), rng, 4)
    z = quantized(relay.sigmoid(dequantized(relay.clip(y, -100, 100))))
    shared = requantized(conv(x, weights(rng, 4, 3, 1, 1), 4), rng, 4)
    graph = assert_one_exact_region(z, shared, relay.nn.relu(shared))
    assert [type(n) for n in graph.nodes] == [g.Input, g.Conv2d, g.Conv2d, g.Table]
    first = graph.nodes[1]
    assert isinstance(first, g.Conv2d)
    assert (first.finish.low, first.finish.high) == (-100, 100)
    assert first.finish.table is not None
