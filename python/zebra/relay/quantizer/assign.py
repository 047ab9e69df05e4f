"""Ranges -> scale and zero point of every value.

Values that must or should share their parameters form a group, and a group's
range is the hull of its members': what a Passthrough moves keeps its scale, and
what a Concat joins gets the Concat's, so that joining is free.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

from zebra.relay.quantizer.observers import Range
from zebra.relay.quantizer.rewriting import Expr, op_name, value_of
from zebra.relay.quantizer.scales import QParams, choose_qparams
from zebra.relay.quantizer.steps import Binary, Concat, Host, Literal, Network, Passthrough

COARSE = 4.0
"""A value that others read too keeps its own scale if joining would coarsen it more."""


SLACK = 1.1
"""A sum's range may be widened by this much for an operand to share it."""

NEAR = 1.4
"""An operand that others read too shares a sum's range up to this many times its own."""


class Groups:
    """Disjoint sets of values."""

    def __init__(self) -> None:
        self._parent: dict[Expr, Expr] = {}

    def find(self, value: Expr) -> Expr:
        """The one value that stands for the set of ``value``."""
        root = value
        while root in self._parent:
            root = self._parent[root]
        return root

    def join(self, value: Expr, other: Expr) -> None:
        """Make one set of two."""
        a, b = self.find(value), self.find(other)
        if a != b:
            self._parent[a] = b


@dataclass(frozen=True)
class ValueGroup:
    """Values of one scale and zero point, and the range that holds all of them."""

    values: tuple[Expr, ...]
    range: Range


def value_groups(
    network: Network, ranges: Sequence[Range], share_sums: bool = False
) -> list[ValueGroup]:
    """Every int8 value of ``network`` in its group; ``ranges`` are those of ``observed``.

    ``share_sums``: an operand of a sum takes the sum's parameters where that is
    hardly coarser. ``qnn.add`` rounds each operand to the sum's scale, which then
    changes nothing.
    """
    known = _all_ranges(network, dict(zip(network.observed, ranges)))
    groups = _group(network, known)
    if share_sums:
        _join_sums(network, known, groups)
    members: defaultdict[Expr, list[Expr]] = defaultdict(list)
    for value in known:
        members[groups.find(value)].append(value)
    return [
        ValueGroup(tuple(values), reduce(_hull, (known[value] for value in values)))
        for values in members.values()
    ]


def assign_qparams(groups: Iterable[ValueGroup]) -> dict[Expr, QParams]:
    """Parameters of every value of ``groups``."""
    found = [(group.values, choose_qparams(*group.range)) for group in groups]
    return {value: params for values, params in found for value in values}


def _hull(a: Range, b: Range) -> Range:
    return min(a[0], b[0]), max(a[1], b[1])


def _all_ranges(network: Network, observed: Mapping[Expr, Range]) -> dict[Expr, Range]:
    """Observed ranges, and those that follow from them: of literals, moves and joins."""
    known, wanted = dict(observed), network.read_in_int8
    for step in network.steps:
        if isinstance(step, Literal):
            data = value_of(step.expr)
            if data is not None and step.expr in wanted and data.size:
                known[step.expr] = float(data.min()), float(data.max())
        elif isinstance(step, (Passthrough, Concat)):
            found = known[step.inputs[0]]
            for value in step.inputs[1:]:
                found = _hull(found, known[value])
            known[step.expr] = _hull(found, _padding(step.expr, found))
    return known


def _padding(expr: Expr, found: Range) -> Range:
    """The constant a pad adds; one beyond any size (minus infinity before a max pool) saturates."""
    if op_name(expr) != "nn.pad":
        return found
    data = value_of(expr.args[1])
    value = 0.0 if data is None else float(data.reshape(-1)[0])
    return (value, value) if abs(value) < 1e30 else found


def _group(network: Network, known: Mapping[Expr, Range]) -> Groups:
    groups = Groups()
    movers = [step for step in network.steps if isinstance(step, (Passthrough, Concat))]
    moved = Counter(value for step in movers for value in step.inputs)
    read = Counter(value for step in network.steps for value in step.inputs)
    literals = {step.expr for step in network.steps if isinstance(step, Literal)}
    hosts = {step.expr for step in network.steps if isinstance(step, Host)}
    for step in movers:
        whole = _width(known[step.expr])
        for value in step.inputs:
            shared = read[value] > moved[value] and value not in hosts
            coarse = isinstance(step, Concat) and shared and COARSE * _width(known[value]) < whole
            if not coarse and value not in literals:
                groups.join(value, step.expr)
    return groups


def _join_sums(network: Network, known: Mapping[Expr, Range], groups: Groups) -> None:
    """Join sums with operands of about their own range.

    An operand that nothing else reads may be finer by any factor: its own rounding
    becomes the sum's, instead of one more.
    """
    read = Counter(value for step in network.steps for value in step.inputs)
    fixed = {step.expr for step in network.steps if isinstance(step, (Literal, Host))}
    for step in network.steps:
        if not isinstance(step, Binary) or step.operator == "multiply":
            continue
        whole = _width(known[step.expr])
        for value in step.inputs:
            own = _width(known[value])
            near = own <= whole * SLACK and (read[value] == 1 or own * NEAR >= whole)
            if value not in fixed and near:
                groups.join(value, step.expr)


def _width(found: Range) -> float:
    return max(found[1], 0.0) - min(found[0], 0.0)
