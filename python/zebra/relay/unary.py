"""Element-wise functions of one 8-bit tensor: found in Relay, evaluated at all 256 values.

Any such chain or DAG, in whatever types it computes, is one table of the
accelerator. Integer operators are evaluated with numerics; anything else by TVM
itself, so the table is what the host would have computed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tvm
from tvm import relay
from tvm.contrib import graph_executor

from zebra.numerics import MAX_SHIFT, fixed_point, requantize
from zebra.relay.expr import (
    Expr,
    carried_offset,
    constant,
    dtype,
    is_byte,
    is_scalar_constant,
    is_tensor,
    op_name,
    post_order,
    rebuild,
    scalar,
    shape,
    type_range,
)
from zebra.relay.reference import exact_reference

Int64Array = npt.NDArray[np.int64]

ELEMENTWISE = frozenset(
    [
        "abs",
        "add",
        "cast",
        "ceil",
        "clip",
        "copy",
        "divide",
        "erf",
        "exp",
        "floor",
        "left_shift",
        "log",
        "maximum",
        "minimum",
        "multiply",
        "negative",
        "nn.dropout",
        "nn.leaky_relu",
        "nn.relu",
        "power",
        "qnn.abs",
        "qnn.add",
        "qnn.dequantize",
        "qnn.erf",
        "qnn.exp",
        "qnn.hardswish",
        "qnn.leaky_relu",
        "qnn.log",
        "qnn.mul",
        "qnn.quantize",
        "qnn.requantize",
        "qnn.rsqrt",
        "qnn.sigmoid",
        "qnn.sqrt",
        "qnn.subtract",
        "qnn.tanh",
        "reinterpret",
        "right_shift",
        "round",
        "rsqrt",
        "sigmoid",
        "sqrt",
        "subtract",
        "take",
        "tanh",
    ]
)
"""Operators whose output element depends on the same element of their tensor operands only."""


@dataclass(frozen=True, slots=True, eq=False)
class Unary:
    """``root`` is an element-wise function of the 8-bit ``source``, through ``calls``."""

    root: Expr
    source: Expr
    calls: tuple[Expr, ...]


def find_unary(root: Expr) -> Unary | None:
    """The element-wise function that ends in ``root``, or None where it is not one."""
    if op_name(root) not in ELEMENTWISE or not is_tensor(root):
        return None
    sources: list[Expr] = []
    calls: list[Expr] = []
    stack, seen = [root], {root}
    while stack:
        call = stack.pop()
        calls.append(call)
        for index, arg in enumerate(call.args):
            if arg in seen or is_scalar_constant(arg) or _is_take_table(call, index):
                continue
            seen.add(arg)
            if is_byte(arg) and shape(arg) == shape(root):
                sources.append(arg)
            elif op_name(arg) in ELEMENTWISE and is_tensor(arg) and shape(arg) == shape(root):
                stack.append(arg)
            else:
                return None
    if len(sources) != 1 or isinstance(sources[0], relay.Constant):
        return None
    return Unary(root, sources[0], tuple(reversed(calls)))


def _is_take_table(call: Expr, index: int) -> bool:
    table = constant(call.args[index]) if index == 0 and op_name(call) == "take" else None
    return table is not None and table.ndim == 1


def byte_values(dtype_name: str) -> Int64Array:
    """The 256 values of an 8-bit type, in the order of the int8 that carries them."""
    return np.arange(-128, 128, dtype=np.int64) + carried_offset(dtype_name)


def evaluate_integer(unary: Unary) -> Int64Array | None:
    """The function at byte_values(source), or None where an operator is not integer."""
    known: dict[Expr, Int64Array] = {unary.source: byte_values(dtype(unary.source))}
    for expr in post_order(unary.root, known):
        if isinstance(expr, relay.Constant):
            continue
        handler = _INTEGER.get(op_name(expr))
        if handler is None or not dtype(expr).startswith(("int", "uint")):
            return None
        value = handler(expr, known)
        if value is None:
            return None
        known[expr] = value
    return known[unary.root]


def _operand(expr: Expr, known: dict[Expr, Int64Array]) -> Int64Array:
    if expr in known:
        return known[expr]
    array: Int64Array = np.asarray(scalar(expr)).astype(np.int64)
    return array


def _wrapped(value: npt.NDArray[Any], dtype_name: str) -> Int64Array:
    """Two's complement of the type, as C casts an integer."""
    narrow = value.astype(np.int64).astype(np.uint64).astype("uint" + dtype_name.lstrip("uint"))
    return narrow.view(dtype_name).astype(np.int64)


def _integer_binary(
    function: Callable[[Int64Array, Int64Array], Int64Array],
) -> Callable[[Expr, dict[Expr, Int64Array]], Int64Array | None]:
    def handler(call: Expr, known: dict[Expr, Int64Array]) -> Int64Array | None:
        a, b = (_operand(arg, known) for arg in call.args)
        return _wrapped(function(a, b), dtype(call))

    return handler


def _integer_cast(call: Expr, known: dict[Expr, Int64Array]) -> Int64Array | None:
    return _wrapped(_operand(call.args[0], known), dtype(call))


def _integer_clip(call: Expr, known: dict[Expr, Int64Array]) -> Int64Array | None:
    low, high = call.attrs.a_min, call.attrs.a_max
    least, most = type_range(dtype(call))
    if low != int(low) or high != int(high) or not least <= low <= high <= most:
        return None
    return np.clip(_operand(call.args[0], known), int(low), int(high))


def _integer_take(call: Expr, known: dict[Expr, Int64Array]) -> Int64Array | None:
    table, index = constant(call.args[0]), _operand(call.args[1], known)
    if table is None or index.min() < 0 or index.max() >= table.size:
        return None
    return table.astype(np.int64)[index]


def _integer_requantize(call: Expr, known: dict[Expr, Int64Array]) -> Int64Array | None:
    x = _operand(call.args[0], known)
    scale_in, zero_in, scale_out, zero_out = (scalar(arg) for arg in call.args[1:])
    if not rounds_upward(call):
        return None
    m, s = fixed_point(float(np.float64(scale_in) / np.float64(scale_out)))
    if not 1 <= s <= MAX_SHIFT:
        return None
    scaled = requantize(_wrapped(x - int(zero_in), "int32"), np.array(m), np.array(s))
    return np.clip(scaled.astype(np.int64) + int(zero_out), *type_range(dtype(call)))


def rounds_upward(call: Expr) -> bool:
    """True where a qnn.requantize leaves rounding and type to promise P1, or names the same."""
    return call.attrs.rounding in ("None", "UPWARD") and call.attrs.compute_dtype in (
        "None",
        "int64",
    )


_INTEGER: dict[str, Callable[[Expr, dict[Expr, Int64Array]], Int64Array | None]] = {
    "add": _integer_binary(lambda a, b: a + b),
    "cast": _integer_cast,
    "clip": _integer_clip,
    "copy": _integer_cast,
    "maximum": _integer_binary(np.maximum),
    "minimum": _integer_binary(np.minimum),
    "multiply": _integer_binary(lambda a, b: a * b),
    "nn.dropout": _integer_cast,
    "nn.relu": lambda call, known: np.maximum(_operand(call.args[0], known), 0),
    "qnn.requantize": _integer_requantize,
    "reinterpret": _integer_cast,
    "subtract": _integer_binary(lambda a, b: a - b),
    "take": _integer_take,
}


def tables(unaries: Sequence[Unary]) -> list[npt.NDArray[np.int8]]:
    """The int8[256] table of each function whose result is 8-bit, indexed as graph.Table's.

    uint8 tensors are carried as int8 less 128 on both sides. The functions that
    are not plain integer arithmetic are compiled together, in one TVM module.
    """
    values = [evaluate_integer(unary) for unary in unaries]
    rest = [index for index, value in enumerate(values) if value is None]
    for index, value in zip(rest, _evaluate_tvm([unaries[index] for index in rest])):
        values[index] = value
    return [
        byte_table(value, dtype(unary.root))
        for value, unary in zip(values, unaries)
        if value is not None
    ]


def byte_table(value: Int64Array, dtype_name: str) -> npt.NDArray[np.int8]:
    """256 results (as byte_values orders them) as a table indexed by the unsigned byte."""
    carried = (value - carried_offset(dtype_name)).astype(np.int8)
    return np.roll(carried, 128)


def _evaluate_tvm(unaries: Sequence[Unary]) -> list[Int64Array]:
    """Each function at the 256 values, computed by TVM's plain llvm target."""
    if not unaries:
        return []
    params: dict[str, Expr] = {}
    bodies = []
    for unary in unaries:
        rank = max(len(shape(unary.source)), 1)
        kind = dtype(unary.source)
        key = f"{kind}_{rank}"
        params.setdefault(key, relay.var(key, shape=(*[1] * (rank - 1), 256), dtype=kind))
        bodies.append(rebuild(unary.root, {unary.source: params[key]}))
    module = tvm.IRModule.from_expr(relay.Function(list(params.values()), relay.Tuple(bodies)))
    with tvm.transform.PassContext(opt_level=3), exact_reference():
        library = relay.build(module, target="llvm")
    executor = graph_executor.GraphModule(library["default"](tvm.cpu()))
    for key, param in params.items():
        kind = param.type_annotation.dtype
        dims = [int(dim) for dim in param.type_annotation.shape]
        executor.set_input(key, byte_values(kind).astype(kind).reshape(dims))
    executor.run()
    return [
        executor.get_output(index).numpy().reshape(256).astype(np.int64)
        for index in range(len(bodies))
    ]
