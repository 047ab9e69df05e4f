"""The timeline cut into slices that do not overlap on their engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from zebra.isa.insns import Engine
from zebra.runtime.profile import RegionProfile

NO_LAYER = -1


@dataclass(frozen=True, slots=True)
class Slice:
    """``count`` instructions of one layer on one engine, cycles [start, end).

    ``layer`` is its place in the region's ``rows``: of the chain's layer, where it is in one.
    ``first`` is the first one's place in the program.
    """

    engine: Engine
    layer: int
    start: int
    end: int
    first: int
    count: int = 1


def instruction_slices(region: RegionProfile) -> list[Slice]:
    """One slice per instruction, in program order.

    An engine can have several instructions in flight: a slice ends where the
    engine's next one starts, so that none overlap.
    """
    layer_of = _layers_of_instructions(region)
    found: list[Slice] = []
    last: dict[Engine, int] = {}
    for entry in region.report.timeline:
        if entry.engine in last:
            before = found[last[entry.engine]]
            found[last[entry.engine]] = replace(before, end=min(before.end, entry.start))
        last[entry.engine] = len(found)
        found.append(
            Slice(entry.engine, layer_of[entry.index], entry.start, entry.end, entry.index)
        )
    return found


def merged_slices(region: RegionProfile, limit: int) -> tuple[list[Slice], int]:
    """At most about ``limit`` slices, and the cycles up to which gaps were closed.

    Neighbours of one engine and layer become one slice where the gap between
    them is small; the gap doubles until there are few enough. A slice of a chain that is
    no longer than the gap joins its neighbour of another of the chain's layers: the two
    are then the chain's.
    """
    slices = instruction_slices(region)
    chains = _chains(region)
    gap = 0
    while len(slices) > limit and gap <= region.cycles:
        gap = max(2 * gap, 1)
        slices = list(_join(slices, gap, chains))
    return slices, gap


def _join(slices: Sequence[Slice], gap: int, chains: Mapping[int, int]) -> Iterator[Slice]:
    open_slices: dict[Engine, Slice] = {}
    for each in slices:
        current = open_slices.get(each.engine)
        layer = _common(current, each, gap, chains) if current else None
        if current and layer is not None:
            count = current.count + each.count
            open_slices[each.engine] = replace(current, layer=layer, end=each.end, count=count)
            continue
        if current:
            yield current
        open_slices[each.engine] = each
    yield from open_slices.values()


def _common(before: Slice, after: Slice, gap: int, chains: Mapping[int, int]) -> int | None:
    """The row of two neighbours as one slice; None if they stay two."""
    if after.start - before.end > gap:
        return None
    if before.layer == after.layer:
        return before.layer
    chain = chains.get(before.layer)
    short = min(before.end - before.start, after.end - after.start) <= gap
    return chain if short and chain is not None and chain == chains.get(after.layer) else None


def _chains(region: RegionProfile) -> dict[int, int]:
    """The row of the chain, for the rows of chains and of their layers."""
    found: dict[int, int] = {}
    number = 0
    for layer in region.layers:
        rows = range(number, number + 1 + len(layer.parts))
        if layer.parts:
            found.update(dict.fromkeys(rows, number))
        number = rows.stop
    return found


def _layers_of_instructions(region: RegionProfile) -> list[int]:
    layer_of = np.full(len(region.report.timeline), NO_LAYER)
    rows = (row for layer in region.report.layers for row in (layer, *layer.parts))
    for number, row in enumerate(rows):
        layer_of[row.instructions] = number
    return [int(number) for number in layer_of]
