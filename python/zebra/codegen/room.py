"""How one layer divides the scratchpads."""

from __future__ import annotations

from zebra.codegen.emitter import Emitter
from zebra.codegen.slots import Slots
from zebra.isa.insns import Memory


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
