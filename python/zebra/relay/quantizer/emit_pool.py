"""Average pools in integers.

TVM's integer average divides toward zero, so the elements are multiplied by a
gain first: the error is below 1 / gain of a quantization step.
"""

from __future__ import annotations

import numpy as np
from tvm import relay

from zebra.relay.quantizer.rewriting import Expr, op_name, rebuild, shape_of
from zebra.relay.quantizer.scales import QParams, input_scales
from zebra.relay.quantizer.steps import AveragePool

GAIN = 256
LARGEST_LEVEL = 256
"""|x_q - z_x| stays below this."""


def emit_average(
    data: Expr, step: AveragePool, source: QParams, result: QParams, bits: int
) -> Expr:
    """cast, gain, pool and requantize of an int8 ``data``.

    Where padding counts as zeros the zero point is subtracted before the pool,
    otherwise the pool's result still carries it.
    """
    gain = gain_of(window_area(step))
    wide = relay.cast(data, "int32")
    zero_point = source.zero_point * gain
    if counts_padding(step):
        wide = relay.subtract(wide, relay.const(source.zero_point, "int32"))
        zero_point = 0
    pooled = rebuild(step.expr, [relay.multiply(wide, relay.const(gain, "int32"))])
    scale = input_scales(source.scale / gain, result.scale, bits)
    return relay.qnn.op.requantize(
        pooled,
        relay.const(np.float32(scale)),
        relay.const(zero_point, "int32"),
        relay.const(np.float32(result.scale)),
        relay.const(result.zero_point, "int32"),
        out_dtype="int8",
    )


def gain_of(area: int) -> int:
    """The largest power of two up to GAIN with which a window's sum fits in int32."""
    gain = GAIN
    while gain > 1 and gain * LARGEST_LEVEL * area >= 2**31:
        gain //= 2
    return gain


def window_area(step: AveragePool) -> int:
    """The most elements that one window of the pool can hold."""
    name, attrs = op_name(step.expr), step.expr.attrs
    height, width = shape_of(step.inputs[0])[2:]
    if name == "nn.avg_pool2d":
        return int(attrs.pool_size[0]) * int(attrs.pool_size[1])
    rows, columns = shape_of(step.expr)[2:]
    return min(height, height // rows + 2) * min(width, width // columns + 2)


def counts_padding(step: AveragePool) -> bool:
    """Whether elements beyond the image take part in the average, as zeros."""
    if op_name(step.expr) != "nn.avg_pool2d" or not step.expr.attrs.count_include_pad:
        return False
    attrs = step.expr.attrs
    return bool(attrs.ceil_mode) or any(int(extent) for extent in attrs.padding)
