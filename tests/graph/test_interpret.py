"""The oracle's nodes against small hand-made loops."""

from __future__ import annotations

import numpy as np
import pytest

from zebra.errors import InputError
from zebra.graph import Graph, Port, call, check, run
from zebra.graph import nodes as g
from zebra.numerics import requantize, truncating_divide


def scale(m: int = 1 << 30, s: int = 30, bias: int = 0) -> g.Scale:
    return g.Scale(np.array([m], np.int32), np.array([s], np.int32), np.array([bias], np.int32))


def single(node: g.Node, *arrays: np.ndarray) -> np.ndarray:
    """The value of a node whose operands are the graph's inputs a, b, ..."""
    names = "abc"[: len(arrays)]
    inputs = [g.Input(name, (), array.shape) for name, array in zip(names, arrays)]
    ports = tuple(Port(name, array.shape) for name, array in zip(names, arrays))
    graph = Graph("one", (*inputs, node), ports, (Port(node.name, node.shape),))
    check(graph)
    return run(graph, dict(zip(names, arrays)))[node.name]


def image(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-128, 128, shape).astype(np.int8)


def clamp(x: int) -> int:
    return max(-128, min(127, x))


def requantized(x: int, m: int, s: int) -> int:
    return int(requantize(np.array([x], np.int64), np.array([m]), np.array([s]))[0])


@pytest.mark.parametrize("groups", [1, 2, 4], ids=["full", "grouped", "depthwise"])
def test_conv2d(groups: int) -> None:
    x = image(1, 4, 5, 6)
    weight = np.random.default_rng(1).integers(-256, 255, (4, 4 // groups, 2, 3)).astype(np.int16)
    m, s, bias = 1 << 30, 40, np.array([5, -900, 70, 0], np.int32)
    factors = g.Scale(np.array([m], np.int32), np.array([s], np.int32), bias)
    node = g.Conv2d(
        "y", ("a",), (1, 4, 3, 2), weight, factors, g.Finish(3, -100, 90), (2, 3), (2, 1),
        (1, 0, 2, 2), -7, groups,
    )  # fmt: skip
    got = single(node, x)
    for k, i, j in np.ndindex(4, 3, 2):
        acc = 0
        for c, u, v in np.ndindex(*weight.shape[1:]):
            row, column = i * 2 + u * 2 - 1, j * 3 + v
            inside = 0 <= row < 5 and 0 <= column < 6
            channel = k // (4 // groups) * (4 // groups) + c
            acc += int(x[0, channel, row, column] if inside else -7) * int(weight[k, c, u, v])
        want = max(-100, min(90, requantized(acc + int(bias[k]), m, s) + 3))
        assert got[0, k, i, j] == want


def test_conv2d_crops_with_negative_pads() -> None:
    x = image(1, 1, 4, 5)
    weight = np.ones((1, 1, 1, 1), np.int16)
    node = g.Conv2d("y", ("a",), (1, 1, 3, 3), weight, scale(), g.Finish(), pads=(-1, -2, 0, 0))
    np.testing.assert_array_equal(single(node, x), x[:, :, 1:, 2:])


def test_conv_transpose2d() -> None:
    x = image(1, 2, 3, 4)
    weight = np.random.default_rng(2).integers(-128, 128, (3, 2, 3, 2)).astype(np.int16)
    shape, stride, pads, zero = (1, 3, 6, 8), (2, 2), (1, 0, 0, 0), 9
    node = g.ConvTranspose2d(
        "y", ("a",), shape, weight, scale(1 << 30, 38), g.Finish(), stride, pads, 1, zero
    )
    got = single(node, x)
    for k, i, j in np.ndindex(*shape[1:]):
        acc = 0
        for c, row, column, u, v in np.ndindex(2, 3, 4, 3, 2):
            if (row * 2 + u - 1, column * 2 + v) == (i, j):
                acc += (int(x[0, c, row, column]) - zero) * int(weight[k, c, u, v])
        assert got[0, k, i, j] == clamp(requantized(acc, 1 << 30, 38))


@pytest.mark.parametrize("count", [None, 6], ids=["area", "count"])
def test_average_pool(count: int | None) -> None:
    x = image(1, 2, 4, 5)
    rows, columns = ((-1, 3), (1, 3)), ((0, 2), (3, 2), (4, 2))
    node = g.Pool(
        "y", ("a",), (1, 2, 2, 3), g.PoolKind.AVERAGE, rows, columns, g.Finish(2), scale(bias=-4),
        3, count, -5,
    )  # fmt: skip
    got = single(node, x).astype(int)
    for c, i, j in np.ndindex(2, 2, 3):
        window = x[0, c, max(rows[i][0], 0) : rows[i][0] + 3, columns[j][0] : columns[j][0] + 2]
        total = int((window.astype(int) + 5).sum()) * 3
        mean = int(truncating_divide(np.array([total]), count or window.size)[0])
        assert got[0, c, i, j] == clamp(mean - 4 + 2)


def test_max_pool_ignores_what_is_outside() -> None:
    x = image(1, 1, 3, 3)
    node = g.Pool(
        "y", ("a",), (1, 1, 1, 1), g.PoolKind.MAX, ((-1, 3),), ((2, 4),), g.Finish(high=100)
    )
    assert single(node, x)[0, 0, 0, 0] == min(100, x[0, 0, :2, 2].max())


@pytest.mark.parametrize("kind", list(g.BinaryKind))
def test_binary_broadcasts(kind: g.BinaryKind) -> None:
    a, b = image(2, 3, 1, 4), image(1, 3, 2, 1, seed=5)
    first, second = scale(1 << 30, 31, 7), scale(3 << 28, 30, -2)
    node = g.Binary("y", ("a", "b"), (2, 3, 2, 4), kind, first, second, g.Finish(1))
    got = single(node, a, b)
    for n, c, i, j in np.ndindex(2, 3, 2, 4):
        x, y = int(a[n, c, 0, j]) + 7, int(b[0, c, i, 0]) - 2
        if kind is g.BinaryKind.MULTIPLY:
            want = requantized(x * y, 1 << 30, 31)
        else:
            sign = 1 if kind is g.BinaryKind.ADD else -1
            want = requantized(x, 1 << 30, 31) + sign * requantized(y, 3 << 28, 30)
        assert got[n, c, i, j] == clamp(want + 1)


def test_finish_looks_the_clamped_byte_up() -> None:
    table = np.arange(256, dtype=np.uint8)[::-1].copy().view(np.int8)
    node = g.Binary(
        "y", ("a", "a"), (1, 1, 1, 2), g.BinaryKind.ADD, scale(), scale(), g.Finish(0, -3, 9, table)
    )
    got = single(node, np.array([[[[100, -100]]]], np.int8))
    assert got.reshape(-1).tolist() == [int(table[9]), int(table[253])]


def test_moves() -> None:
    x = image(2, 3, 4, 5)
    table = image(256)
    np.testing.assert_array_equal(
        single(g.Table("y", ("a",), x.shape, table), x), table[x.view(np.uint8)]
    )
    sliced = g.Slice("y", ("a",), (2, 2, 2, 1), (0, 1, 0, 3), (1, 1, 3, 1))
    np.testing.assert_array_equal(single(sliced, x), x[:, 1:3, ::3, 3:4])
    padded = g.Pad("y", ("a",), (2, 5, 4, 6), (0, 1, 0, 0), -9)
    want = np.pad(x, ((0, 0), (1, 1), (0, 0), (0, 1)), constant_values=-9)
    np.testing.assert_array_equal(single(padded, x), want)
    grown = g.Upsample("y", ("a",), (2, 3, 8, 15), (2, 3))
    np.testing.assert_array_equal(single(grown, x), x.repeat(2, 2).repeat(3, 3))
    joined = g.Concat("y", ("a", "b"), (2, 3, 8, 5), 2)
    np.testing.assert_array_equal(single(joined, x, x), np.concatenate([x, x], 2))
    moved = g.Relayout("y", ("a",), (2, 20, 3, 1), (2, 3, 20), (0, 2, 1))
    np.testing.assert_array_equal(
        single(moved, x).reshape(2, 20, 3), x.reshape(2, 3, 20).swapaxes(1, 2)
    )


def nhwc_graph() -> Graph:
    nodes = (g.Input("x", (), (1, 3, 4, 5)), g.Slice("y", ("x",), (1, 2, 4, 5), (0, 1, 0, 0)))
    ports = (Port("x", (1, 4, 5, 3), "NHWC"),)
    return Graph("edges", nodes, ports, (Port("y", (1, 4, 5, 2), "NHWC"), Port("y", (40,))))


def test_ports_give_the_callers_layout() -> None:
    x = image(1, 4, 5, 3)
    graph = nhwc_graph()
    check(graph)
    nhwc, flat = call(graph, [x])
    np.testing.assert_array_equal(nhwc, x[..., 1:])
    np.testing.assert_array_equal(flat, x[..., 1:].transpose(0, 3, 1, 2).reshape(-1))


def test_bad_inputs() -> None:
    graph = nhwc_graph()
    with pytest.raises(InputError, match=r"^input x is missing; the call gave \[\]$"):
        run(graph, {})
    with pytest.raises(InputError, match=r"input x is float64\[1, 3, 4, 5\], expected int8"):
        run(graph, {"x": np.zeros((1, 3, 4, 5))})  # type: ignore[dict-item]
    with pytest.raises(InputError, match=r"shape \(1, 3, 4, 5\), expected \(1, 4, 5, 3\)"):
        call(graph, [image(1, 3, 4, 5)])
