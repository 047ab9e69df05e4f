"""Graph nodes to layers: which machine operation computes each operator."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from zebra.errors import UnsupportedError
from zebra.graph import nodes as g
from zebra.isa.insns import AccumOp
from zebra.numerics import INT8_MIN, divider, wrap32
from zebra.schedule.layers import (
    AccumLayer,
    BinaryLayer,
    FillLayer,
    GemmLayer,
    Layer,
    MoveLayer,
    TableLayer,
    Window,
)
from zebra.schedule.views import View

Views = Mapping[str, View]


def select(node: g.Node, views: Views) -> list[Layer]:
    """The layers that compute ``node``; empty for nodes that only name memory."""
    if isinstance(node, g.Input | g.Constant):
        return []
    selector = SELECTORS.get(type(node))
    if selector is None:
        raise UnsupportedError(f"{node.name}: no schedule for a {type(node).__name__} node")
    return list(selector(node, views))


def _conv(node: g.Conv2d, views: Views) -> Iterator[Layer]:
    x, out = views[node.inputs[0]], views[node.name]
    window = Window(
        (node.weight.shape[2], node.weight.shape[3]),
        node.stride,
        node.dilation,
        (node.pads[0], node.pads[1]),
        node.pad_value,
    )
    channels = x.dims[1]
    if node.groups == channels == out.dims[1] and channels > 1:
        taps = node.weight[:, 0].astype(np.int32)
        yield AccumLayer(
            node.name,
            node.origin,
            (x,),
            out,
            AccumOp.MAC,
            window,
            node.finish,
            taps=taps,
            scale=node.scale,
        )
        return
    x, window = _subsample(x, window, out)
    yield GemmLayer(
        node.name, node.origin, (x,), out, window, node.weight, node.scale, node.finish, node.groups
    )


def _subsample(x: View, window: Window, out: View) -> tuple[View, Window]:
    """A strided 1x1 convolution without padding reads every stride-th pixel only."""
    if window.kernel != (1, 1) or window.pad != (0, 0) or window.stride == (1, 1):
        return x, window
    if any(window.span(out.dims[2 + axis], 1, axis) > x.dims[2 + axis] for axis in (0, 1)):
        return x, window
    n, c, _, _ = x.dims
    dims = (n, c, out.dims[2], out.dims[3])
    return x.part((0, 0, 0, 0), dims, (1, 1, *window.stride)), replace(window, stride=(1, 1))


def _phase(size: int, stride: int, pad: int, phase: int) -> tuple[int, int, int] | None:
    """(first output, outputs, first input) of one phase of a transposed convolution's axis.

    Outputs o with (o + pad) % stride == phase; the first of them takes its first
    tap (k = phase) from input (o + pad - phase) / stride.
    """
    first = (phase - pad) % stride
    if first >= size:
        return None
    return first, -(-(size - first) // stride), (first + pad - phase) // stride


def _conv_transpose(node: g.ConvTranspose2d, views: Views) -> Iterator[Layer]:
    """One stride-1 convolution per output phase, with that phase's taps flipped."""
    x, out = views[node.inputs[0]], views[node.name]
    sh, sw = node.stride
    for ph in range(sh):
        for pw in range(sw):
            rows = _phase(out.dims[2], sh, node.pads[0], ph)
            columns = _phase(out.dims[3], sw, node.pads[1], pw)
            if rows is None or columns is None:
                continue
            weight = node.weight[:, :, ph::sh, pw::sw][:, :, ::-1, ::-1]
            macs = x.dims[0] * x.dims[2] * x.dims[3] * weight.size
            if weight.size == 0:
                weight = np.zeros((*node.weight.shape[:2], 1, 1), np.int16)
            folded = weight.sum((1, 2, 3), dtype=np.int64) * node.zero_point
            scale = replace(node.scale, bias=wrap32(node.scale.bias.astype(np.int64) - folded))
            kernel = (weight.shape[2], weight.shape[3])
            pad = (kernel[0] - 1 - rows[2], kernel[1] - 1 - columns[2])
            part = out.part(
                (0, 0, rows[0], columns[0]),
                (out.dims[0], out.dims[1], rows[1], columns[1]),
                (1, 1, sh, sw),
            )
            yield GemmLayer(
                f"{node.name}.phase{ph}{pw}",
                node.origin,
                (x,),
                part,
                Window(kernel, pad=pad, pad_value=node.zero_point),
                np.ascontiguousarray(weight),
                scale,
                node.finish,
                node.groups,
                whole=out,
                macs=macs,
            )


def window_runs(
    windows: tuple[tuple[int, int], ...], size: int
) -> list[tuple[int, int, int, int, int]]:
    """Group consecutive clipped windows of equal length at equal distance.

    Each run is (first output, outputs, first input, length, stride).
    """
    clipped = [(max(start, 0), min(start + length, size)) for start, length in windows]
    runs: list[tuple[int, int, int, int, int]] = []
    for index, (begin, end) in enumerate(clipped):
        if end <= begin:
            raise UnsupportedError(f"pooling window {index} lies wholly outside the image")
        if runs:
            first, count, start, length, stride = runs[-1]
            step = begin - (start + (count - 1) * stride)
            if end - begin == length and step >= 1 and (count == 1 or step == stride):
                runs[-1] = (first, count + 1, start, length, step)
                continue
        runs.append((index, 1, begin, end - begin, 1))
    return runs


def regular(windows: tuple[tuple[int, int], ...]) -> tuple[int, int, int] | None:
    """(first start, length, stride) where windows of one length follow at one distance."""
    start, length = windows[0]
    stride = windows[1][0] - start if len(windows) > 1 else 1
    expected = tuple((start + index * stride, length) for index in range(len(windows)))
    return (start, length, stride) if windows == expected and stride >= 1 else None


def _pool(node: g.Pool, views: Views) -> Iterator[Layer]:
    """A maximum of regular windows pads with the least value; else a layer per run of windows.

    Windows that reach over the edge are shorter, and an average divides by their area.
    """
    x, out = views[node.inputs[0]], views[node.name]
    rows, columns = regular(node.rows), regular(node.columns)
    if node.kind is g.PoolKind.MAX and rows is not None and columns is not None:
        window = Window(
            (rows[1], columns[1]),
            (rows[2], columns[2]),
            pad=(-rows[0], -columns[0]),
            pad_value=INT8_MIN,
        )
        yield AccumLayer(node.name, node.origin, (x,), out, AccumOp.MAX, window, node.finish)
        return
    for row in window_runs(node.rows, x.dims[2]):
        for column in window_runs(node.columns, x.dims[3]):
            yield _pool_part(node, x, out, row, column)


def _pool_part(
    node: g.Pool,
    x: View,
    out: View,
    row: tuple[int, int, int, int, int],
    column: tuple[int, int, int, int, int],
) -> Layer:
    n, c = out.dims[:2]
    source = x.part(
        (0, 0, row[2], column[2]),
        (n, c, (row[1] - 1) * row[4] + row[3], (column[1] - 1) * column[4] + column[3]),
    )
    target = out.part((0, 0, row[0], column[0]), (n, c, row[1], column[1]))
    window = Window((row[3], column[3]), (row[4], column[4]))
    name = f"{node.name}.{row[0]}.{column[0]}"
    if node.kind is g.PoolKind.MAX:
        return AccumLayer(
            name,
            node.origin,
            (source,),
            target,
            AccumOp.MAX,
            window,
            node.finish,
            whole=out,
            source=x,
        )
    area = row[3] * column[3]
    limit = area * (abs(node.zero_point) - INT8_MIN)
    m, s = divider(node.count or area, node.gain, limit)
    divide = g.Scale(
        np.array([m], np.int32), np.array([s], np.int32), np.array([-node.zero_point * area])
    )
    return AccumLayer(
        name,
        node.origin,
        (source,),
        target,
        AccumOp.SUM,
        window,
        node.finish,
        divide=divide,
        scale=node.scale,
        whole=out,
        source=x,
    )


def _binary(node: g.Binary, views: Views) -> Iterator[Layer]:
    a, b = (views[name].broadcast(node.shape) for name in node.inputs)
    yield BinaryLayer(
        node.name,
        node.origin,
        (a, b),
        views[node.name],
        node.kind,
        node.scale_a,
        node.scale_b,
        node.finish,
    )


def _table(node: g.Table, views: Views) -> Iterator[Layer]:
    x = views[node.inputs[0]]
    yield TableLayer(node.name, node.origin, (x,), views[node.name], node.table)


def _concat(node: g.Concat, views: Views) -> Iterator[Layer]:
    """Only the pieces that could not be placed inside the result move."""
    out, position = views[node.name], 0
    for index, name in enumerate(node.inputs):
        x = views[name]
        begin = tuple(position if axis == node.axis else 0 for axis in range(4))
        target = out.part((begin[0], begin[1], begin[2], begin[3]), x.dims)
        position += x.dims[node.axis]
        if (x.buffer, x.offset, x.lane) != (target.buffer, target.offset, target.lane):
            yield MoveLayer(f"{node.name}.{index}", node.origin, (x,), target)


def _slice(node: g.Slice, views: Views) -> Iterator[Layer]:
    """A slice is a view of its input, unless it has memory of its own."""
    x = views[node.inputs[0]].part(node.begin, node.shape, node.stride)
    out = views[node.name]
    if x.buffer != out.buffer:
        yield MoveLayer(node.name, node.origin, (x,), out)


def _upsample(node: g.Upsample, views: Views) -> Iterator[Layer]:
    x = views[node.inputs[0]]
    yield MoveLayer(node.name, node.origin, (x,), views[node.name], factor=node.factor)


def _pad(node: g.Pad, views: Views) -> Iterator[Layer]:
    """Rows and columns are padded as the data moves; padding channels are filled."""
    x, out = views[node.inputs[0]], views[node.name]
    n, _, h, w = out.dims
    before, own = node.before[1], x.dims[1]
    yield MoveLayer(
        node.name,
        node.origin,
        (x,),
        out.part((0, before, 0, 0), (n, own, h, w)),
        pad=(node.before[2], node.before[3]),
        value=node.value,
    )
    for side, start, stop in (("front", 0, before), ("back", before + own, out.dims[1])):
        if stop > start:
            target = out.part((0, start, 0, 0), (n, stop - start, h, w))
            yield FillLayer(f"{node.name}.{side}", node.origin, (), target, node.value)


def _relayout(node: g.Relayout, views: Views) -> Iterator[Layer]:
    """Spread to a row-major buffer, permuted on the way if possible, then gather into blocks."""
    x, out = views[node.inputs[0]], views[node.name]
    linear, target = x, node.shape
    if not is_row_major(x):
        order = axis_order(x.dims, node)
        spread = _row_major(f"{node.name}.rows", x, order or (0, 1, 2, 3))
        yield MoveLayer(f"{node.name}.spread", node.origin, (x,), spread)
        linear = View.linear(f"{node.name}.rows", x.dims, x.block)
        if order is not None:
            gathered = View.linear(linear.buffer, target, x.block)
            yield MoveLayer(f"{node.name}.gather", node.origin, (gathered,), out)
            return
    source, target = permuted(linear, node)
    if source is not None:
        moved = View.linear(f"{node.name}.permuted", source.dims, x.block)
        yield MoveLayer(f"{node.name}.permute", node.origin, (source,), moved)
        linear = moved
    gathered = replace(View.linear(linear.buffer, target, x.block), offset=linear.offset)
    yield MoveLayer(f"{node.name}.gather", node.origin, (gathered,), out)


def axis_order(dims: g.Shape, node: g.Relayout) -> tuple[int, ...] | None:
    """The order in which the permutation puts the value's own axes; None where it splits one."""
    groups: list[list[int]] = []
    axis = 0
    for extent in node.source:
        group, size = [], 1
        while axis < 4 and (size < extent or dims[axis] == 1):
            group.append(axis)
            size *= dims[axis]
            axis += 1
        if size != extent:
            return None
        groups.append(group)
    return tuple(axis for position in node.permutation for axis in groups[position])


def _row_major(buffer: str, x: View, order: tuple[int, ...]) -> View:
    """A dense buffer for ``x`` whose axes lie in ``order``, outermost first."""
    strides, size = [0, 0, 0, 0], 1
    for axis in reversed(order):
        strides[axis], size = size, size * x.dims[axis]
    n, c, h, w = strides
    return View(buffer, x.dims, x.block, (n, c * x.block, h, w), lane_stride=c)


def is_row_major(x: View) -> bool:
    """Whether the view's bytes are the dense row-major array of its dims."""
    n, c, h, w = x.dims
    if x.lane or (n > 1 and x.strides[0] != c * h * w):
        return False
    expected = (x.block * h * w, w, 1)
    wanted = (c > x.block, h > 1, w > 1)
    strides = x.strides[1:]
    return x.lane_stride == h * w and all(
        got == want for got, want, needed in zip(strides, expected, wanted) if needed
    )


def permuted(linear: View, node: g.Relayout) -> tuple[View | None, g.Shape]:
    """A view of the row-major bytes in the permuted order (None if that is the same order).

    Axes that stay neighbours are merged; at most four may remain.
    """
    strides = [1] * len(node.source)
    for axis in range(len(node.source) - 2, -1, -1):
        strides[axis] = strides[axis + 1] * node.source[axis + 1]
    merged: list[tuple[int, int]] = []
    for axis in node.permutation:
        extent, stride = node.source[axis], strides[axis]
        if extent == 1:
            continue
        if merged and merged[-1][1] == extent * stride:
            merged[-1] = (merged[-1][0] * extent, stride)
        else:
            merged.append((extent, stride))
    if len(merged) <= 1:
        return None, node.shape
    if len(merged) > 4:
        raise UnsupportedError(f"{node.name}: a transpose of {len(merged)} axes; at most 4")
    (n, sn), (c, sc), (h, sh), (w, sw) = [(1, 0)] * (4 - len(merged)) + merged
    view = View(
        linear.buffer,
        (n, c, h, w),
        linear.block,
        (sn, sc * linear.block, sh, sw),
        linear.offset,
        lane_stride=sc,
    )
    return view, node.shape


Selector = Callable[..., Iterator[Layer]]

SELECTORS: dict[type[g.Node], Selector] = {
    g.Conv2d: _conv,
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
