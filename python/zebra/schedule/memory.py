"""The DRAM plan: one address for each buffer, by live ranges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lifetime:
    """A buffer of ``size`` bytes that is in use from step ``first`` to step ``last``, inclusive."""

    size: int
    first: int
    last: int


def assign(
    lifetimes: Mapping[str, Lifetime], base: int, alignment: int
) -> tuple[dict[str, int], int]:
    """Addresses from ``base`` upward, and the end of the memory used.

    Greedy by size: each buffer, largest first, takes the lowest gap among the
    buffers that live at the same time (Pisarchyk and Lee, 2020, "greedy by
    size for offset calculation").
    """
    placed: list[tuple[int, int, Lifetime]] = []
    addresses: dict[str, int] = {}
    order = sorted(lifetimes, key=lambda name: (-lifetimes[name].size, lifetimes[name].first, name))
    for name in order:
        life = lifetimes[name]
        neighbours = sorted(
            (start, stop)
            for start, stop, other in placed
            if other.first <= life.last and life.first <= other.last
        )
        address = base
        for start, stop in neighbours:
            if address + life.size <= start:
                break
            address = max(address, stop)
        end = address + -(-life.size // alignment) * alignment
        placed.append((address, end, life))
        addresses[name] = address
    return addresses, max((stop for _, stop, _ in placed), default=base)
