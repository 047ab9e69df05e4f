"""Forms that move bytes, as views where that is free and as graph nodes where it is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from zebra.graph import nodes as g
from zebra.relay import composites as c
from zebra.relay.dims import Axes, graph_dims
from zebra.relay.expr import Expr, carried_offset, dtype, op_name, shape
from zebra.relay.geometry import LAYOUTS, upsample_factor
from zebra.relay.lowering.builder import Builder, origin_of, result_dims
from zebra.relay.lowering.layout import View


def emit_move(build: Builder, form: c.MoveForm) -> None:
    """Dispatch on the operator."""
    name = op_name(form.calls[-1])
    if name in c.RESHAPES:
        build.views[form.root] = build.views[form.inputs[0]].reshape(shape(form.root))
    else:
        _EMIT[name](build, form)


def transpose_view(build: Builder, view: View, axes: Sequence[int]) -> View:
    """The viewed tensor transposed; where its axes were cut, it is laid out row-major first."""
    turned = view.transpose(axes)
    if turned is None:
        turned = build.row_major(view).transpose(axes)
    assert turned is not None, "a row-major tensor can be transposed"
    return turned


def _transpose(build: Builder, form: c.MoveForm) -> None:
    rank = len(shape(form.root))
    axes = form.root.attrs.axes
    order = range(rank)[::-1] if axes is None else [int(axis) % rank for axis in axes]
    build.views[form.root] = transpose_view(build, build.views[form.inputs[0]], list(order))


def _layout_transform(build: Builder, form: c.MoveForm) -> None:
    attrs = form.root.attrs
    order = [str(attrs.src_layout).index(letter) for letter in str(attrs.dst_layout)]
    build.views[form.root] = transpose_view(build, build.views[form.inputs[0]], order)


def _depth_and_space(build: Builder, form: c.MoveForm) -> None:
    attrs = form.root.attrs
    block, layout = int(attrs.block_size), str(attrs.layout)
    view = build.views[form.inputs[0]]
    to_nchw = [layout.index(letter) for letter in "NCHW"]
    view = transpose_view(build, view, to_nchw)
    n, channels, height, width = view.shape
    if op_name(form.root) == "nn.space_to_depth":
        cut = view.reshape((n, channels, height // block, block, width // block, block))
        order = [0, 3, 5, 1, 2, 4]
    elif attrs.mode == "CRD":
        cut = view.reshape((n, channels // block**2, block, block, height, width))
        order = [0, 1, 4, 2, 5, 3]
    else:
        cut = view.reshape((n, block, block, channels // block**2, height, width))
        order = [0, 3, 4, 1, 5, 2]
    dims = graph_dims(shape(form.root), LAYOUTS[layout])
    view = transpose_view(build, cut, order).reshape(dims)
    build.views[form.root] = transpose_view(build, view, ["NCHW".index(x) for x in layout])


def _axes_for(build: Builder, operand: Expr) -> Axes:
    return build.best_axes([build.views[operand]], len(shape(operand)))


def _placed(values: Sequence[int], axes: Axes, missing: int) -> g.Shape:
    """Per-axis numbers of a Relay tensor, as numbers of N, C, H and W."""
    placed = [missing] * 4
    for value, axis in zip(values, axes, strict=True):
        placed[axis] = value
    return placed[0], placed[1], placed[2], placed[3]


def _emit_slice(
    build: Builder, form: c.MoveForm, begin: Sequence[int], strides: Sequence[int]
) -> None:
    axes = _axes_for(build, form.inputs[0])
    node = g.Slice(
        build.name("slice"),
        (build.value(form.inputs[0], axes),),
        result_dims(form.root, axes),
        _placed(begin, axes, 0),
        _placed(strides, axes, 1),
        origin=origin_of(form.calls),
    )
    build.define(form.root, node, axes)


def _strided_slice(build: Builder, form: c.MoveForm) -> None:
    attrs, tensor = form.root.attrs, shape(form.inputs[0])
    named = range(len(attrs.begin)) if attrs.axes is None else attrs.axes
    begin, strides = [0] * len(tensor), [1] * len(tensor)
    given = [int(stride) for stride in attrs.strides or [1]]
    sizes_given = attrs.slice_mode == "size"
    for place, axis in enumerate(int(axis) % len(tensor) for axis in named):
        first = int(attrs.begin[place])
        begin[axis] = min(max(first + tensor[axis] if first < 0 else first, 0), tensor[axis])
        strides[axis] = given[place if len(given) > 1 else 0] if not sizes_given else 1
    _emit_slice(build, form, begin, strides)


def _split(build: Builder, form: c.MoveForm) -> None:
    split, index = form.calls[0], form.root.index
    axis = int(split.attrs.axis) % len(shape(split.args[0]))
    sizes = [int(part.shape[axis]) for part in split.checked_type.fields]
    begin = [0] * len(shape(split.args[0]))
    begin[axis] = sum(sizes[:index])
    _emit_slice(build, form, begin, [1] * len(begin))


def _pad(build: Builder, form: c.MoveForm) -> None:
    axes = _axes_for(build, form.inputs[0])
    value = c.pad_value(form)
    assert value is not None, "supported.py admits constant pads only"
    before = [int(pair[0]) for pair in form.root.attrs.pad_width]
    node = g.Pad(
        build.name("pad"),
        (build.value(form.inputs[0], axes),),
        result_dims(form.root, axes),
        _placed(before, axes, 0),
        value - carried_offset(dtype(form.root)),
        origin=origin_of(form.calls),
    )
    build.define(form.root, node, axes)


def _upsample(build: Builder, form: c.MoveForm) -> None:
    factor = upsample_factor(form)
    assert factor is not None, "supported.py admits whole factors only"
    axes = LAYOUTS[str(form.root.attrs.layout)]
    node = g.Upsample(
        build.name("upsample"),
        (build.value(form.inputs[0], axes),),
        result_dims(form.root, axes),
        factor,
        origin=origin_of(form.calls),
    )
    build.define(form.root, node, axes)


def emit_concat(build: Builder, form: c.ConcatForm, operands: Sequence[View]) -> None:
    """Join ``operands``: views of the form's inputs, requantized where they had to be."""
    axes = build.best_axes(operands, len(shape(form.root)))
    axis = int(form.root.attrs.axis) % len(shape(form.root))
    node = g.Concat(
        build.name("concat"),
        tuple(build.ordered(operand, axes) for operand in operands),
        result_dims(form.root, axes),
        axes[axis],
        origin=origin_of(form.calls),
    )
    build.define(form.root, node, axes)


_EMIT: dict[str, Callable[[Builder, c.MoveForm], None]] = {
    "transpose": _transpose,
    "layout_transform": _layout_transform,
    "strided_slice": _strided_slice,
    "split": _split,
    "nn.pad": _pad,
    "nn.upsampling": _upsample,
    "image.resize2d": _upsample,
    "nn.depth_to_space": _depth_and_space,
    "nn.space_to_depth": _depth_and_space,
}
