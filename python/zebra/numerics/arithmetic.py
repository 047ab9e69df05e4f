"""Fixed-point primitives of the VEC engine.

Reference: the lowering of ``qnn.requantize`` with rounding="UPWARD" and
compute_dtype="int64" (gemmlowp's Q31 multiplier, round half up), which is what
promise P1 compares with. In that lowering a real multiplier ``r`` is a Q31
significand ``m`` and an exponent ``e`` with r = m * 2**(e - 31); here the two
powers are one right shift s = 31 - e, which gives the same low 32 bits for
every s in 1..62.
"""

from __future__ import annotations

import enum

import numpy as np
import numpy.typing as npt

INT8_MIN = -128
INT8_MAX = 127
MAX_SHIFT = 62

IntArray = npt.NDArray[np.signedinteger]


class Rounding(enum.IntEnum):
    """How a scaled value becomes an integer."""

    UPWARD = 0
    """floor(v + 1/2): ties go up. ``qnn.requantize``'s UPWARD."""
    TRUNCATE = 1
    """Toward zero: integer division as C and TVM's integer average pools do it."""


def wrap32(x: IntArray) -> npt.NDArray[np.int32]:
    """Keep the low 32 bits, as two's complement (int64 in, int32 out)."""
    return x.astype(np.int64).astype(np.uint64).astype(np.uint32).view(np.int32)


def fixed_points(reals: npt.NDArray[np.float64]) -> tuple[IntArray, IntArray]:
    """Split real multipliers into (m, s), int64 of the same shape, with real ~ m * 2**-s.

    ``m`` is in [2**30, 2**31) and ``s`` may lie outside 1..62 for absurd scales:
    the caller checks. Zero gives (0, 1). Negative or non-finite raises ValueError.
    """
    bad = ~np.isfinite(reals) | (reals < 0)
    if bad.any():
        real = float(reals[bad].flat[0])
        raise ValueError(f"a requantize multiplier must be finite and not negative, got {real!r}")
    fraction, exponent = np.frexp(reals)
    m = np.floor(fraction * (1 << 31) + 0.5).astype(np.int64)
    s = 31 - exponent.astype(np.int64)
    full = m == 1 << 31
    return np.where(full, m // 2, m), np.where(reals == 0, 1, s - full)


def fixed_point(real: float) -> tuple[int, int]:
    """``fixed_points`` of one real multiplier."""
    m, s = fixed_points(np.array([real], np.float64))
    return int(m[0]), int(s[0])


def requantize(
    x: IntArray, m: IntArray, s: IntArray, rounding: Rounding = Rounding.UPWARD
) -> npt.NDArray[np.int32]:
    """wrap32(round(x * m / 2**s)), element by element, broadcasting.

    x int32 (any shape), m int32 in 0..2**31-1, s in 1..62. Exact in int64:
    |x * m| < 2**62. TRUNCATE works on the magnitude and restores the sign.
    """
    wide = x.astype(np.int64)
    multiplier = m.astype(np.int64)
    shift = s.astype(np.int64)
    if rounding is Rounding.UPWARD:
        half = np.left_shift(np.int64(1), shift - 1)
        return wrap32((wide * multiplier + half) >> shift)
    magnitude = (np.abs(wide) * multiplier) >> shift
    return wrap32(np.where(wide < 0, -magnitude, magnitude))


def divider(divisor: int, gain: int, limit: int) -> tuple[int, int]:
    """(m, s) such that requantize(x, m, s, TRUNCATE) == trunc(x * gain / divisor) for |x| <= limit.

    The classic round-up reciprocal: m = ceil(gain * 2**s / divisor) with the
    largest s that keeps m below 2**31; exact while limit * (m * divisor - gain *
    2**s) < 2**s (Granlund and Montgomery, PLDI 1994, theorem 4.2). Raises
    ValueError where no such pair exists.
    """
    for s in range(MAX_SHIFT, 0, -1):
        m = -((-gain << s) // divisor)
        if m < 1 << 31 and limit * (m * divisor - (gain << s)) < 1 << s:
            return m, s
    raise ValueError(f"no exact reciprocal for {gain}/{divisor} up to {limit}")


def truncating_divide(x: IntArray, divisor: int) -> IntArray:
    """Quotient x / divisor rounded toward zero, for integers (C's and TVM's ``div``)."""
    quotient = np.abs(x.astype(np.int64)) // divisor
    return np.where(x < 0, -quotient, quotient)


def significant_bits(m: int) -> int:
    """Number of bits from the highest to the lowest set bit of m (0 for 0)."""
    if m == 0:
        return 0
    return m.bit_length() - ((m & -m).bit_length() - 1)
