"""Pass: operators with several spellings get one.

Each rule is a law of float arithmetic: the new expression computes the same
function of the same operands.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import tvm
from tvm import relay

from zebra.relay.quantizer.rewriting import Expr, Site, op_name, rewrite, shape_of, value_of


def unify_spelling(mod: tvm.IRModule) -> tvm.IRModule:
    """Apply every rule of RULES, the first that fits, to every node."""
    return rewrite(mod, _first_rule)


def _first_rule(site: Site) -> Expr | None:
    for rule in RULES:
        replacement = rule(site)
        if replacement is not None:
            return replacement
    return None


def mean_to_pool(site: Site) -> Expr | None:
    """Mean over [2, 3] of a 4-D tensor is a global average pool."""
    if site.name != "mean" or site.node.attrs.axis is None or site.node.attrs.exclude:
        return None
    rank = len(shape_of(site.node.args[0]))
    axes = sorted(int(axis) % rank for axis in site.node.attrs.axis)
    if rank != 4 or axes != [2, 3]:
        return None
    pooled = relay.nn.global_avg_pool2d(site.args[0])
    return pooled if site.node.attrs.keepdims else relay.squeeze(pooled, [2, 3])


def split_to_slices(site: Site) -> Expr | None:
    """Piece i of a split is a strided slice."""
    if not isinstance(site.node, relay.TupleGetItem):
        return None
    split = site.node.tuple_value
    if op_name(split) != "split":
        return None
    shape = shape_of(split.args[0])
    axis = int(split.attrs.axis) % len(shape)
    sizes = [shape_of_type(field)[axis] for field in split.checked_type.fields]
    begin, end = [0] * len(shape), list(shape)
    begin[axis] = sum(sizes[: site.node.index])
    end[axis] = begin[axis] + sizes[site.node.index]
    return relay.strided_slice(site.args[0].args[0], begin, end, [1] * len(shape))


def shape_of_type(kind: relay.TensorType) -> tuple[int, ...]:
    """Static shape of a tensor type."""
    return tuple(int(extent) for extent in kind.shape)


def matmul_to_dense(site: Site) -> Expr | None:
    """A 2-D product with a constant on the right is dense with the constant transposed."""
    if site.name != "nn.matmul" or site.node.attrs.transpose_a:
        return None
    weight = value_of(site.args[1])
    if weight is None or weight.ndim != 2 or len(shape_of(site.node.args[0])) != 2:
        return None
    rows = weight if site.node.attrs.transpose_b else np.ascontiguousarray(weight.T)
    return relay.nn.dense(site.args[0], relay.const(rows))


def split_prelu(site: Site) -> Expr | None:
    """prelu(x) = relu(x) + alpha * min(x, 0); with one alpha it is leaky_relu."""
    if site.name != "nn.prelu" or int(site.node.attrs.axis) != 1:
        return None
    alpha = value_of(site.args[1])
    if alpha is None:
        return None
    alpha = alpha.reshape(-1)
    if np.all(alpha == alpha[0]):
        return relay.nn.leaky_relu(site.args[0], float(alpha[0]))
    trailing = (1,) * (len(shape_of(site.node)) - 2)
    negative = relay.minimum(site.args[0], relay.const(np.float32(0)))
    slope = relay.const(alpha.reshape((-1, *trailing)), "float32")
    return relay.add(relay.nn.relu(site.args[0]), relay.multiply(negative, slope))


def resize_to_upsampling(site: Site) -> Expr | None:
    """A nearest resize whose result is every element repeated is nn.upsampling."""
    if site.name != "image.resize2d":
        return None
    attrs = site.node.attrs
    if attrs.method != "nearest_neighbor" or attrs.layout != "NCHW":
        return None
    old, new = shape_of(site.node.args[0])[2:], shape_of(site.node)[2:]
    mode, rounding = attrs.coordinate_transformation_mode, attrs.rounding_method
    if not all(_repeats(a, b, mode, rounding) for a, b in zip(old, new)):
        return None
    return relay.nn.upsampling(site.args[0], new[0] // old[0], new[1] // old[1])


def _repeats(old: int, new: int, mode: str, rounding: str) -> bool:
    """Whether output i of a nearest resize reads input i // (new // old), for every i."""
    if new % old:
        return False
    scale = old / new
    positions: dict[str, Callable[[int], float]] = {
        "half_pixel": lambda i: (i + 0.5) * scale - 0.5,
        "pytorch_half_pixel": lambda i: (i + 0.5) * scale - 0.5 if new > 1 else 0.0,
        "tf_half_pixel_for_nn": lambda i: (i + 0.5) * scale,
        "align_corners": lambda i: (old - 1) / (new - 1) * i if new > 1 else 0.0,
        "asymmetric": lambda i: i * scale,
    }
    nearest: dict[str, Callable[[float], int]] = {
        "floor": lambda v: math.floor(v + 1e-5),
        "ceil": lambda v: math.ceil(v - 1e-5),
        "round": round,
        "round_prefer_floor": lambda v: math.ceil(v - 0.5),
        "round_prefer_ceil": lambda v: math.floor(v + 0.5),
    }
    if mode not in positions or rounding not in nearest:
        return False
    wanted = [positions[mode](i) for i in range(new)]
    # Which way "round" sends a tie is the code generator's choice: do not rely on it.
    if rounding == "round" and any(abs(v - math.floor(v) - 0.5) < 1e-6 for v in wanted):
        return False
    sources = [min(max(nearest[rounding](v), 0), old - 1) for v in wanted]
    return sources == [i * old // new for i in range(new)]


RULES = (mean_to_pool, split_to_slices, matmul_to_dense, split_prelu, resize_to_upsampling)
