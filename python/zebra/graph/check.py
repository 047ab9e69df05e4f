"""Refuses a Graph that contradicts itself or is outside what the nodes promise."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from zebra.errors import UnsupportedError
from zebra.graph import nodes as g
from zebra.numerics import INT8_MAX, INT8_MIN, MAX_SHIFT

WEIGHT_MIN, WEIGHT_MAX = 2 * INT8_MIN, 2 * INT8_MAX


def check(graph: g.Graph) -> None:
    """UnsupportedError names the first node, field and value that breaks a rule."""
    shapes: dict[str, g.Shape] = {}
    for node in graph.nodes:
        where = f"graph {graph.name}, {type(node).__name__} {node.name}"
        _check_names(node, shapes, where)
        _CHECKS[type(node)](node, [shapes[name] for name in node.inputs], where)
        shapes[node.name] = node.shape
    _check_ports(graph, shapes)


def _refuse(where: str, what: str) -> UnsupportedError:
    return UnsupportedError(f"{where}: {what}")


def _require(condition: bool, where: str, what: str) -> None:
    if not condition:
        raise _refuse(where, what)


def _check_names(node: g.Node, shapes: dict[str, g.Shape], where: str) -> None:
    _require(type(node) in _CHECKS, where, "is not a kind of node the compiler knows")
    _require(node.name not in shapes, where, "the value is defined twice; rename one")
    for name in node.inputs:
        _require(name in shapes, where, f"reads {name}, which no earlier node defines")
    whole = len(node.shape) == 4 and all(isinstance(d, int) and d >= 1 for d in node.shape)
    _require(whole, where, f"shape {node.shape} must be four positive integers")


def _check_ports(graph: g.Graph, shapes: dict[str, g.Shape]) -> None:
    inputs = {node.name for node in graph.nodes if isinstance(node, g.Input)}
    where = f"graph {graph.name}"
    _require(
        sorted(port.value for port in graph.inputs) == sorted(inputs),
        where,
        f"input ports {[port.value for port in graph.inputs]} must be the Input nodes "
        f"{sorted(inputs)}",
    )
    _require(bool(graph.outputs), where, "has no output")
    for port in graph.outputs + graph.inputs:
        _require(port.value in shapes, where, f"port {port.value} names no value")
        dims = shapes[port.value]
        at = f"{where}, port {port.value}"
        _require(port.layout in ("NCHW", "NHWC"), at, f"layout {port.layout} is not known")
        if port.layout == "NHWC":
            n, c, h, w = dims
            _require(port.shape == (n, h, w, c), at, f"NHWC {port.shape} is not {dims}")
        else:
            same = math.prod(port.shape) == math.prod(dims)
            _require(same, at, f"shape {port.shape} does not hold the elements of {dims}")
    for port in graph.outputs:
        _require(port.value not in inputs, where, f"output {port.value} is an input; copy it")


def _check_shape(node: g.Node, expected: Sequence[int], where: str) -> None:
    _require(
        node.shape == tuple(expected), where, f"shape {node.shape} should be {tuple(expected)}"
    )


def _check_inputs(shapes: Sequence[g.Shape], count: int, where: str) -> None:
    _require(len(shapes) == count, where, f"has {len(shapes)} inputs, not {count}")


def _check_scale(scale: g.Scale, channels: int, where: str) -> None:
    for name, array in (
        ("multiplier", scale.multiplier),
        ("shift", scale.shift),
        ("bias", scale.bias),
    ):
        right = array.dtype == np.int32 and array.ndim == 1 and array.size in (1, channels)
        text = f"{array.dtype}{list(array.shape)}"
        _require(right, where, f"scale.{name} {text} must be int32 [1] or [{channels}]")
    low, high = int(scale.shift.min()), int(scale.shift.max())
    fits = low >= 1 and high <= MAX_SHIFT
    _require(fits, where, f"scale.shift {low}..{high} is outside 1..{MAX_SHIFT}")
    least = int(scale.multiplier.min())
    _require(least >= 0, where, f"scale.multiplier {least} is negative")


def _check_finish(finish: g.Finish, where: str) -> None:
    ordered = INT8_MIN <= finish.low <= finish.high <= INT8_MAX
    _require(ordered, where, f"finish clamps to {finish.low}..{finish.high}, not inside int8")
    fits = -(1 << 31) <= finish.offset < 1 << 31
    _require(fits, where, f"finish.offset {finish.offset} does not fit int32")
    if finish.table is not None:
        _check_table_array(finish.table, where)


def _check_table_array(table: npt.NDArray[Any], where: str) -> None:
    right = table.dtype == np.int8 and table.shape == (256,)
    _require(right, where, f"table is {table.dtype}{list(table.shape)}, not int8[256]")


def _check_weight(weight: npt.NDArray[Any], where: str) -> None:
    right = weight.dtype == np.int16 and weight.ndim == 4
    _require(right, where, f"weight is {weight.dtype}{list(weight.shape)}, not int16 of rank 4")
    low, high = int(weight.min()), int(weight.max())
    fits = low >= WEIGHT_MIN and high <= WEIGHT_MAX
    _require(fits, where, f"weights {low}..{high} are outside {WEIGHT_MIN}..{WEIGHT_MAX}")


def _check_groups(node: Any, channels: int, where: str) -> None:
    k, per_group = node.weight.shape[:2]
    right = node.groups >= 1 and k % node.groups == 0 and per_group * node.groups == channels
    _require(
        right,
        where,
        f"weight {node.weight.shape} in {node.groups} groups does not fit {channels} channels",
    )


def _check_leaf(node: Any, shapes: Sequence[g.Shape], where: str) -> None:
    _check_inputs(shapes, 0, where)
    if isinstance(node, g.Constant):
        _require(node.data.dtype == np.int8, where, f"data is {node.data.dtype}, not int8")
        _check_shape(node, node.data.shape, where)


def _check_conv(node: g.Conv2d, shapes: Sequence[g.Shape], where: str) -> None:
    _check_inputs(shapes, 1, where)
    _check_weight(node.weight, where)
    n, c, height, width = shapes[0]
    _check_groups(node, c, where)
    top, left, bottom, right = node.pads
    size = (height + top + bottom, width + left + right)
    out = [
        (have - (taps - 1) * dilation - 1) // stride + 1
        for have, taps, dilation, stride in zip(
            size, node.weight.shape[2:], node.dilation, node.stride
        )
    ]
    _check_shape(node, (n, node.weight.shape[0], *out), where)
    fits = INT8_MIN <= node.pad_value <= INT8_MAX
    _require(fits, where, f"pad_value {node.pad_value} does not fit int8")
    _check_scale(node.scale, node.shape[1], where)
    _check_finish(node.finish, where)


def _check_conv_transpose(node: g.ConvTranspose2d, shapes: Sequence[g.Shape], where: str) -> None:
    _check_inputs(shapes, 1, where)
    _check_weight(node.weight, where)
    n, c = shapes[0][:2]
    _check_groups(node, c, where)
    _check_shape(node, (n, node.weight.shape[0], *node.shape[2:]), where)
    fits = INT8_MIN <= node.zero_point <= INT8_MAX
    _require(fits, where, f"zero_point {node.zero_point} does not fit int8")
    _check_scale(node.scale, node.shape[1], where)
    _check_finish(node.finish, where)


def _check_pool(node: g.Pool, shapes: Sequence[g.Shape], where: str) -> None:
    _check_inputs(shapes, 1, where)
    n, c, height, width = shapes[0]
    _check_shape(node, (n, c, len(node.rows), len(node.columns)), where)
    for name, spans, size in (("row", node.rows, height), ("column", node.columns, width)):
        for start, length in spans:
            meets = length >= 1 and start < size and start + length > 0
            _require(meets, where, f"{name} window ({start}, {length}) misses 0..{size - 1}")
    if node.kind is g.PoolKind.AVERAGE and node.scale is not None:
        _check_scale(node.scale, c, where)
    positive = node.gain >= 1 and (node.count is None or node.count >= 1)
    _require(positive, where, f"gain {node.gain} and count {node.count} must be positive")
    fits = INT8_MIN <= node.zero_point <= INT8_MAX
    _require(fits, where, f"zero_point {node.zero_point} does not fit int8")
    _check_finish(node.finish, where)


def _check_binary(node: g.Binary, shapes: Sequence[g.Shape], where: str) -> None:
    _check_inputs(shapes, 2, where)
    a, b = shapes
    pairs = all(x == y or 1 in (x, y) for x, y in zip(a, b))
    _require(pairs, where, f"operands {a} and {b} do not broadcast")
    _check_shape(node, [max(x, y) for x, y in zip(a, b)], where)
    _check_scale(node.scale_a, node.shape[1], where)
    _check_scale(node.scale_b, node.shape[1], where)
    _check_finish(node.finish, where)


def _check_table(node: g.Table, shapes: Sequence[g.Shape], where: str) -> None:
    _check_inputs(shapes, 1, where)
    _check_shape(node, shapes[0], where)
    _check_table_array(node.table, where)


def _check_concat(node: g.Concat, shapes: Sequence[g.Shape], where: str) -> None:
    _require(bool(shapes) and 0 <= node.axis <= 3, where, f"axis {node.axis} is not 0..3")
    expected = list(shapes[0])
    expected[node.axis] = sum(shape[node.axis] for shape in shapes)
    for shape in shapes:
        rest = all(shape[i] == expected[i] for i in range(4) if i != node.axis)
        _require(rest, where, f"operand {shape} does not join {shapes[0]} on axis {node.axis}")
    _check_shape(node, expected, where)


def _check_slice(node: g.Slice, shapes: Sequence[g.Shape], where: str) -> None:
    _check_inputs(shapes, 1, where)
    for axis, (begin, stride, size, have) in enumerate(
        zip(node.begin, node.stride, node.shape, shapes[0])
    ):
        inside = begin >= 0 and stride >= 1 and begin + (size - 1) * stride < have
        _require(inside, where, f"axis {axis}: {begin}::{stride} x {size} leaves 0..{have - 1}")


def _check_pad(node: g.Pad, shapes: Sequence[g.Shape], where: str) -> None:
    _check_inputs(shapes, 1, where)
    for axis, (before, size, have) in enumerate(zip(node.before, node.shape, shapes[0])):
        inside = before >= 0 and before + have <= size
        _require(inside, where, f"axis {axis}: {before} before {have} does not fit {size}")
    batch = node.before[0] == 0 and node.shape[0] == shapes[0][0]
    _require(batch, where, "pads the batch axis; only C, H and W can be padded")
    fits = INT8_MIN <= node.value <= INT8_MAX
    _require(fits, where, f"value {node.value} does not fit int8")


def _check_upsample(node: g.Upsample, shapes: Sequence[g.Shape], where: str) -> None:
    _check_inputs(shapes, 1, where)
    _require(min(node.factor) >= 1, where, f"factor {node.factor} must be positive")
    n, c, height, width = shapes[0]
    _check_shape(node, (n, c, height * node.factor[0], width * node.factor[1]), where)


def _check_relayout(node: g.Relayout, shapes: Sequence[g.Shape], where: str) -> None:
    _check_inputs(shapes, 1, where)
    permutes = sorted(node.permutation) == list(range(len(node.source)))
    _require(permutes, where, f"{node.permutation} is no permutation of {node.source}")
    same = math.prod(node.source) == math.prod(shapes[0]) == math.prod(node.shape)
    _require(same, where, f"{shapes[0]} as {node.source} to {node.shape} changes the size")


_CHECKS: dict[type[g.Node], Callable[[Any, Sequence[g.Shape], str], None]] = {
    g.Input: _check_leaf,
    g.Constant: _check_leaf,
    g.Conv2d: _check_conv,
    g.ConvTranspose2d: _check_conv_transpose,
    g.Pool: _check_pool,
    g.Binary: _check_binary,
    g.Table: _check_table,
    g.Concat: _check_concat,
    g.Slice: _check_slice,
    g.Pad: _check_pad,
    g.Upsample: _check_upsample,
    g.Relayout: _check_relayout,
}
