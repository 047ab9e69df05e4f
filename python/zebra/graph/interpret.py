"""The slow NumPy oracle of a Graph: each node as docs/architecture.md and nodes.py define it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from zebra.errors import InputError
from zebra.graph import nodes as g
from zebra.numerics import requantize, truncating_divide, wrap32

Int64Array = npt.NDArray[np.int64]
Float64Array = npt.NDArray[np.float64]


def run(graph: g.Graph, inputs: Mapping[str, g.Int8Array]) -> dict[str, g.Int8Array]:
    """The int8 [N, C, H, W] values of the graph's outputs, by value name.

    ``inputs`` maps each input's value name to its int8 [N, C, H, W] array.
    InputError names an input that is missing, misshapen or not int8.
    """
    values: dict[str, g.Int8Array] = {}
    readers = _last_readers(graph)
    for node in graph.nodes:
        if isinstance(node, g.Input):
            values[node.name] = _input(node, inputs)
        else:
            values[node.name] = evaluate(node, [values[name] for name in node.inputs])
        for name in set(node.inputs):
            if readers[name] == node.name:
                del values[name]
    return {port.value: values[port.value] for port in graph.outputs}


def call(graph: g.Graph, arrays: Sequence[g.Int8Array]) -> list[g.Int8Array]:
    """The region as its caller sees it: arrays of the ports' shapes, in calling order."""
    dims = {node.name: node.shape for node in graph.nodes}
    inputs = {
        port.value: to_value(array, port, dims[port.value])
        for port, array in zip(graph.inputs, arrays, strict=True)
    }
    values = run(graph, inputs)
    return [from_value(values[port.value], port) for port in graph.outputs]


def to_value(array: g.Int8Array, port: g.Port, dims: g.Shape) -> g.Int8Array:
    """The caller's dense array of ``port`` as the value [N, C, H, W] of ``dims``."""
    if array.shape != port.shape:
        raise InputError(f"input {port.value} has shape {array.shape}, expected {port.shape}")
    return array.transpose(0, 3, 1, 2) if port.layout == "NHWC" else array.reshape(dims)


def from_value(value: g.Int8Array, port: g.Port) -> g.Int8Array:
    """The value [N, C, H, W] as the caller's dense array of ``port``."""
    dense = value.transpose(0, 2, 3, 1) if port.layout == "NHWC" else value
    return np.ascontiguousarray(dense).reshape(port.shape)


def evaluate(node: g.Node, args: Sequence[g.Int8Array]) -> g.Int8Array:
    """The int8 [N, C, H, W] value that ``node`` computes from its inputs' values."""
    return _EVALUATE[type(node)](node, args)


def _last_readers(graph: g.Graph) -> dict[str, str]:
    last = {name: node.name for node in graph.nodes for name in node.inputs}
    return last | {port.value: "" for port in graph.outputs}


def _input(node: g.Input, inputs: Mapping[str, g.Int8Array]) -> g.Int8Array:
    if node.name not in inputs:
        raise InputError(f"input {node.name} is missing; the call gave {sorted(inputs)}")
    array = inputs[node.name]
    if array.shape != node.shape or array.dtype != np.int8:
        raise InputError(
            f"input {node.name} is {array.dtype}{list(array.shape)}, "
            f"expected int8{list(node.shape)}"
        )
    return array


def apply_scale(x: npt.NDArray[Any], scale: g.Scale) -> npt.NDArray[np.int32]:
    """requantize(x + bias, multiplier, shift), per channel of [N, C, H, W] or for all alike."""
    bias, m, s = (
        field.reshape(1, -1, 1, 1) for field in (scale.bias, scale.multiplier, scale.shift)
    )
    return requantize(wrap32(x.astype(np.int64) + bias), m, s)


def apply_finish(y: npt.NDArray[Any], finish: g.Finish) -> g.Int8Array:
    """Offset, clamp and table: int32 to int8."""
    clamped = np.clip(y.astype(np.int64) + finish.offset, finish.low, finish.high)
    return clamped.astype(np.int8) if finish.table is None else look_up(clamped, finish.table)


def look_up(x: npt.NDArray[Any], table: g.Int8Array) -> g.Int8Array:
    """table[byte of x taken as unsigned], element by element."""
    return table[x.astype(np.int8).view(np.uint8)]


def _conv2d(node: g.Conv2d, args: Sequence[g.Int8Array]) -> g.Int8Array:
    x = _padded(args[0], node.pads, node.pad_value)
    rows, columns = node.shape[2:]
    kernel = node.weight.shape[2:]
    acc = np.zeros(node.shape, np.float64)  # exact: every sum stays far below 2**53
    for i, j in np.ndindex(*kernel):
        window = x[
            :,
            :,
            i * node.dilation[0] :: node.stride[0],
            j * node.dilation[1] :: node.stride[1],
        ][:, :, :rows, :columns]
        acc += _grouped_product(window, node.weight[:, :, i, j], node.groups)
    return apply_finish(apply_scale(wrap32(acc.astype(np.int64)), node.scale), node.finish)


def _grouped_product(x: Float64Array, weight: npt.NDArray[np.int16], groups: int) -> Float64Array:
    """[N, C, H, W] times [K, C / groups] per group: [N, K, H, W]."""
    n, c, rows, columns = x.shape
    k = weight.shape[0]
    if groups == c == k:
        return x * weight.reshape(1, k, 1, 1)
    grouped = x.reshape(n, groups, c // groups, rows * columns)
    product = weight.reshape(groups, k // groups, -1).astype(np.float64) @ grouped
    return product.reshape(n, k, rows, columns)


def _padded(x: g.Int8Array, pads: g.Pads, value: int) -> Float64Array:
    """``x`` as float64 with ``value`` around it; a negative pad crops."""
    top, left, bottom, right = pads
    widths = ((0, 0), (0, 0), (max(top, 0), max(bottom, 0)), (max(left, 0), max(right, 0)))
    wide = np.pad(x.astype(np.float64), widths, constant_values=value)
    height, width = wide.shape[2:]
    return wide[
        :, :, max(-top, 0) : height - max(-bottom, 0), max(-left, 0) : width - max(-right, 0)
    ]


def _conv_transpose(node: g.ConvTranspose2d, args: Sequence[g.Int8Array]) -> g.Int8Array:
    x = args[0].astype(np.float64) - node.zero_point
    n, _, rows, columns = x.shape
    kernel = node.weight.shape[2:]
    top, left = node.pads[:2]
    height = max((rows - 1) * node.stride[0] + kernel[0], top + node.shape[2])
    width = max((columns - 1) * node.stride[1] + kernel[1], left + node.shape[3])
    acc = np.zeros((n, node.shape[1], height, width), np.float64)
    for i, j in np.ndindex(*kernel):
        product = _grouped_product(x, node.weight[:, :, i, j], node.groups)
        target = acc[:, :, i :: node.stride[0], j :: node.stride[1]]
        target[:, :, :rows, :columns] += product
    acc = acc[:, :, top : top + node.shape[2], left : left + node.shape[3]]
    return apply_finish(apply_scale(wrap32(acc.astype(np.int64)), node.scale), node.finish)


def _pool(node: g.Pool, args: Sequence[g.Int8Array]) -> g.Int8Array:
    x = args[0].astype(np.int64)
    out = np.empty(node.shape, np.int64)
    for i, row in enumerate(node.rows):
        for j, column in enumerate(node.columns):
            window = x[:, :, _clipped(row, x.shape[2]), _clipped(column, x.shape[3])]
            out[:, :, i, j] = _reduce(node, window)
    if node.kind is g.PoolKind.AVERAGE and node.scale is not None:
        return apply_finish(apply_scale(out, node.scale), node.finish)
    return apply_finish(out, node.finish)


def _clipped(span: tuple[int, int], size: int) -> slice:
    return slice(max(span[0], 0), min(span[0] + span[1], size))


def _reduce(node: g.Pool, window: Int64Array) -> npt.NDArray[np.signedinteger]:
    if node.kind is g.PoolKind.MAX:
        largest: Int64Array = window.max((2, 3))
        return largest
    area = window.shape[2] * window.shape[3]
    total: Int64Array = (window - node.zero_point).sum((2, 3))
    return truncating_divide(total * node.gain, node.count or area)


def _binary(node: g.Binary, args: Sequence[g.Int8Array]) -> g.Int8Array:
    a, b = (arg.astype(np.int64) for arg in args)
    if node.kind is g.BinaryKind.MULTIPLY:
        product = (a + node.scale_a.bias.reshape(1, -1, 1, 1)) * (
            b + node.scale_b.bias.reshape(1, -1, 1, 1)
        )
        bare = g.Scale(node.scale_a.multiplier, node.scale_a.shift)
        return apply_finish(apply_scale(product, bare), node.finish)
    left = apply_scale(a, node.scale_a).astype(np.int64)
    right = apply_scale(b, node.scale_b).astype(np.int64)
    total = left + right if node.kind is g.BinaryKind.ADD else left - right
    return apply_finish(wrap32(total), node.finish)


def _table(node: g.Table, args: Sequence[g.Int8Array]) -> g.Int8Array:
    return look_up(args[0], node.table)


def _constant(node: g.Constant, args: Sequence[g.Int8Array]) -> g.Int8Array:
    return node.data


def _concat(node: g.Concat, args: Sequence[g.Int8Array]) -> g.Int8Array:
    return np.concatenate(list(args), node.axis)


def _slice(node: g.Slice, args: Sequence[g.Int8Array]) -> g.Int8Array:
    spans = tuple(
        slice(begin, begin + (size - 1) * stride + 1, stride)
        for begin, stride, size in zip(node.begin, node.stride, node.shape)
    )
    return args[0][spans]


def _pad(node: g.Pad, args: Sequence[g.Int8Array]) -> g.Int8Array:
    out = np.full(node.shape, node.value, np.int8)
    out[tuple(slice(b, b + size) for b, size in zip(node.before, args[0].shape))] = args[0]
    return out


def _upsample(node: g.Upsample, args: Sequence[g.Int8Array]) -> g.Int8Array:
    return args[0].repeat(node.factor[0], axis=2).repeat(node.factor[1], axis=3)


def _relayout(node: g.Relayout, args: Sequence[g.Int8Array]) -> g.Int8Array:
    return args[0].reshape(node.source).transpose(node.permutation).reshape(node.shape)


_EVALUATE: dict[type[g.Node], Callable[[Any, Sequence[g.Int8Array]], g.Int8Array]] = {
    g.Constant: _constant,
    g.Conv2d: _conv2d,
    g.ConvTranspose2d: _conv_transpose,
    g.Pool: _pool,
    g.Binary: _binary,
    g.Table: _table,
    g.Concat: _concat,
    g.Slice: _slice,
    g.Pad: _pad,
    g.Upsample: _upsample,
    g.Relayout: _relayout,
}
