"""Which operators only normalise a network's input.

A per-channel affine map between an input and the convolutions that read it (mean
and deviation, or a batch norm on the data) is computed in float before the input
is quantized: one rounding instead of two, and the convolution reads the input
itself.
"""

from __future__ import annotations

from tvm import relay

from zebra.relay.quantizer.rewriting import (
    Expr,
    channel_vector,
    children,
    is_float,
    op_name,
    post_order,
    shape_of,
    value_of,
)

AFFINE = frozenset(["add", "subtract", "multiply", "divide", "nn.bias_add"])
LINEAR = frozenset(["nn.conv2d", "nn.dense"])


def input_normalisations(body: Expr) -> set[Expr]:
    """The affine maps of an input that only convolutions and dense layers read."""
    nodes = post_order(body)
    maps: set[Expr] = set()
    for node in nodes:
        source = _mapped(node)
        if source is not None and (isinstance(source, relay.Var) or source in maps):
            maps.add(node)
    readers: dict[Expr, list[Expr]] = {node: [] for node in maps}
    for node in nodes:
        for child in children(node):
            if child in readers:
                readers[child].append(node)
    for node in reversed(nodes):
        if node in maps and not all(
            reader in maps or op_name(reader) in LINEAR for reader in readers[node]
        ):
            maps.discard(node)
    if body in maps:
        maps.discard(body)
    return maps


def _mapped(node: Expr) -> Expr | None:
    """The operand of a per-channel affine map of constants, or None where it is none."""
    if op_name(node) not in AFFINE or not is_float(node):
        return None
    constants = [value_of(arg) for arg in node.args]
    known = [constant for constant in constants if constant is not None]
    operand = node.args[0 if constants[0] is None else 1]
    if len(known) != 1 or not is_float(operand) or shape_of(operand) != shape_of(node):
        return None
    constant = known[0]
    if op_name(node) == "nn.bias_add":
        constant = constant.reshape((-1,) + (1,) * (len(shape_of(node)) - 2))
    return operand if channel_vector(constant, shape_of(node)) is not None else None
