"""Groups of values whose channels can be scaled together without changing the network.

Dividing channel c of a value by s_c and multiplying by s_c the weights that read it
is a law of float arithmetic where everything between the layers commutes with
positive factors per channel: rectifiers, pools, sums (of values with the same
factors), residual additions among them (Nagel et al. 2019, arXiv 1906.04721).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from zebra.relay.quantizer.assign import Groups
from zebra.relay.quantizer.integer_layer import groups_of
from zebra.relay.quantizer.rewriting import Expr, is_float, op_name, shape_of, value_of
from zebra.relay.quantizer.steps import (
    AveragePool,
    Binary,
    Chain,
    Linear,
    Literal,
    Network,
    Passthrough,
    Step,
)

RECTIFIERS = frozenset(["nn.relu", "nn.leaky_relu"])
KEEPERS = frozenset(
    ["nn.max_pool2d", "nn.global_max_pool2d", "nn.adaptive_max_pool2d", "nn.upsampling"]
)
RESHAPES = frozenset(["reshape", "squeeze", "expand_dims", "nn.batch_flatten"])


@dataclass(frozen=True)
class ChannelGroup:
    """Values with common channel factors, the layers that make them and those that read them."""

    values: tuple[Expr, ...]
    producers: tuple[Linear, ...]
    readers: tuple[Linear, ...]


def channel_groups(network: Network) -> list[ChannelGroup]:
    """The groups that layers alone make and that layers alone read, in network order."""
    groups, fixed = Groups(), [network.result]
    for step in network.steps:
        if isinstance(step, Linear):
            fixed += [] if _is_scalable(step) else [step.expr, *step.inputs]
        elif _commutes(step):
            for value in step.inputs:
                groups.join(value, step.expr)
        elif not isinstance(step, Literal):
            fixed += [step.expr, *step.inputs]
    pinned = {groups.find(value) for value in fixed}
    members: dict[Expr, list[Step]] = {}
    for step in network.steps:
        if groups.find(step.expr) not in pinned and not isinstance(step, Literal):
            members.setdefault(groups.find(step.expr), []).append(step)
    layers = [step for step in network.steps if isinstance(step, Linear)]
    found = []
    for steps in members.values():
        values = tuple(step.expr for step in steps)
        readers = tuple(layer for layer in layers if layer.inputs[0] in set(values))
        if readers:
            made = tuple(step for step in steps if isinstance(step, Linear))
            found.append(ChannelGroup(values, made, readers))
    return found


def is_depthwise(step: Linear) -> bool:
    """Whether each output channel reads the input channel of its own number alone."""
    if step.call.op.name != "nn.conv2d":
        return False
    groups = int(step.call.attrs.groups)
    return groups > 1 and groups == len(step.weight) == shape_of(step.inputs[0])[1]


def _is_scalable(step: Linear) -> bool:
    """No transposed or grouped one but depthwise; clips from zero or not at all below."""
    if step.call.op.name == "nn.conv2d_transpose":
        return False
    if groups_of(step) > 1 and not is_depthwise(step):
        return False
    return step.clip is None or step.clip[0] in (0.0, -math.inf)


def _commutes(step: Step) -> bool:
    if isinstance(step, Chain):
        return _is_rectifier(step)
    if isinstance(step, AveragePool):
        return True
    if isinstance(step, Passthrough):
        return op_name(step.expr) in KEEPERS or _drops_ones(step)
    if isinstance(step, Binary):
        return (
            step.operator != "multiply"
            and step.clip in (None, (0.0, math.inf))
            and all(_is_alike(value, step.expr) for value in step.inputs)
        )
    return False


def _is_alike(value: Expr, result: Expr) -> bool:
    return value_of(value) is None and is_float(value) and shape_of(value) == shape_of(result)


def _is_rectifier(step: Chain) -> bool:
    node = step.expr
    while node != step.inputs[0]:
        if op_name(node) not in RECTIFIERS:
            return False
        node = node.args[0]
    return True


def _drops_ones(step: Passthrough) -> bool:
    """[N, C, 1, 1] to [N, C] or back."""
    before, after = shape_of(step.inputs[0]), shape_of(step.expr)
    if op_name(step.expr) not in RESHAPES or min(len(before), len(after)) < 2:
        return False
    return before[:2] == after[:2] and math.prod(before[2:]) == 1 == math.prod(after[2:])
