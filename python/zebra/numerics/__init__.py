"""The accelerator's integer arithmetic, stated once (NumPy, exact)."""

from zebra.numerics.arithmetic import (
    INT8_MAX,
    INT8_MIN,
    MAX_SHIFT,
    Rounding,
    divider,
    fixed_point,
    fixed_points,
    requantize,
    significant_bits,
    truncating_divide,
    wrap32,
)

__all__ = [
    "INT8_MAX",
    "INT8_MIN",
    "MAX_SHIFT",
    "Rounding",
    "divider",
    "fixed_point",
    "fixed_points",
    "requantize",
    "significant_bits",
    "truncating_divide",
    "wrap32",
]
