"""add, subtract and multiply of two int8 tensors as qnn operators.

Each operand's scale is handed over within 2**-bits of its own, so that the
multiplier that follows from it is short (see ``scales``).
"""

from __future__ import annotations

import math

import numpy as np
from tvm import relay

from zebra.relay.quantizer.rewriting import Expr
from zebra.relay.quantizer.scales import QParams, input_scales

OPERATORS = {
    "add": relay.qnn.op.add,
    "subtract": relay.qnn.op.subtract,
    "multiply": relay.qnn.op.mul,
}


def emit_binary(
    operator: str, a: Expr, b: Expr, params: tuple[QParams, QParams], result: QParams, bits: int
) -> Expr:
    """The qnn operator of int8 ``a`` and ``b`` (no clip)."""
    left, right = _scales(operator, params, result, bits)
    return OPERATORS[operator](
        a,
        b,
        relay.const(np.float32(left)),
        relay.const(params[0].zero_point, "int32"),
        relay.const(np.float32(right)),
        relay.const(params[1].zero_point, "int32"),
        relay.const(np.float32(result.scale)),
        relay.const(result.zero_point, "int32"),
    )


def _scales(
    operator: str, params: tuple[QParams, QParams], result: QParams, bits: int
) -> tuple[float, float]:
    a, b = params[0].scale, params[1].scale
    if operator != "multiply":
        return tuple(float(input_scales(s, result.scale, bits)) for s in (a, b))  # type: ignore
    # Only the product of the two counts, so the second one can be a power of two.
    right = 2.0 ** round(math.log2(b))
    return float(input_scales(a * b, result.scale, bits)) / right, right
