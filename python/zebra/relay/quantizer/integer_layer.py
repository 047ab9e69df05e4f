"""A layer's weights and bias in integers.

With w_q = round(w / s_w), b_q = round(b / (s_x * s_w)) and s_w per output
channel: y = s_x * s_w * (sum (x_q - z_x) * w_q + b_q). s_w is chosen so that
s_x * s_w is a short multiple of the output's scale, see ``scales``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from zebra.relay.quantizer.rewriting import FloatArray
from zebra.relay.quantizer.scales import QParams, input_scales
from zebra.relay.quantizer.steps import Linear
from zebra.relay.quantizer.windows import geometry

WEIGHT_MAX = 127
BIAS_BITS = 29
"""A bias takes at most 2**29 accumulator units: 2**30 are left for the products."""
SMALLEST_MULTIPLIER = 2.0**-30


@dataclass(frozen=True, eq=False)
class IntegerLayer:
    """``levels`` whole float64 [K, ...], output channel first; ``scales`` s_x * s_w float64 [K].

    ``bias`` int32 [K], in units of ``scales``.
    """

    levels: FloatArray
    scales: FloatArray
    bias: npt.NDArray[np.int32]


def nearest(step: Linear, source: QParams, result: QParams, bits: int) -> IntegerLayer:
    """Every weight and bias rounded to the nearest level."""
    weight = output_major(step, step.weight)
    scales = accumulator_scales(weight, step.bias, source, result, bits)
    levels = np.rint(weight * source.scale / per_row(scales, weight))
    return IntegerLayer(
        np.clip(levels, -WEIGHT_MAX, WEIGHT_MAX), scales, bias_levels(step.bias, scales)
    )


def bias_levels(bias: FloatArray, scales: FloatArray) -> npt.NDArray[np.int32]:
    """The bias in units of the accumulator, within what is left for it."""
    limit = 2.0**BIAS_BITS
    levels: npt.NDArray[np.int32] = np.clip(np.rint(bias / scales), -limit, limit).astype(np.int32)
    return levels


def reals(step: Linear, layer: IntegerLayer, source: QParams) -> tuple[FloatArray, FloatArray]:
    """What the integers stand for: weight float32 in the operator's layout and bias float32."""
    weight = layer.levels * per_row(layer.scales / source.scale, layer.levels)
    bias = layer.bias * layer.scales
    return operator_layout(step, weight).astype(np.float32), bias.astype(np.float32)


def per_row(vector: FloatArray, weight: FloatArray) -> FloatArray:
    """[K] so that it broadcasts along the first axis of ``weight``."""
    return vector.reshape(-1, *[1] * (weight.ndim - 1))


def accumulator_scales(
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


def groups_of(step: Linear) -> int:
    """The groups of a convolution; 1 for dense."""
    return geometry(step).groups


def output_major(step: Linear, weight: FloatArray) -> FloatArray:
    """A weight with the output channel first: [K, ...], float64."""
    weight = weight.astype(np.float64)
    if step.call.op.name != "nn.conv2d_transpose":
        return weight
    groups = groups_of(step)
    rows, columns, *kernel = weight.shape
    grouped = weight.reshape(groups, rows // groups, columns, *kernel)
    return grouped.swapaxes(1, 2).reshape(groups * columns, -1, *kernel)


def operator_layout(step: Linear, weight: FloatArray) -> FloatArray:
    """The inverse of ``output_major``."""
    if step.call.op.name != "nn.conv2d_transpose":
        return weight
    groups = groups_of(step)
    outputs, inputs, *kernel = weight.shape
    grouped = weight.reshape(groups, outputs // groups, inputs, *kernel)
    return grouped.swapaxes(1, 2).reshape(step.weight.shape)
