"""Which bytes of DRAM a program touches: its LOADs and STOREs, decoded all at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from zebra.hw import HwConfig
from zebra.isa.access import accesses, addresses, footprint
from zebra.isa.codec import decode
from zebra.isa.fields import WORD_BYTES, layout
from zebra.isa.insns import OPCODE_BITS, Insn, Load, Memory, Store

Intervals = npt.NDArray[np.int64]
"""int64 [n, 2]: disjoint byte intervals [start, stop), ascending."""


@dataclass(frozen=True, slots=True)
class Touched:
    """The bytes of DRAM that some instructions read and write, each counted once."""

    read: Intervals
    written: Intervals

    @property
    def bytes(self) -> int:
        """Bytes read plus bytes written."""
        return length(self.read) + length(self.written)


def touched(code: bytes, config: HwConfig) -> Touched:
    """What the instructions in ``code`` touch; they must be legal ones."""
    return Touched(_union(code, Load, config), _union(code, Store, config))


def length(intervals: Intervals) -> int:
    """Bytes in the intervals."""
    return int((intervals[:, 1] - intervals[:, 0]).sum())


def merge(intervals: Intervals, gap: int = 0) -> Intervals:
    """The union of ``intervals`` in any order; those at most ``gap`` apart become one."""
    if not len(intervals):
        return intervals.reshape(0, 2)
    ordered = intervals[np.argsort(intervals[:, 0], kind="stable")]
    reach = np.maximum.accumulate(ordered[:, 1])
    fresh = np.flatnonzero(ordered[1:, 0] > reach[:-1] + gap) + 1
    firsts = np.concatenate(([0], fresh))
    lasts = np.concatenate((fresh, [len(ordered)])) - 1
    return np.stack((ordered[firsts, 0], reach[lasts]), axis=1)


def _union(code: bytes, cls: type[Insn], config: HwConfig) -> Intervals:
    """Instructions that differ in their DRAM address only share one decoding."""
    words = np.frombuffer(code, np.uint8).reshape(-1, WORD_BYTES)
    mine = words[words[:, 0] & (1 << OPCODE_BITS) - 1 == cls.OPCODE]
    bases = _bases(mine, cls)
    shapes, kinds = np.unique(_without_place(mine, cls), axis=0, return_inverse=True)
    parts = [np.zeros((0, 2), np.int64)]
    for kind, shape in enumerate(shapes):
        starts, run = _runs(decode(shape.tobytes()), config)
        all_starts = (bases[kinds.ravel() == kind][:, None] + starts).ravel()
        parts.append(merge(np.stack((all_starts, all_starts + run), axis=1)))
    return merge(np.concatenate(parts))


def _runs(insn: Insn, config: HwConfig) -> tuple[npt.NDArray[np.int64], int]:
    """Addresses at which runs of contiguous bytes begin, and their length."""
    (access,) = (each for each in accesses(insn, config) if each.memory is Memory.DRAM)
    levels = footprint(access.nest)
    if levels and levels[0][1] == 1:
        return addresses(access.base, levels[1:]), levels[0][0]
    return addresses(access.base, levels), 1


def _bases(words: npt.NDArray[np.uint8], cls: type[Insn]) -> npt.NDArray[np.int64]:
    """The field ``dram`` of instructions given as bytes [n, WORD_BYTES]."""
    bits = np.unpackbits(words[:, :WORD_BYTES], axis=1, bitorder="little")
    first, width = _place(cls, "dram")
    weights = np.int64(1) << np.arange(width, dtype=np.int64)
    return np.asarray(bits[:, first : first + width].astype(np.int64) @ weights, np.int64)


def _without_place(words: npt.NDArray[np.uint8], cls: type[Insn]) -> npt.NDArray[np.uint8]:
    """The instructions with zeros where they say where, and whom they wait for and signal."""
    bits = np.unpackbits(words, axis=1, bitorder="little")
    for name in ("wait", "signal", "dram", "sram"):
        first, width = _place(cls, name)
        bits[:, first : first + width] = 0
    return np.packbits(bits, axis=1, bitorder="little")


def _place(cls: type[Insn], name: str) -> tuple[int, int]:
    """(first bit, bits) of a field of the whole instruction word."""
    (slot,) = (slot for slot in layout(cls) if slot.path == (name,))
    return slot.offset + OPCODE_BITS, slot.bits.width
