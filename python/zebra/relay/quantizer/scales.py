"""Scales, zero points and multipliers with few significant bits.

An activation scale has at most 8 significant bits and a requantization
multiplier M at most ``width`` <= 16, so that M * s_out, the float32 scale that
``qnn.requantize`` gets, is exact in float32's 24 bits: dividing it by s_out gives
TVM back exactly M, which the accelerator multiplies by in one pass.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from zebra.errors import QuantizationError
from zebra.numerics import INT8_MAX, INT8_MIN, MAX_SHIFT, fixed_point
from zebra.relay.quantizer.rewriting import FloatArray

SCALE_BITS = 8
FLOAT32_BITS = 24
SMALLEST_RANGE = 1e-30


@dataclass(frozen=True)
class QParams:
    """real = scale * (q - zero_point), q int8. ``scale`` has at most SCALE_BITS bits."""

    scale: float
    zero_point: int

    @property
    def range(self) -> tuple[float, float]:
        """The smallest and the largest real."""
        low, high = (self.scale * (level - self.zero_point) for level in (INT8_MIN, INT8_MAX))
        return low, high

    def quantize(self, real: FloatArray) -> npt.NDArray[np.int8]:
        """The nearest int8 of each real; infinities saturate."""
        levels = np.rint(np.asarray(real, np.float64) / self.scale) + self.zero_point
        clipped: npt.NDArray[np.int8] = np.clip(levels, INT8_MIN, INT8_MAX).astype(np.int8)
        return clipped

    def dequantize(self, levels: npt.NDArray[np.int8]) -> npt.NDArray[np.float32]:
        """The reals of int8 values."""
        return (self.scale * (levels.astype(np.float64) - self.zero_point)).astype(np.float32)


def round_bits(real: FloatArray | float, bits: int, *, up: bool = False) -> FloatArray:
    """``real`` (float64) with at most ``bits`` significant bits: nearest, or not below it."""
    fraction, exponent = np.frexp(np.asarray(real, np.float64))
    scaled = np.ldexp(fraction, bits)
    rounded: FloatArray = np.ldexp(np.ceil(scaled) if up else np.rint(scaled), exponent - bits)
    return rounded


def choose_qparams(low: float, high: float) -> QParams:
    """Asymmetric int8 parameters whose range holds [low, high] and zero.

    A value that is always zero gets scale 1: nothing is known about its size.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    if high - low < SMALLEST_RANGE:
        return QParams(1.0, 0)
    scale = float(round_bits((high - low) / (INT8_MAX - INT8_MIN), SCALE_BITS, up=True))
    zero_point = round(INT8_MIN - low / scale)
    return QParams(scale, min(max(zero_point, INT8_MIN), INT8_MAX))


def multiplier_bits(mult_width: int) -> int:
    """Significant bits a multiplier may have on a machine of ``mult_width``."""
    return min(mult_width, FLOAT32_BITS - SCALE_BITS)


def input_scales(
    ideal: FloatArray | float, out: float, bits: int, *, up: bool = False
) -> FloatArray:
    """Accumulator scales near ``ideal`` (float64, positive) that are a short multiple of ``out``.

    Exact in float32. Raises QuantizationError where the ratio to ``out`` has no
    shift that the accelerator has.
    """
    multiplier = round_bits(np.asarray(ideal, np.float64) / out, bits, up=up)
    for real in (float(multiplier.min()), float(multiplier.max())):
        if not 1 <= fixed_point(real)[1] <= MAX_SHIFT:
            raise QuantizationError(
                f"a layer's output is {math.log2(real):+.0f} binary digits away from its input "
                "in size; its calibrated range is absurd, so calibrate with typical inputs"
            )
    scales: FloatArray = multiplier * out
    return scales
