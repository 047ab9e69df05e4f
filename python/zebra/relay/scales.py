"""Constants of quantized operators as the accelerator's integers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from zebra.numerics import MAX_SHIFT, fixed_points
from zebra.relay.expr import Expr, constant, scalar

Int32Array = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Requantize:
    """A qnn.requantize with constant parameters: x -> ((x - zero_in) * m >> s) + zero_out."""

    multiplier: Int32Array
    shift: Int32Array
    zero_in: Int32Array
    zero_out: int


def scale_ratios(
    scale_in: npt.NDArray[Any], scale_out: npt.NDArray[Any]
) -> tuple[Int32Array, Int32Array]:
    """(m, s) of each scale_in / scale_out, as TVM rounds them: float32 scales, float64 ratio."""
    ratios = scale_in.astype(np.float64).reshape(-1) / float(scale_out.reshape(-1)[0])
    m, s = fixed_points(ratios)
    return m.astype(np.int32), s.astype(np.int32)


def read_requantize(call: Expr) -> Requantize | None:
    """The parameters of a qnn.requantize, or None where one is no usable constant."""
    scale_in, zero_in = constant(call.args[1]), constant(call.args[2])
    scale_out, zero_out = constant(call.args[3]), scalar(call.args[4])
    if scale_in is None or zero_in is None or scale_out is None or zero_out is None:
        return None
    if scale_out.size != 1 or not (usable(scale_in) and usable(scale_out)):
        return None
    m, s = scale_ratios(scale_in, scale_out)
    return Requantize(m, s, zero_in.reshape(-1).astype(np.int32), int(zero_out))


def usable(scales: npt.NDArray[Any]) -> bool:
    """True where every scale is finite and positive."""
    return bool(np.all(np.isfinite(scales)) and np.all(scales > 0))


def shifts_fit(shift: Int32Array) -> bool:
    """True where the machine has every one of these shifts."""
    return bool(shift.min() >= 1 and shift.max() <= MAX_SHIFT)


@dataclass(frozen=True, slots=True, eq=False)
class BinaryScales:
    """The constants of a qnn binary operator, in the order Relay gives them."""

    scale_a: npt.NDArray[Any]
    zero_a: int
    scale_b: npt.NDArray[Any]
    zero_b: int
    scale_out: npt.NDArray[Any]
    zero_out: int

    @property
    def product(self) -> npt.NDArray[Any]:
        """The float32 product of the operands' scales, as qnn.mul uses it."""
        return (self.scale_a.astype(np.float32) * self.scale_b.astype(np.float32)).reshape(-1)


def read_binary(call: Expr) -> BinaryScales | None:
    """The scales and zero points of qnn.add, subtract or mul, or None where not scalar."""
    values = [constant(arg) for arg in call.args[2:8]]
    if any(value is None or value.size != 1 for value in values):
        return None
    arrays = [value for value in values if value is not None]
    if not all(usable(arrays[index]) for index in (0, 2, 4)):
        return None
    zeros = [int(arrays[index].reshape(-1)[0]) for index in (1, 3, 5)]
    return BinaryScales(arrays[0], zeros[0], arrays[2], zeros[1], arrays[4], zeros[2])
