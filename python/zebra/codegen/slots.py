"""Scratchpad areas: which tile lies in which slot."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING

from zebra.isa.insns import Memory

if TYPE_CHECKING:
    from zebra.codegen.emitter import Emitter

MAX_SLOTS = 64


class Slots:
    """Equal slots at given addresses; the least recently used one is replaced."""

    def __init__(self, addresses: Iterable[int]) -> None:
        self._free = list(reversed(list(addresses)))
        self._held: OrderedDict[Hashable, int] = OrderedDict()

    def get(self, key: Hashable) -> tuple[int, bool]:
        """(address of the slot for ``key``, whether it holds it already)."""
        if key in self._held:
            self._held.move_to_end(key)
            return self._held[key], True
        address = self._free.pop() if self._free else self._held.popitem(last=False)[1]
        self._held[key] = address
        return address, False


class Room:
    """The scratchpads as one layer divides them among its slots, from address 0 upward."""

    def __init__(self, emitter: Emitter) -> None:
        config = emitter.config
        self._emitter = emitter
        self._next = {Memory.ACT: 0, Memory.WGT: 0, Memory.ACC: 0, Memory.PAR: 0}
        self._size = {
            Memory.ACT: config.act_entries,
            Memory.WGT: config.wgt_entries,
            Memory.ACC: config.acc_entries,
            Memory.PAR: config.par_entries,
        }

    def copies(self, most: int, **sizes: int) -> int:
        """How often entries of the given sizes (act=..., acc=..., ...) fit: 1 to ``most``."""
        fits = [self.left(Memory[name.upper()]) // size for name, size in sizes.items() if size > 0]
        return max(1, min([most, *fits]))

    def left(self, memory: Memory) -> int:
        """Entries not yet given away."""
        return self._size[memory] - self._next[memory]

    def slots(self, memory: Memory, size: int, count: int) -> Slots:
        """``count`` slots of ``size`` entries each."""
        base = self._next[memory]
        self._next[memory] += size * count
        assert self._next[memory] <= self._size[memory], f"{memory.name} is overcommitted"
        return self._emitter.oldest_first(memory, base, size, count)
