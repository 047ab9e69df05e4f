"""Pass: batch norm becomes multiply and add; dropout disappears.

Law: gamma * (x - mean) / sqrt(var + eps) + beta = x * scale + shift, computed in
float64. Relay's SimplifyInference does the same but also takes instance, group
and layer norm apart, which are better left whole on the host.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tvm
from tvm import relay

from zebra.errors import QuantizationError
from zebra.relay.quantizer.rewriting import (
    Expr,
    FloatArray,
    Site,
    op_name,
    rewrite,
    shape_of,
    value_of,
)


def unfold_batch_norm(mod: tvm.IRModule) -> tvm.IRModule:
    """Replace every batch norm with constant statistics and every dropout."""
    return rewrite(mod, _rule)


def _rule(site: Site) -> Expr | None:
    if not isinstance(site.node, relay.TupleGetItem) or site.node.index != 0:
        return None
    inner = site.args[0]
    if op_name(inner) == "nn.dropout":
        return inner.args[0]
    if op_name(inner) != "nn.batch_norm":
        return None
    known = [value_of(arg) for arg in inner.args[1:]]
    statistics = [np.asarray(array, np.float64) for array in known if array is not None]
    if len(statistics) != len(known):
        return None
    rank = len(shape_of(site.node))
    _check(statistics, inner)
    scale, shift = _affine(inner.attrs, *statistics)
    axis = int(inner.attrs.axis) % rank
    trailing = (-1,) + (1,) * (rank - 1 - axis)
    scaled = relay.multiply(inner.args[0], relay.const(scale.reshape(trailing), "float32"))
    return relay.add(scaled, relay.const(shift.reshape(trailing), "float32"))


def _affine(
    attrs: tvm.ir.Attrs, gamma: FloatArray, beta: FloatArray, mean: FloatArray, var: FloatArray
) -> tuple[FloatArray, FloatArray]:
    scale = 1.0 / np.sqrt(var + float(attrs.epsilon))
    if attrs.scale:
        scale = scale * gamma
    shift = -mean * scale
    return scale, shift + beta if attrs.center else shift


def _check(statistics: Sequence[FloatArray], call: Expr) -> None:
    for name, vector in zip(("gamma", "beta", "mean", "variance"), statistics):
        bad = ~np.isfinite(vector)
        if name == "variance":
            bad |= vector + float(call.attrs.epsilon) <= 0
        if bad.any():
            channel = int(bad.argmax())
            raise QuantizationError(
                f"{name} {vector[channel]:g} of channel {channel} of a batch norm of "
                f"{shape_of(call.args[0])} (epsilon {float(call.attrs.epsilon):g}) cannot "
                "normalise anything; the model file is damaged or the training diverged"
            )
