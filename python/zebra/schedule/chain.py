"""Which neighbouring layers run as one chain of stripes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from zebra.hw import HwConfig
from zebra.schedule.cost import Estimate
from zebra.schedule.estimate import chain_estimate, layer_estimate
from zebra.schedule.layers import ChainLayer, FusedLayer, Layer
from zebra.schedule.narrow import by_blocks, narrowed
from zebra.schedule.pipeline import Chain, unfinished

PARTS = (2, 4, 5, 7, 8, 10, 16, 20)
"""Parts of a row that are tried where whole rows do not fit."""
LONGEST = 12
"""Layers, as they are after joining, of the longest chain tried."""


@dataclass(frozen=True, slots=True)
class _Choice:
    """The best way to run the first layers: its price, and how the last of them run."""

    price: float
    start: int
    layer: Layer


def chain(layers: Sequence[Layer], outputs: Collection[str], config: HwConfig) -> list[Layer]:
    """The layers with runs of neighbours made chains where that is thought to be cheaper.

    ``outputs`` are buffers that the region's caller reads. The cheapest division of
    the list is found by dynamic programming over its prefixes.
    """
    return _chosen(_best(layers, users_of(layers, outputs), config))


def price(layers: Sequence[Layer], outputs: Collection[str], first: int, config: HwConfig) -> float:
    """What the ``first`` layers of a region would be chosen at, in cycles (Estimate.price)."""
    choice = _best(layers[:first], users_of(layers, outputs), config)[-1]
    return 0.0 if choice is None else choice.price


def _best(
    layers: Sequence[Layer], users: dict[str, set[int]], config: HwConfig
) -> list[_Choice | None]:
    """For each number of layers the best way to run that many."""
    best: list[_Choice | None] = [None] * (len(layers) + 1)

    def offer(start: int, stop: int, layer: Layer, estimate: Estimate) -> None:
        before = best[start]
        price = estimate.price(config) + (0.0 if before is None else before.price)
        known = best[stop]
        if known is None or price < known.price:
            best[stop] = _Choice(price, start, layer)

    for start, layer in enumerate(layers):
        offer(start, start + 1, layer, layer_estimate(layer, config))
        for stop, chained, estimate in _chains(layers, start, users, config):
            offer(start, stop, chained, estimate)
    return best


def _chosen(best: Sequence[_Choice | None]) -> list[Layer]:
    result: list[Layer] = []
    at = len(best) - 1
    while at:
        choice = best[at]
        assert choice is not None
        result.append(choice.layer)
        at = choice.start
    return result[::-1]


def parts(layer: Layer) -> tuple[Layer, ...]:
    """The layers that a joined layer was made of, in order."""
    if not isinstance(layer, FusedLayer):
        return (layer,)
    members = (layer.first, layer.before, layer.gemm, layer.after)
    return tuple(member for member in members if member is not None)


def users_of(layers: Sequence[Layer], outputs: Collection[str]) -> dict[str, set[int]]:
    """Numbers of the layers that read or write each buffer; -1 for the region's caller."""
    users: dict[str, set[int]] = {name: {-1} for name in outputs}
    for number, layer in enumerate(layers):
        for part in parts(layer):
            for view in (*part.inputs, part.out):
                users.setdefault(view.buffer, set()).add(number)
    return users


@dataclass(frozen=True, slots=True)
class Growth:
    """Layers that could be one chain."""

    stop: int
    """Behind the last of them."""
    members: tuple[Layer, ...]
    chain: Chain
    outside: frozenset[str]
    """Buffers that others use."""


def growing(layers: Sequence[Layer], start: int, users: dict[str, set[int]]) -> Iterator[Growth]:
    """The chains that begin with layer ``start``, the next always longer."""
    members: list[Layer] = []
    whole = Chain()
    for stop in range(start + 1, min(len(layers), start + LONGEST) + 1):
        members += parts(layers[stop - 1])
        if not all(whole.add(part) for part in parts(layers[stop - 1])):
            return
        if stop == start + 1 or unfinished(members):
            continue
        inside = set(range(start, stop))
        outside = frozenset(name for name, numbers in users.items() if not numbers <= inside)
        yield Growth(stop, tuple(members), whole, outside)


def _chains(
    layers: Sequence[Layer], start: int, users: dict[str, set[int]], config: HwConfig
) -> Iterator[tuple[int, ChainLayer, Estimate]]:
    """Chains that begin with layer ``start``, while they fit: (end, chain, what it takes)."""
    for growth in growing(layers, start, users):
        used: Sequence[Layer] | None = growth.members
        found = _count(growth.chain, growth.outside, config)
        if found is None:
            used, found = _in_parts(growth.members, growth.outside, config)
        if found is None or used is None:
            return
        count, estimate = found
        yield growth.stop, chained(used, growth.outside, count), estimate


def _in_parts(
    members: Sequence[Layer], outside: frozenset[str], config: HwConfig
) -> tuple[Sequence[Layer] | None, tuple[int, Estimate] | None]:
    """Layers whose whole rows do not fit, on rows of one channel block or on parts of rows."""
    for narrow in (by_blocks(members), *(narrowed(members, number) for number in PARTS)):
        if narrow is None:
            continue
        whole = Chain()
        if all(whole.add(layer) for layer in narrow):
            found = _count(whole, outside, config)
            if found is not None:
                return narrow, found
    return None, None


def _count(whole: Chain, outside: frozenset[str], config: HwConfig) -> tuple[int, Estimate] | None:
    """The best number of stripes, and what the chain takes; None if it does not fit."""
    tallest = max(stage.layer.out.dims[2] for stage in whole.stages)
    best: tuple[int, Estimate] | None = None
    for count in sorted({-(-tallest // 2**k) for k in range(4)} | {1}, reverse=True):
        stripes = whole.plan(outside, count, config)
        if stripes is None:
            break
        estimate = chain_estimate(stripes, config)
        if best is None or estimate.price(config) < best[1].price(config):
            best = count, estimate
    return best


def chained(members: Sequence[Layer], outside: frozenset[str], count: int) -> ChainLayer:
    """``members`` as one layer, in ``count`` stripes."""
    inner = {part.out.buffer for part in members}
    inputs = [view for part in members for view in part.inputs if view.buffer not in inner]
    return ChainLayer(
        f"{members[0].name}..{members[-1].name}",
        " > ".join(part.origin for part in members),
        tuple(dict.fromkeys(inputs)),
        members[-1].out,
        tuple(members),
        outside & {part.out.buffer for part in members},
        count,
        macs=sum(part.macs for part in members),
        vec_macs=sum(part.vec_macs for part in members),
    )
