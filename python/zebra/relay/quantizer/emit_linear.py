"""Convolution, transposed convolution and dense as qnn operators.

With w_q = round(w / s_w), b_q = round(b / (s_x * s_w)) and s_w per output
channel: y = s_x * s_w * (sum (x_q - z_x) * w_q + b_q). s_w is chosen so that
s_x * s_w is a short multiple of the output's scale, see ``scales``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import relay

from zebra.relay.quantizer.rewriting import Expr, FloatArray
from zebra.relay.quantizer.scales import QParams, input_scales
from zebra.relay.quantizer.steps import Linear

WEIGHT_MAX = 127
BIAS_BITS = 29
"""A bias takes at most 2**29 accumulator units: 2**30 are left for the products."""
SMALLEST_MULTIPLIER = 2.0**-30


def emit_linear(data: Expr, step: Linear, source: QParams, result: QParams, bits: int) -> Expr:
    """The operator, bias and requantize (no clip) of an int8 ``data``."""
    weight = _output_major(step)
    scales = _accumulator_scales(weight, step.bias, source, result, bits)
    levels = np.rint(weight * source.scale / scales.reshape(-1, *[1] * (weight.ndim - 1)))
    levels = np.clip(levels, -WEIGHT_MAX, WEIGHT_MAX)
    bias = np.rint(step.bias / scales).astype(np.int32)
    kernel = relay.const(_operator_layout(step, levels).astype(np.int8))
    product = _product(data, kernel, step, source, scales / source.scale)
    return relay.qnn.op.requantize(
        relay.nn.bias_add(product, relay.const(bias), axis=1),
        relay.const(scales.astype(np.float32)),
        relay.const(0, "int32"),
        relay.const(np.float32(result.scale)),
        relay.const(result.zero_point, "int32"),
        axis=1,
        out_dtype="int8",
    )


def _accumulator_scales(
    weight: FloatArray, bias: FloatArray, source: QParams, result: QParams, bits: int
) -> FloatArray:
    """s_x * s_w per channel, large enough for weights, bias and multiplier to fit."""
    largest = np.abs(weight).reshape(len(weight), -1).max(axis=1)
    ideal = np.maximum.reduce(
        [
            largest.astype(np.float64) / WEIGHT_MAX * source.scale,
            np.abs(bias) / 2.0**BIAS_BITS,
            np.full(len(weight), SMALLEST_MULTIPLIER * result.scale),
        ]
    )
    return input_scales(ideal, result.scale, bits, up=True)


def _groups(step: Linear) -> int:
    return int(step.call.attrs.groups)


def _output_major(step: Linear) -> FloatArray:
    """The weight with the output channel first: [K, ...], float64."""
    weight = step.weight.astype(np.float64)
    if step.call.op.name != "nn.conv2d_transpose":
        return weight
    rows, columns, *kernel = weight.shape
    grouped = weight.reshape(_groups(step), rows // _groups(step), columns, *kernel)
    return grouped.swapaxes(1, 2).reshape(_groups(step) * columns, -1, *kernel)


def _operator_layout(step: Linear, weight: FloatArray) -> FloatArray:
    """The inverse of ``_output_major``."""
    if step.call.op.name != "nn.conv2d_transpose":
        return weight
    outputs, inputs, *kernel = weight.shape
    grouped = weight.reshape(_groups(step), outputs // _groups(step), inputs, *kernel)
    return grouped.swapaxes(1, 2).reshape(step.weight.shape)


def _product(
    data: Expr, kernel: Expr, step: Linear, source: QParams, weight_scales: npt.NDArray[Any]
) -> Expr:
    attrs = step.call.attrs
    # The per-channel type rule of grouped transposed convolutions is wrong in TVM 0.19;
    # the kernel's scale takes no part in the arithmetic, so its largest stands for all.
    if step.call.op.name == "nn.conv2d_transpose" and _groups(step) > 1:
        weight_scales = weight_scales.max()
    quantization = [
        relay.const(source.zero_point, "int32"),
        relay.const(0, "int32"),
        relay.const(np.float32(source.scale)),
        relay.const(weight_scales.astype(np.float32)),
    ]
    if step.call.op.name == "nn.dense":
        return relay.qnn.op.dense(data, kernel, *quantization, units=len(step.weight))
    options: dict[str, Any] = {
        "strides": attrs.strides,
        "padding": attrs.padding,
        "dilation": attrs.dilation,
        "groups": attrs.groups,
        "channels": len(step.bias),
        "kernel_size": step.weight.shape[2:],
        "data_layout": "NCHW",
        "kernel_layout": attrs.kernel_layout,
        "out_dtype": "int32",
    }
    if step.call.op.name == "nn.conv2d":
        return relay.qnn.op.conv2d(data, kernel, *quantization, **options)
    options["output_padding"] = attrs.output_padding
    return relay.qnn.op.conv2d_transpose(data, kernel, *quantization, **options)
