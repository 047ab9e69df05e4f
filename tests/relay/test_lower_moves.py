"""Operators that move bytes: free where a view will do, exact everywhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.support.relay_oracle import assert_one_exact_region
from tvm import relay

from zebra.graph import nodes as g
from zebra.relay.lowering.layout import View, common_pieces

qnn = relay.qnn.op


def var(name: str, shape: tuple[int, ...], kind: str = "int8") -> Any:
    return relay.var(name, shape=shape, dtype=kind)


def halved(x: Any) -> Any:
    """A table, so that a region computes something."""
    return relay.clip(x, -90, 80)


def f32(value: float) -> Any:
    return relay.const(value, "float32")


def i32(value: int) -> Any:
    return relay.const(value, "int32")


def test_slices_splits_pads_and_resizes() -> None:
    a, b = halved(var("a", (2, 6, 5, 4))), halved(var("b", (1, 5, 4, 6)))
    parts, cuts = relay.split(a, 3, axis=1), relay.split(b, [1, 4], axis=3)
    pad = ((0, 0), (1, 2), (0, 1), (3, 0))
    assert_one_exact_region(
        parts[0], parts[2], cuts[1],
        relay.strided_slice(a, [0, 1, 1, 0], [2, 6, 5, 4], [1, 2, 3, 1]),
        relay.strided_slice(a, [-3], [5], [1], axes=[1]),
        relay.strided_slice(b, [1, 0], [3, -1], [1, 1], axes=[1, 2], slice_mode="size"),
        relay.nn.pad(a, pad, pad_value=-7),
        relay.nn.pad(b, pad, pad_value=3),
        relay.nn.upsampling(a, 2, 3, layout="NCHW"),
        relay.image.resize2d(
            b, (10, 12), None, "NHWC", "nearest_neighbor", "asymmetric", "floor"
        ),
        relay.image.resize2d(
            a, (15, 12), None, "NCHW", "nearest_neighbor", "half_pixel", "round"
        ),
        relay.nn.depth_to_space(halved(var("d", (1, 8, 2, 3))), 2, "NCHW", "DCR"),
        relay.nn.depth_to_space(halved(var("e", (1, 8, 2, 3))), 2, "NCHW", "CRD"),
        relay.nn.space_to_depth(halved(var("s", (1, 2, 4, 6))), 2, "NCHW"),
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["int8", "uint8"])
def test_pad_values_of_both_types(kind: str) -> None:
    x = relay.clip(var("x", (1, 2, 3, 3), kind), 3, 100)
    assert_one_exact_region(relay.nn.pad(x, ((0, 0), (0, 0), (1, 1), (2, 0)), pad_value=77))


def test_concatenations() -> None:
    a, b = halved(var("a", (1, 3, 4, 5))), halved(var("b", (1, 2, 4, 5)))
    c, d = halved(var("c", (1, 4, 5, 3))), halved(var("d", (1, 4, 5, 3)))
    v, w = halved(var("v", (2, 3))), halved(var("w", (2, 4)))
    fixed = relay.const(np.arange(40, dtype=np.int8).reshape(1, 2, 4, 5))
    assert_one_exact_region(
        relay.concatenate([a, b, fixed], 1),
        relay.concatenate([c, d], 3),
        relay.concatenate([c, d], -3),
        relay.concatenate([v, w], 1),
        qnn.concatenate(
            relay.Tuple([a, b, fixed]),
            [f32(0.1), f32(0.3), f32(0.2)],
            [i32(3), i32(0), i32(-2)],
            f32(0.1),
            i32(3),
            axis=1,
        ),
    )


def test_reshapes_and_transposes() -> None:
    x = halved(var("x", (2, 6, 4, 5)))
    shuffled = relay.transpose(relay.reshape(x, (2, 2, 3, 4, 5)), (0, 2, 1, 3, 4))
    flat = relay.reshape(relay.transpose(x, (0, 2, 3, 1)), (2, 20, 6))
    cut = relay.transpose(relay.reshape(relay.transpose(x, (0, 2, 3, 1)), (2, 8, 15)), (0, 2, 1))
    assert_one_exact_region(
        relay.reshape(shuffled, (2, 6, 4, 5)),
        relay.transpose(flat, (0, 2, 1)),
        cut,
        relay.transpose(x, (3, 1, 0, 2)),
        relay.transpose(x),
        relay.layout_transform(x, "NCHW", "NHWC"),
        relay.squeeze(relay.expand_dims(x, 1, 2), [1]),
    )


def test_a_transpose_at_the_edge_is_a_port_layout() -> None:
    x = var("x", (1, 4, 5, 3))
    y = relay.nn.max_pool2d(relay.transpose(x, (0, 3, 1, 2)), (2, 2))
    graph = assert_one_exact_region(relay.transpose(y, (0, 2, 3, 1)))
    assert [type(node) for node in graph.nodes] == [g.Input, g.Pool]
    assert graph.inputs[0].layout == graph.outputs[0].layout == "NHWC"


def test_a_channel_shuffle_is_one_relayout() -> None:
    x = halved(var("x", (1, 6, 4, 5)))
    shuffled = relay.transpose(relay.reshape(x, (1, 2, 3, 4, 5)), (0, 2, 1, 3, 4))
    y = relay.nn.max_pool2d(relay.reshape(shuffled, (1, 6, 4, 5)), (2, 2))
    graph = assert_one_exact_region(y)
    assert [type(n) for n in graph.nodes] == [g.Input, g.Table, g.Relayout, g.Pool]


def test_a_pad_joins_the_convolution_that_reads_it() -> None:
    rng = np.random.default_rng(0)
    x = relay.nn.pad(halved(var("x", (1, 3, 5, 5))), ((0, 0), (0, 0), (0, 1), (2, 0)), pad_value=4)
    w = relay.const(rng.integers(-128, 128, (4, 3, 3, 3)).astype(np.int8))
    outs = []
    for zero in (4, 5):
        y = qnn.conv2d(
            x if zero == 4 else relay.nn.pad(x, ((0, 0), (0, 0), (1, 0), (0, 0)), pad_value=4),
            w, i32(zero), i32(0), f32(0.1), f32(0.1), (3, 3), 4, padding=(1, 1),
        )  # fmt: skip
        outs.append(qnn.requantize(y, f32(0.002), i32(0), f32(1.0), i32(0), out_dtype="int8"))
    alone = assert_one_exact_region(outs[0])
    assert [type(n) for n in alone.nodes] == [g.Input, g.Table, g.Conv2d]
    assert alone.nodes[2].pads == (1, 3, 2, 1)  # type: ignore[attr-defined]
    other = assert_one_exact_region(outs[1])
    assert sum(isinstance(n, g.Pad) for n in other.nodes) == 2


def test_an_input_that_is_also_an_output_is_copied() -> None:
    x = var("x", (1, 3, 4, 4))
    wide = relay.reshape(x, (1, 3, 2, 8))
    graph = assert_one_exact_region(wide, relay.nn.max_pool2d(wide, (2, 2)))
    assert isinstance(graph.node(graph.outputs[0].value), g.Slice)


@pytest.mark.parametrize(
    ("left", "right", "pieces"),
    [
        ((6, 4), (2, 12), ([[2, 3], [4]], [[2], [3, 4]])),
        ((5,), (1, 5, 1), ([[5]], [[], [5], []])),
        ((2, 3), (3, 2), None),
        ((), (), ([], [])),
    ],
    ids=["refine", "units", "across", "scalar"],
)
def test_common_pieces(left: Any, right: Any, pieces: Any) -> None:
    assert common_pieces(left, right) == pieces


def test_views_agree_with_numpy() -> None:
    rng = np.random.default_rng(3)
    for _ in range(200):
        dims = tuple(int(d) for d in rng.choice([1, 2, 3, 4], 4))
        data = np.arange(np.prod(dims))
        view, tensor = View.row_major("v", dims, dims), data.reshape(dims)
        for _ in range(3):
            axes = rng.permutation(tensor.ndim)
            turned = view.transpose([int(a) for a in axes])
            if turned is None:
                break
            view, tensor = turned, tensor.transpose(axes)
            shape = (tensor.shape[0], -1) if rng.random() < 0.5 else (*tensor.shape, 1)
            tensor = tensor.reshape(shape)
            view = view.reshape(tensor.shape)
        seen = data.reshape(view.source).transpose(view.permutation).reshape(view.shape)
        np.testing.assert_array_equal(seen, tensor)
