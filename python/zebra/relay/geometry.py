"""Shapes and windows of Relay operators: pooling windows, kernels, resize factors."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from zebra.graph.nodes import Shape
from zebra.relay import composites as c
from zebra.relay.dims import Axes, graph_dims
from zebra.relay.expr import Expr, constant, op_name, shape
from zebra.relay.unary import Unary, byte_values, evaluate_integer

LAYOUTS: dict[str, Axes] = {"NCHW": (0, 1, 2, 3), "NHWC": (0, 2, 3, 1)}
Spans = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Windows:
    """The windows of a pooling operator; ``axes`` says how its tensor is [N, C, H, W]."""

    axes: Axes
    rows: Spans
    columns: Spans
    count: int | None

    def areas(self, tensor: tuple[int, ...]) -> Iterator[tuple[int, int]]:
        """(elements summed, divisor) of every distinct window on a tensor of this shape."""
        dims = graph_dims(tensor, self.axes)
        heights = {_clipped(span, dims[2]) for span in self.rows}
        widths = {_clipped(span, dims[3]) for span in self.columns}
        for area in sorted({height * width for height in heights for width in widths}):
            yield area, self.count or area


def _clipped(span: tuple[int, int], size: int) -> int:
    return min(span[0] + span[1], size) - max(span[0], 0)


def pool_windows(form: c.MaxForm | c.AverageForm) -> Windows | None:
    """The windows of a pooling or reducing operator, or None where it has no such form."""
    core = form.core if isinstance(form, c.AverageForm) else form.root
    tensor = shape(core.args[0])
    if op_name(core) in ("mean", "max"):
        return _reduction(core, tensor)
    layout = str(core.attrs.layout)
    if layout not in LAYOUTS or str(core.attrs.out_layout) not in ("", layout):
        return None
    dims = graph_dims(tensor, LAYOUTS[layout])
    out = graph_dims(shape(core), LAYOUTS[layout])
    if op_name(core) in ("nn.max_pool2d", "nn.avg_pool2d"):
        return _strided(core, LAYOUTS[layout], dims, out)
    spans = [_adaptive(size, parts) for size, parts in zip(dims[2:], out[2:])]
    return Windows(LAYOUTS[layout], spans[0], spans[1], None)


def _adaptive(size: int, parts: int) -> Spans:
    starts = [i * size // parts for i in range(parts)]
    return tuple((start, -(-(i + 1) * size // parts) - start) for i, start in enumerate(starts))


def _strided(core: Expr, axes: Axes, dims: Shape, out: Shape) -> Windows | None:
    attrs = core.attrs
    kernel, strides, dilation = (
        [int(value) for value in field]
        for field in (attrs.pool_size, attrs.strides, attrs.dilation)
    )
    if dilation != [1, 1]:
        return None
    top, left = padding(attrs.padding)[:2]
    rows = tuple((i * strides[0] - top, kernel[0]) for i in range(out[2]))
    columns = tuple((i * strides[1] - left, kernel[1]) for i in range(out[3]))
    for spans, size in ((rows, dims[2]), (columns, dims[3])):
        if any(_clipped(span, size) < 1 for span in spans):
            return None
    counts = op_name(core) == "nn.avg_pool2d" and bool(attrs.count_include_pad)
    return Windows(axes, rows, columns, math.prod(kernel) if counts else None)


def padding(pads: Any) -> tuple[int, int, int, int]:
    """Relay's padding of 1, 2 or 4 numbers as (top, left, bottom, right)."""
    values = [int(pad) for pad in pads]
    if len(values) == 1:
        values *= 4
    elif len(values) == 2:
        values *= 2
    return values[0], values[1], values[2], values[3]


def _reduction(core: Expr, tensor: tuple[int, ...]) -> Windows | None:
    attrs = core.attrs
    dims = len(tensor)
    reduced = set(range(dims))
    if attrs.axis is not None:
        reduced = {int(axis) % dims for axis in attrs.axis}
    if attrs.exclude:
        reduced = set(range(dims)) - reduced
    kept = [axis for axis in range(dims) if axis not in reduced]
    if not reduced or len(reduced) > 2 or len(kept) > 2:
        return None
    places = dict(zip(kept, (0, 1))) | dict(zip(sorted(reduced), (2, 3)))
    axes = tuple(places[axis] for axis in range(dims))
    height, width = graph_dims(tensor, axes)[2:]
    return Windows(axes, ((0, height),), ((0, width),), None)


@dataclass(frozen=True, slots=True, eq=False)
class AverageInput:
    """What is averaged: gain * (carried - zero_point), or, with ``table``, the table's values."""

    gain: int
    zero_point: int
    low: int
    high: int
    table: npt.NDArray[np.int64] | None = None


def average_input(form: c.AverageForm) -> AverageInput | None:
    """How the averaged int32 tensor follows from the 8-bit one, or None where it does not."""
    if form.prefix is None:
        return None
    values = evaluate_integer(form.prefix)
    if values is None:
        return None
    low, high = int(values.min()), int(values.max())
    linear = _linear(form.prefix, values)
    if linear is not None:
        return AverageInput(*linear, low, high)
    if low >= -128 and high <= 127:
        return AverageInput(1, 0, low, high, values)
    return None


def _linear(prefix: Unary, values: npt.NDArray[np.int64]) -> tuple[int, int] | None:
    """(gain, zero point of the carried int8) where values are gain * (x - zero point)."""
    gain = int(values[1] - values[0])
    if gain < 1 or np.any(np.diff(values) != gain) or values[0] % gain:
        return None
    zero = -128 - int(values[0]) // gain
    return (gain, zero) if -128 <= zero <= 127 else None


def kernel_matrix(form: c.ConvForm) -> npt.NDArray[np.int32]:
    """Weights less their zero point, int32 [K, C / groups, KH, KW]."""
    weight, zero = constant(form.core.args[1]), constant(form.core.args[3])
    if weight is None or zero is None:
        return np.zeros((1, 1, 1, 1), np.int32)
    kernel = _output_major(form.core, weight.astype(np.int32))
    return kernel - zero.astype(np.int32).reshape(-1, 1, 1, 1)


def _output_major(core: Expr, weight: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    if op_name(core) == "qnn.dense":
        return weight.reshape(*weight.shape, 1, 1)
    layout = str(core.attrs.kernel_layout)
    transposed = op_name(core) == "qnn.conv2d_transpose"
    order = [layout.index(letter) for letter in ("IOHW" if transposed else "OIHW")]
    kernel = weight.transpose(order)
    groups = int(core.attrs.groups)
    if transposed:
        c_in, k = kernel.shape[0], kernel.shape[1] * groups
        split = kernel.reshape(groups, c_in // groups, k // groups, *kernel.shape[2:])
        return split.transpose(0, 2, 1, 3, 4).reshape(k, c_in // groups, *kernel.shape[2:])
    channels = shape(core)[str(core.attrs.data_layout).index("C")]
    if kernel.shape[0] != channels:  # depthwise: [C, multiplier, KH, KW]
        return kernel.reshape(channels, -1, *kernel.shape[2:])
    return kernel


def upsample_factor(form: c.MoveForm) -> tuple[int, int] | None:
    """(vertical, horizontal) of a nearest-neighbour resize out[i] = in[i // factor], or None."""
    attrs = form.root.attrs
    layout = str(attrs.layout)
    if layout not in LAYOUTS or not _takes_floor(form.root):
        return None
    before = graph_dims(shape(form.inputs[0]), LAYOUTS[layout])
    after = graph_dims(shape(form.root), LAYOUTS[layout])
    if after[2] % before[2] or after[3] % before[3]:
        return None
    return after[2] // before[2], after[3] // before[3]


def _takes_floor(call: Expr) -> bool:
    """Whether a resize by a whole factor reads in[i // factor]."""
    if call.attrs.method != "nearest_neighbor":
        return False
    if op_name(call) == "nn.upsampling":
        return not bool(call.attrs.align_corners)
    rounding = str(call.attrs.rounding_method)
    mode = str(call.attrs.coordinate_transformation_mode)
    if mode == "asymmetric":
        return rounding in ("", "floor")
    return bool(mode == "half_pixel" and rounding.startswith("round"))


def is_identity_table(table: npt.NDArray[np.int8]) -> bool:
    """True where table[byte] is the byte itself."""
    return bool(np.array_equal(np.roll(table, -128), byte_values("int8")))
