"""Forms that calculate, as graph nodes: convolutions, pools, binary operators, tables."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from zebra.graph import nodes as g
from zebra.numerics import wrap32
from zebra.relay import composites as c
from zebra.relay.dims import Axes
from zebra.relay.expr import Expr, carried_offset, constant, dtype, op_name, scalar, shape
from zebra.relay.geometry import (
    LAYOUTS,
    average_input,
    is_identity_table,
    kernel_matrix,
    padding,
    pool_windows,
)
from zebra.relay.lowering.builder import Builder, origin_of, result_dims
from zebra.relay.lowering.layout import View
from zebra.relay.scales import read_binary, read_requantize, scale_ratios
from zebra.relay.unary import byte_table

_UNIT = (np.array([1 << 30], np.int32), np.array([30], np.int32))
"""Multiplier and shift of a scale of one."""
_BINARY_KINDS = {
    "qnn.add": g.BinaryKind.ADD,
    "qnn.subtract": g.BinaryKind.SUBTRACT,
    "qnn.mul": g.BinaryKind.MULTIPLY,
}


def emit_table(build: Builder, view: View, table: npt.NDArray[np.int8], origin: str) -> View:
    """The tensor table[viewed tensor]; it lies as its operand does."""
    if is_identity_table(table):
        return view
    node = g.Table(build.name("table"), (view.value,), view.dims, table, origin=origin)
    return replace(view, value=build.add(node))


def finish_of(tail: c.Tail, root: Expr) -> g.Finish:
    """Zero point and clamp of a tail, for the int8 that carries ``root``."""
    offset = carried_offset(dtype(root))
    zero = int(scalar(tail.requantize.args[4])) if tail.requantize is not None else 0
    return g.Finish(zero - offset, tail.low - offset, tail.high - offset)


def _bias(form: c.ConvForm, channels: int) -> npt.NDArray[np.int64]:
    """The constants added to the core's result, int64 [K]."""
    total = np.zeros(channels, np.int64)
    for call in form.added:
        for arg in call.args:
            array = constant(arg)
            if array is not None:
                total += array.reshape(-1).astype(np.int64)
    return total


def _conv_scale(form: c.ConvForm, bias: npt.NDArray[np.int64]) -> g.Scale:
    found = read_requantize(form.tail.requantize)
    assert found is not None, "supported.py admits constant scales only"
    return g.Scale(found.multiplier, found.shift, wrap32(bias - found.zero_in))


def _input_zero(form: c.ConvForm) -> int:
    """The input's zero point in the int8 that carries it."""
    return int(scalar(form.core.args[2])) - carried_offset(dtype(form.inputs[0]))


def emit_conv(build: Builder, form: c.ConvForm) -> None:
    """qnn.conv2d, qnn.conv2d_transpose or qnn.dense with its tail."""
    kind = op_name(form.core)
    if kind == "qnn.dense":
        _emit_dense(build, form)
    elif kind == "qnn.conv2d_transpose":
        _emit_conv_transpose(build, form)
    else:
        _emit_conv2d(build, form)


def _folded(form: c.ConvForm, weight: npt.NDArray[np.int32]) -> g.Scale:
    """Scale whose bias holds the zero point of the input too."""
    sums = weight.astype(np.int64).sum((1, 2, 3))
    return _conv_scale(form, _bias(form, len(weight)) - _input_zero(form) * sums)


def _emit_conv2d(build: Builder, form: c.ConvForm) -> None:
    attrs, weight = form.core.attrs, kernel_matrix(form)
    axes = LAYOUTS[str(attrs.data_layout)]
    strides, dilation = ([int(v) for v in field] for field in (attrs.strides, attrs.dilation))
    node = g.Conv2d(
        build.name("conv"),
        (build.value(form.inputs[0], axes),),
        result_dims(form.root, axes),
        weight.astype(np.int16),
        _folded(form, weight),
        finish_of(form.tail, form.root),
        (strides[0], strides[1]),
        (dilation[0], dilation[1]),
        padding(attrs.padding),
        _input_zero(form),
        int(attrs.groups),
        origin=origin_of(form.calls),
    )
    build.define(form.root, node, axes)


def _emit_conv_transpose(build: Builder, form: c.ConvForm) -> None:
    attrs, weight = form.core.attrs, kernel_matrix(form)
    axes = LAYOUTS[str(attrs.data_layout)]
    strides = [int(v) for v in attrs.strides]
    node = g.ConvTranspose2d(
        build.name("conv_transpose"),
        (build.value(form.inputs[0], axes),),
        result_dims(form.root, axes),
        weight.astype(np.int16),
        _conv_scale(form, _bias(form, len(weight))),
        finish_of(form.tail, form.root),
        (strides[0], strides[1]),
        padding(attrs.padding),
        int(attrs.groups),
        _input_zero(form),
        origin=origin_of(form.calls),
    )
    build.define(form.root, node, axes)


def _emit_dense(build: Builder, form: c.ConvForm) -> None:
    weight = kernel_matrix(form)
    view = build.views[form.inputs[0]]
    image = _as_image(view, weight)
    if image is not None:
        value, kernel = view.value, image
    else:
        value, kernel = build.value(form.inputs[0], (0, 1)), weight
    node = g.Conv2d(
        build.name("dense"),
        (value,),
        result_dims(form.root, (0, 1)),
        kernel.astype(np.int16),
        _folded(form, weight),
        finish_of(form.tail, form.root),
        pad_value=_input_zero(form),
        origin=origin_of(form.calls),
    )
    build.define(form.root, node, (0, 1))


def _as_image(view: View, weight: npt.NDArray[np.int32]) -> npt.NDArray[np.int32] | None:
    """Dense weights as a kernel over the whole image behind a flatten, int32 [K, C, H, W].

    None where the flattened tensor is not one image per row in some order of
    its elements: then the operand has to be laid out anew.
    """
    n, *image = view.dims
    units, features = weight.shape[:2]
    if view.shape != (n, features):
        return None
    if view.in_order:
        return weight.reshape(units, *image)
    batch = 0
    if n > 1:
        if view.source[0] != n or view.permutation[0] != 0:
            return None
        batch = 1
    order = [axis - batch for axis in view.permutation[batch:]]
    back = [order.index(axis) + 1 for axis in range(len(order))]
    kernel = weight.reshape(units, *view.permuted[batch:]).transpose(0, *back)
    return kernel.reshape(units, *image)


def emit_average(build: Builder, form: c.AverageForm) -> None:
    """An average pool, or the mean over one or two axes."""
    windows, source = pool_windows(form), average_input(form)
    assert windows is not None, "supported.py admits only such windows"
    assert source is not None, "supported.py admits only such averages"
    value = build.value(form.inputs[0], windows.axes)
    origin = origin_of(form.calls)
    if source.table is not None:
        dims = result_dims(form.inputs[0], windows.axes)
        table = byte_table(source.table, "int8")
        value = build.add(g.Table(build.name("table"), (value,), dims, table, origin=origin))
    node = g.Pool(
        build.name("average"),
        (value,),
        _pooled_dims(form.inputs[0], windows.axes, len(windows.rows), len(windows.columns)),
        g.PoolKind.AVERAGE,
        windows.rows,
        windows.columns,
        finish_of(form.tail, form.root),
        _average_scale(form.tail),
        source.gain,
        windows.count,
        source.zero_point,
        origin=origin,
    )
    build.define(form.root, node, windows.axes)
    _restore_shape(build, form.root)


def _restore_shape(build: Builder, root: Expr) -> None:
    """A reduction may drop its axes: view the result in the shape Relay gives it."""
    build.views[root] = build.views[root].reshape(shape(root))


def _pooled_dims(data: Expr, axes: Axes, rows: int, columns: int) -> g.Shape:
    n, channels = result_dims(data, axes)[:2]
    return n, channels, rows, columns


def _average_scale(tail: c.Tail) -> g.Scale | None:
    if tail.requantize is None:
        return None
    found = read_requantize(tail.requantize)
    assert found is not None, "supported.py admits constant scales only"
    return g.Scale(found.multiplier, found.shift, wrap32(-found.zero_in.astype(np.int64)))


def emit_max(build: Builder, form: c.MaxForm) -> None:
    """A max pool, or the maximum over one or two axes."""
    windows = pool_windows(form)
    assert windows is not None, "supported.py admits only such pools"
    node = g.Pool(
        build.name("maximum"),
        (build.value(form.inputs[0], windows.axes),),
        _pooled_dims(form.inputs[0], windows.axes, len(windows.rows), len(windows.columns)),
        g.PoolKind.MAX,
        windows.rows,
        windows.columns,
        g.Finish(),
        origin=origin_of(form.calls),
    )
    build.define(form.root, node, windows.axes)
    _restore_shape(build, form.root)


def emit_binary(build: Builder, form: c.BinaryForm) -> None:
    """qnn.add, qnn.subtract or qnn.mul, with broadcasting."""
    rank = len(shape(form.root))
    axes = build.best_axes([build.view(operand) for operand in form.inputs], rank)
    scale_a, scale_b, finish = _binary_scales(form)
    node = g.Binary(
        build.name(_BINARY_KINDS[op_name(form.root)].value),
        tuple(build.value(operand, axes, rank) for operand in form.inputs),
        result_dims(form.root, axes),
        _BINARY_KINDS[op_name(form.root)],
        scale_a,
        scale_b,
        finish,
        origin=origin_of(form.calls),
    )
    build.define(form.root, node, axes)


def _binary_scales(form: c.BinaryForm) -> tuple[g.Scale, g.Scale, g.Finish]:
    found = read_binary(form.root)
    assert found is not None, "supported.py admits scalar scales only"
    shift = carried_offset(dtype(form.root))
    zero_a, zero_b = (np.array([shift - zero], np.int32) for zero in (found.zero_a, found.zero_b))
    finish = g.Finish(found.zero_out - shift)
    if op_name(form.root) == "qnn.mul":
        product = scale_ratios(found.product, found.scale_out)
        return g.Scale(*product, zero_a), g.Scale(*_UNIT, zero_b), finish
    scale_a = g.Scale(*scale_ratios(found.scale_a, found.scale_out), zero_a)
    scale_b = g.Scale(*scale_ratios(found.scale_b, found.scale_out), zero_b)
    return scale_a, scale_b, finish
