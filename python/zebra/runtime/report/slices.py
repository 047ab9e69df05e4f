"""The timeline cut into slices that do not overlap on their engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from zebra.isa.insns import Engine
from zebra.runtime.profile import RegionProfile

NO_LAYER = -1


@dataclass(frozen=True, slots=True)
class Slice:
    """``count`` instructions of one layer on one engine, cycles [start, end).

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
    them is small; the gap doubles until there are few enough.
    """
    slices = instruction_slices(region)
    gap = 0
    while len(slices) > limit and gap <= region.cycles:
        gap = max(2 * gap, 1)
        slices = list(_join(slices, gap))
    return slices, gap


def _join(slices: Sequence[Slice], gap: int) -> Iterator[Slice]:
    open_slices: dict[Engine, Slice] = {}
    for each in slices:
        current = open_slices.get(each.engine)
        if current and current.layer == each.layer and each.start - current.end <= gap:
            count = current.count + each.count
            open_slices[each.engine] = replace(current, end=each.end, count=count)
            continue
        if current:
            yield current
        open_slices[each.engine] = each
    yield from open_slices.values()


def _layers_of_instructions(region: RegionProfile) -> list[int]:
    layer_of = [NO_LAYER] * len(region.report.timeline)
    for number, layer in enumerate(region.report.layers):
        for index in range(layer.span.first, layer.span.last):
            layer_of[index] = number
    return layer_of
