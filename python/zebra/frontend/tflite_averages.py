"""Integer averages of a TFLite network, rounded instead of truncated.

TVM's TFLite converter computes AVERAGE_POOL_2D and MEAN of int8 tensors as an
int32 average, which drops the fraction; TFLite rounds to nearest (its
reference kernels, integer_ops/pooling.h and reduce.h). Here the elements are
multiplied first by a gain that all window sizes divide, so that the average is
exact in units of 1 / gain, and one requantization rounds it. A pool's scale is
the float32 next above 1 / gain: a tie then goes away from zero, as in TFLite,
and nothing else moves (the nearest other value is 1 / (2 * gain) from a tie).
"""

from __future__ import annotations

from math import lcm
from typing import Any

import numpy as np
from tvm import relay

from zebra.relay.quantizer.rewriting import (
    Site,
    infer_type,
    op_name,
    rebuild,
    rewrite,
    shape_of,
    value_of,
)

Expr = Any

LARGEST_SUM = 2**31 - 1
LARGEST_LEVEL = 255
"""No int8 or uint8 value, nor its distance to a zero point, is larger."""


def round_averages(mod: Any) -> Any:
    """The module with every truncating integer average made a rounding one."""
    return rewrite(infer_type(mod), _round_average)


def _round_average(site: Site) -> Expr | None:
    """The replacement of requantize(mean(cast(x))) or cast(avg_pool2d(cast(x)))."""
    if site.name not in ("qnn.requantize", "cast"):
        return None
    core, result = site.node.args[0], site.node.checked_type.dtype
    if result not in ("int8", "uint8") or not _is_average_of_bytes(core):
        return None
    gain = _gain(core)
    wide = relay.multiply(site.args[0].args[0], relay.const(gain, "int32"))
    average = rebuild(core, [wide])
    if site.name == "cast":
        above = float(np.nextafter(np.float32(1.0 / gain), np.float32(1.0)))
        return relay.qnn.op.requantize(
            average, *_quantization(above, 0), *_quantization(1.0, 0), out_dtype=result
        )
    scale, zero_point = (value_of(arg) for arg in site.node.args[1:3])
    if scale is None or zero_point is None or scale.size != 1 or zero_point.size != 1:
        return None
    source = _quantization(float(scale.item()) / gain, int(zero_point.item()) * gain)
    return relay.qnn.op.requantize(average, *source, *site.args[3:], out_dtype=result)


def _is_average_of_bytes(core: Expr) -> bool:
    """Whether ``core`` is an int32 average of a cast int8 or uint8 tensor."""
    if op_name(core) not in ("mean", "nn.avg_pool2d") or core.checked_type.dtype != "int32":
        return False
    cast = core.args[0]
    return op_name(cast) == "cast" and cast.args[0].checked_type.dtype in ("int8", "uint8")


def _quantization(scale: float, zero_point: int) -> tuple[Expr, Expr]:
    return relay.const(np.float32(scale)), relay.const(zero_point, "int32")


def _gain(core: Expr) -> int:
    """A multiple of every window's size, or a power of two where sums would leave int32."""
    sizes = _window_sizes(core)
    largest = max(sizes)
    exact = lcm(*sizes)
    if exact * LARGEST_LEVEL * largest <= LARGEST_SUM:
        return exact
    gain = 256
    while gain > 1 and gain * LARGEST_LEVEL * largest > LARGEST_SUM:
        gain //= 2
    return gain


def _window_sizes(core: Expr) -> set[int]:
    """How many elements the windows of a mean or an NHWC average pool hold."""
    data, result = shape_of(core.args[0]), shape_of(core)
    if op_name(core) == "mean":
        return {int(np.prod(data)) // max(1, int(np.prod(result)))}
    attrs = core.attrs
    top, left, _, _ = (int(pad) for pad in attrs.padding)
    rows = _extents(data[1], result[1], int(attrs.pool_size[0]), int(attrs.strides[0]), top)
    columns = _extents(data[2], result[2], int(attrs.pool_size[1]), int(attrs.strides[1]), left)
    return {height * width for height in rows for width in columns}


def _extents(size: int, count: int, window: int, stride: int, before: int) -> set[int]:
    """How many of an axis's ``size`` elements each of its ``count`` windows covers."""
    starts = [index * stride - before for index in range(count)]
    return {min(start + window, size) - max(start, 0) for start in starts}
