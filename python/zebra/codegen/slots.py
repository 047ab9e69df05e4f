"""Slots of a scratchpad: which tile lies in which."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable

MAX_SLOTS = 64


class Slots:
    """Equal slots at given addresses; the least recently used one is replaced."""

    def __init__(self, addresses: Iterable[int]) -> None:
        self._free = list(reversed(list(addresses)))
        self._held: OrderedDict[Hashable, int] = OrderedDict()

    def get(self, key: Hashable) -> tuple[int, bool]:
        """(address of the slot for ``key``, whether it holds it already)."""
        address = self._held.get(key)
        if address is not None:
            self._held.move_to_end(key)
            return address, True
        address = self._free.pop() if self._free else self._held.popitem(last=False)[1]
        self._held[key] = address
        return address, False
