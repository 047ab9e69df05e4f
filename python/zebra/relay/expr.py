"""Small questions about typed Relay expressions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import tvm
from tvm import relay

Expr: TypeAlias = Any
"""A relay.Expr with a checked type (TVM carries no types for mypy)."""

BYTE_TYPES = ("int8", "uint8")


def op_name(expr: Expr) -> str:
    """The operator a Call applies, such as "qnn.conv2d"; "" for anything else."""
    if isinstance(expr, relay.Call) and isinstance(expr.op, tvm.ir.Op):
        return str(expr.op.name)
    return ""


def is_tensor(expr: Expr) -> bool:
    """True for a tensor of static shape."""
    kind = expr.checked_type
    return isinstance(kind, relay.TensorType) and all(
        isinstance(dim, (int, tvm.tir.IntImm)) for dim in kind.shape
    )


def shape(expr: Expr) -> tuple[int, ...]:
    """Shape of a static tensor."""
    return tuple(int(dim) for dim in expr.checked_type.shape)


def dtype(expr: Expr) -> str:
    """Element type of a tensor; "" for a tuple or a function."""
    kind = expr.checked_type
    return str(kind.dtype) if isinstance(kind, relay.TensorType) else ""


def is_byte(expr: Expr) -> bool:
    """True for a static int8 or uint8 tensor: what a region's value can be."""
    return is_tensor(expr) and dtype(expr) in BYTE_TYPES


def carried_offset(dtype_name: str) -> int:
    """What is subtracted from a tensor's elements to carry them as int8: 128 for uint8."""
    return 128 if dtype_name == "uint8" else 0


def type_range(dtype_name: str) -> tuple[int, int]:
    """Smallest and largest value of an integer type."""
    info = np.iinfo(dtype_name)
    return int(info.min), int(info.max)


def constant(expr: Expr) -> npt.NDArray[Any] | None:
    """The array of a constant, or None."""
    return expr.data.numpy() if isinstance(expr, relay.Constant) else None


def is_scalar_constant(expr: Expr) -> bool:
    """True for a constant of one element."""
    return isinstance(expr, relay.Constant) and bool(np.prod(expr.data.shape, dtype=int) == 1)


def scalar(expr: Expr) -> Any:
    """The number in a constant of one element (its dtype kept), or None."""
    return expr.data.numpy().reshape(-1)[0] if is_scalar_constant(expr) else None


def children(expr: Expr) -> tuple[Expr, ...]:
    """What an expression reads. Functions, If, Let and the like are leaves."""
    if isinstance(expr, relay.Call):
        called = () if isinstance(expr.op, tvm.ir.Op) else (expr.op,)
        return (*called, *expr.args)
    if isinstance(expr, relay.Tuple):
        return tuple(expr.fields)
    if isinstance(expr, relay.TupleGetItem):
        return (expr.tuple_value,)
    return ()


def post_order(root: Expr, stop: Iterable[Expr] = ()) -> list[Expr]:
    """Every expression under ``root`` once, operands first; ``stop`` are not entered."""
    seen = set(stop)
    order: list[Expr] = []
    stack = [(root, False)]
    while stack:
        expr, ready = stack.pop()
        if ready:
            order.append(expr)
        elif expr not in seen:
            seen.add(expr)
            stack.append((expr, True))
            stack.extend((child, False) for child in reversed(children(expr)))
    return order


def rebuild(root: Expr, replace: dict[Expr, Expr]) -> Expr:
    """``root`` with expressions replaced; ``replace`` also memoises what was rebuilt."""
    for expr in post_order(root, replace):
        replace[expr] = _with_children(expr, replace)
    return replace[root]


def _with_children(expr: Expr, new: dict[Expr, Expr]) -> Expr:
    if all(new[child] is child for child in children(expr)):
        return expr
    if isinstance(expr, relay.Call):
        op = expr.op if isinstance(expr.op, tvm.ir.Op) else new[expr.op]
        args = [new[arg] for arg in expr.args]
        return relay.Call(op, args, expr.attrs, expr.type_args, expr.span)
    if isinstance(expr, relay.Tuple):
        return relay.Tuple([new[item] for item in expr.fields], expr.span)
    return relay.TupleGetItem(new[expr.tuple_value], expr.index)
