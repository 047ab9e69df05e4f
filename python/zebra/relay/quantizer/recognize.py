"""Relay float function -> Network: which operators become one step."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import tvm
from tvm import relay

from zebra.relay.quantizer.fold_affine import is_linear
from zebra.relay.quantizer.normalise import input_normalisations
from zebra.relay.quantizer.rewriting import (
    Expr,
    channel_vector,
    count_uses,
    is_float,
    op_name,
    post_order,
    shape_of,
    value_of,
)
from zebra.relay.quantizer.steps import (
    AveragePool,
    Binary,
    Chain,
    Concat,
    Host,
    Input,
    Linear,
    Literal,
    Network,
    Passthrough,
    Step,
)

# fmt: off
ELEMENTWISE = frozenset([
    "add", "subtract", "multiply", "divide", "power", "maximum", "minimum", "floor_divide", "mod",
    "floor_mod", "nn.relu", "nn.leaky_relu", "clip", "sigmoid", "tanh", "exp", "log", "log2",
    "log10", "sqrt", "rsqrt", "erf", "abs", "negative", "sign", "floor", "ceil", "round", "trunc",
    "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh",
    "greater", "greater_equal", "less", "less_equal", "equal", "not_equal", "where", "cast",
    "logical_and", "logical_or", "logical_not", "copy",
])
# fmt: on
BINARY = frozenset(["add", "subtract", "multiply"])
AVERAGES = frozenset(["nn.avg_pool2d", "nn.global_avg_pool2d", "nn.adaptive_avg_pool2d"])
PASSTHROUGH = frozenset(
    [
        "nn.max_pool2d",
        "nn.global_max_pool2d",
        "nn.adaptive_max_pool2d",
        "reshape",
        "nn.batch_flatten",
        "squeeze",
        "expand_dims",
        "transpose",
        "strided_slice",
        "nn.depth_to_space",
        "nn.space_to_depth",
    ]
)


def recognize(mod: tvm.IRModule) -> Network:
    """The steps of a simplified, typed, straight-line "main"."""
    body = mod["main"].body
    reader = _Reader(count_uses(body), input_normalisations(body))
    for node in post_order(body):
        reader.read(node)
    reader.materialise(body)
    return Network(tuple(reader.steps.values()), body)


class _Reader:
    """Reads nodes in post-order. ``steps`` keeps the order in which values were defined."""

    def __init__(self, uses: Counter[Expr], normalisations: set[Expr]) -> None:
        self.uses = uses
        self.normalisations = normalisations
        self.steps: dict[Expr, Step] = {}
        self.roots: dict[Expr, Expr] = {}
        """Element-wise expressions not (yet) a step -> the one value they depend on."""

    def read(self, node: Expr) -> None:
        if isinstance(node, tvm.ir.Op):
            return
        if isinstance(node, relay.Constant):
            self.define(Literal(node, ()))
        elif isinstance(node, relay.Var):
            self.define(Input(node, ()) if is_float(node) else Host(node, ()))
        elif node in self.normalisations:
            self.host(node)
        elif not isinstance(node, relay.Call) or not is_float(node):
            if not self.chained(node):
                self.host(node)
        elif not (self.fused(node) or self.chained(node) or self.quantized(node)):
            self.host(node)

    def define(self, step: Step) -> bool:
        self.steps[step.expr] = step
        return True

    def host(self, node: Expr) -> None:
        operands = [node.tuple_value] if isinstance(node, relay.TupleGetItem) else None
        if operands is None:
            operands = list(node.fields if isinstance(node, relay.Tuple) else node.args)
        self.define(Host(node, tuple(self.materialise(value) for value in operands)))

    def materialise(self, value: Expr) -> Expr:
        """Make sure ``value`` is defined by a step: an element-wise expression becomes one."""
        if value not in self.steps:
            if is_float(value):
                self.define(Chain(value, (self.roots[value],)))
            else:
                self.host(value)
        return value

    def in_int8(self, value: Expr) -> bool:
        """Whether a value is (or can be, for an input) an int8 tensor of the accelerator."""
        step = self.steps.get(self.roots.get(value, value))
        return isinstance(step, Step) and not isinstance(step, (Host, Literal))

    def fused(self, node: Expr) -> bool:
        """A bias or clip joins the step before it, if nothing else reads that."""
        step = self.steps.get(node.args[0]) if node.args else None
        if step is None or self.uses[node.args[0]] != 1 or getattr(step, "clip", 0) is not None:
            return False
        bounds = _bounds(node)
        if bounds is not None and isinstance(step, (Linear, Binary)):
            return self.extend(replace(step, expr=node, clip=bounds), node.args[0])
        if op_name(node) == "add" and isinstance(step, Linear) and not step.bias.any():
            constant = value_of(node.args[1])
            bias = None if constant is None else channel_vector(constant, shape_of(node))
            if bias is not None and shape_of(node.args[0]) == shape_of(node):
                return self.extend(replace(step, expr=node, bias=bias), node.args[0])
        return False

    def extend(self, step: Step, before: Expr) -> bool:
        del self.steps[before]
        return self.define(step)

    def chained(self, node: Expr) -> bool:
        """An element-wise operator of scalars and of one value joins that value's chain."""
        if op_name(node) not in ELEMENTWISE:
            return False
        tensors = [arg for arg in node.args if not _is_scalar(arg)]
        roots = {self.roots.get(arg, arg) for arg in tensors}
        if len(roots) != 1:
            return False
        root = roots.pop()
        if not (is_float(root) and self.in_int8(root)):
            return False
        if any(shape_of(expr) != shape_of(root) for expr in (node, *tensors)):
            return False
        self.roots[node] = root
        return True

    def quantized(self, node: Expr) -> bool:
        """Define the int8 step of an operator that is not element-wise, if it has one."""
        name, rank = op_name(node), len(shape_of(node))
        if len(node.args) == 2 and is_linear(name, node.attrs, node.args[1], rank):
            return self.define(_linear(self.materialise(node.args[0]), node))
        if name == "concatenate" and isinstance(node.args[0], relay.Tuple):
            return self.concat(node)
        if name in BINARY:
            return self.binary(node)
        if name in AVERAGES and node.attrs.layout == "NCHW" and self.in_int8(node.args[0]):
            return self.define(AveragePool(node, (self.materialise(node.args[0]),)))
        if _is_passthrough(node) and self.in_int8(node.args[0]):
            return self.define(Passthrough(node, (self.materialise(node.args[0]),)))
        return False

    def concat(self, node: Expr) -> bool:
        values = list(node.args[0].fields)
        if not any(self.in_int8(value) for value in values):
            return False
        axis = int(node.attrs.axis) % len(shape_of(node))
        return self.define(Concat(node, tuple(map(self.materialise, values)), axis))

    def binary(self, node: Expr) -> bool:
        """Two tensors of one rank. A float one from the host joins in if it is not broadcast."""
        rank, shapes = len(shape_of(node)), [shape_of(arg) for arg in node.args]
        constants = [value_of(arg) is not None for arg in node.args]
        inside = [self.in_int8(arg) for arg in node.args]
        if not any(inside) or rank > 4:
            return False
        same_rank = all(len(s) == rank or const for s, const in zip(shapes, constants))
        mixable = all(inside) or any(constants) or shapes[0] == shapes[1]
        if not (same_rank and mixable):
            return False
        operands = tuple(map(self.materialise, node.args))
        return self.define(Binary(node, operands, op_name(node)))


def _linear(data: Expr, node: Expr) -> Linear:
    weight = value_of(node.args[1])
    assert weight is not None
    return Linear(node, (data,), node, weight, np.zeros(shape_of(node)[1], np.float64))


def _bounds(node: Expr) -> tuple[float, float] | None:
    if op_name(node) == "nn.relu":
        return 0.0, float("inf")
    if op_name(node) == "clip":
        return float(node.attrs.a_min), float(node.attrs.a_max)
    return None


def _is_scalar(expr: Expr) -> bool:
    constant = value_of(expr)
    return constant is not None and constant.size == 1


def _is_passthrough(node: Expr) -> bool:
    name = op_name(node)
    if name == "nn.pad":
        return _is_scalar(node.args[1])
    if name == "nn.upsampling":
        return bool(node.attrs.method == "nearest_neighbor")
    return name in PASSTHROUGH
