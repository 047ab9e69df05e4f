"""Rewriting a straight-line Relay function, without recursion.

Relay's own ExprMutator recurses in Python and overflows the stack on networks
of DenseNet's depth; here the post-order list is taken once and mapped in order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tvm
from tvm import relay

Expr = Any
FloatArray = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Site:
    """One node about to be rewritten.

    ``node`` is the original (it has a type), ``args`` its children after their
    own rewriting, ``uses`` counts the consumers of every original expression.
    """

    node: Expr
    args: list[Expr]
    uses: Counter[Expr]

    @property
    def name(self) -> str:
        """The operator's name, "" if the node is not a call of an operator."""
        return op_name(self.node)


Rule = Callable[[Site], Expr | None]
"""Gives the replacement of a node, or None to leave it (with rewritten children)."""


def op_name(expr: Expr) -> str:
    """Name of the operator a call calls; "" for everything else."""
    if isinstance(expr, relay.Call) and isinstance(expr.op, tvm.ir.Op):
        return str(expr.op.name)
    return ""


def children(expr: Expr) -> list[Expr]:
    """Data operands of a call, tuple or projection."""
    if isinstance(expr, relay.Call):
        return list(expr.args)
    if isinstance(expr, relay.Tuple):
        return list(expr.fields)
    if isinstance(expr, relay.TupleGetItem):
        return [expr.tuple_value]
    return []


def post_order(expr: Expr) -> list[Expr]:
    """Every node below and including ``expr``, operands before their consumers."""
    nodes: list[Expr] = []
    relay.analysis.post_order_visit(expr, nodes.append)
    return nodes


def count_uses(expr: Expr) -> Counter[Expr]:
    """How often each node is an operand, the result itself counting once."""
    uses = Counter(child for node in post_order(expr) for child in children(node))
    uses[expr] += 1
    return uses


def rebuild(node: Expr, args: Sequence[Expr]) -> Expr:
    """``node`` with other operands; the node itself where nothing changed."""
    if list(args) == children(node):
        return node
    if isinstance(node, relay.Call):
        return relay.Call(node.op, list(args), node.attrs, node.type_args, node.span)
    if isinstance(node, relay.Tuple):
        return relay.Tuple(list(args), node.span)
    return relay.TupleGetItem(args[0], node.index)


def rebuilt(
    expr: Expr, new: Mapping[Expr, Expr], leaf: Callable[[Expr], Expr] = lambda node: node
) -> Expr:
    """``expr`` with those in ``new`` replaced, and others that have no operands by ``leaf``."""
    known = dict(new)
    stack = [expr]
    while stack:
        node = stack[-1]
        pending = [child for child in children(node) if child not in known]
        if node in known:
            stack.pop()
        elif pending:
            stack.extend(pending)
        else:
            operands = [known[child] for child in children(node)]
            known[stack.pop()] = rebuild(node, operands) if operands else leaf(node)
    return known[expr]


def rewrite(mod: tvm.IRModule, rule: Rule) -> tvm.IRModule:
    """Apply ``rule`` to every node of "main", operands first; the result is typed."""
    main = mod["main"]
    uses = count_uses(main.body)
    new: dict[Expr, Expr] = {}
    for node in post_order(main.body):
        args = [new[child] for child in children(node)]
        replacement = rule(Site(node, args, uses)) if _is_static(node) else None
        new[node] = rebuild(node, args) if replacement is None else replacement
    function = relay.Function(main.params, new[main.body], None, main.type_params, main.attrs)
    return infer_type(tvm.IRModule.from_expr(function))


def _is_static(node: Expr) -> bool:
    """Whether a node is a tensor of static shape: others are left alone."""
    kind = None if isinstance(node, tvm.ir.Op) else node.checked_type
    return isinstance(kind, relay.TensorType) and -1 not in shape_of(node)


def infer_type(mod: tvm.IRModule) -> tvm.IRModule:
    """The module with every expression typed."""
    return relay.transform.InferType()(mod)


def shape_of(expr: Expr) -> tuple[int, ...]:
    """Shape of a typed tensor expression; -1 for an extent known only at run time."""
    return tuple(
        int(extent) if isinstance(extent, tvm.tir.IntImm) else -1
        for extent in expr.checked_type.shape
    )


def is_float(expr: Expr) -> bool:
    """Whether a typed expression is one float32 tensor of static shape."""
    kind = expr.checked_type
    return (
        isinstance(kind, relay.TensorType) and kind.dtype == "float32" and -1 not in shape_of(expr)
    )


def value_of(expr: Expr) -> npt.NDArray[Any] | None:
    """The array of a constant, None for everything else."""
    if isinstance(expr, relay.Constant):
        array: npt.NDArray[Any] = expr.data.numpy()
        return array
    return None


def channel_vector(constant: npt.NDArray[Any], shape: Sequence[int]) -> FloatArray | None:
    """A constant that varies along axis 1 of a [N, C] or [N, C, H, W] tensor only, as [C].

    One element counts as C equal ones. None if it is anything else.
    """
    if len(shape) not in (2, 4):
        return None
    channels = shape[1]
    if constant.size == 1:
        return np.full(channels, constant.reshape(-1)[0], np.float64)
    padded = (1,) * (len(shape) - constant.ndim) + constant.shape
    if padded != (1, channels) + (1,) * (len(shape) - 2):
        return None
    return constant.reshape(-1).astype(np.float64)
