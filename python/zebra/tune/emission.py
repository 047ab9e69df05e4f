"""Emission for timing: the instructions that codegen emits, faster.

A layer's instructions are few shapes at many addresses. What a shape touches and
how it is encoded is found once; an instruction then adds its addresses. DRAM is
left out of the search for hazards: a layer alone reads and writes different
buffers there, so no token comes from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

from zebra.codegen.emitter import Emitter, intervals
from zebra.hw import HwConfig
from zebra.isa.access import accesses
from zebra.isa.codec import encode
from zebra.isa.fields import WORD_BYTES, bit_fields, layout
from zebra.isa.insns import OPCODE_BITS, Accum, Fill, Gemm, Insn, Load, Memory, Post, Store

ADDRESS_FIELDS: dict[type[Insn], tuple[str, ...]] = {
    Load: ("dram", "sram"),
    Store: ("dram", "sram"),
    Fill: ("sram",),
    Gemm: ("act", "wgt", "acc"),
    Accum: ("act", "acc", "par"),
    Post: ("dst", "a", "b", "par"),
}
"""The fields that tell one instruction of a shape from another."""

_MODES = {
    kind: attrgetter(*(name for name, _, _ in bit_fields(kind) if name not in names))
    for kind, names in ADDRESS_FIELDS.items()
}
"""Getters of all other fields."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """What the instructions of one shape have in common."""

    word: int
    """The encoding with every address 0."""
    offsets: tuple[int, ...]
    """Bit of each address field in the word."""
    touched: tuple[tuple[Memory, int, int, int, bool], ...]
    """(memory, number of the address field or -1, start and stop from there, whether written)."""


class TimingEmitter(Emitter):
    """Emits one layer into ``code``; ``stream`` holds only instructions' tokens."""

    def __init__(self, config: HwConfig, addresses: Mapping[str, int]) -> None:
        super().__init__(config, addresses)
        self._shapes: dict[Any, _Shape] = {}
        self._words: list[int] = []

    def issue(self, insn: Insn) -> None:
        """Append one instruction."""
        kind = type(insn)
        names = ADDRESS_FIELDS[kind]
        at = [getattr(insn, name) for name in names]
        key = _key(insn)
        shape = self._shapes.get(key)
        if shape is None:
            shape = self._shapes[key] = _shape(insn, names, self.config)
        word = shape.word
        for address, offset in zip(at, shape.offsets):
            word |= address << offset
        self._words.append(word)
        at.append(0)  # the field -1
        touched = [
            (memory, at[field] + start, at[field] + stop, write)
            for memory, field, start, stop, write in shape.touched
        ]
        self.stream.add(insn, touched)

    def code(self) -> bytes:
        """The encoded program, tokens filled in."""
        masks = self.stream.masks()
        return b"".join(
            (word | (wait | signal << 4) << OPCODE_BITS).to_bytes(WORD_BYTES, "little")
            for word, (wait, signal) in zip(self._words, masks, strict=True)
        )


def _key(insn: Insn) -> Any:
    """Everything of an instruction but its addresses."""
    return type(insn), *_MODES[type(insn)](insn)


def _shape(insn: Insn, names: tuple[str, ...], config: HwConfig) -> _Shape:
    bare = replace(insn, **dict.fromkeys(names, 0))
    word = int.from_bytes(encode(bare), "little")
    places = {slot.path: slot.offset + OPCODE_BITS for slot in layout(type(insn))}
    # Addresses far apart tell which field an access starts from.
    far = 1 << 60
    probe = replace(insn, **{name: number * far for number, name in enumerate(names, 1)})
    touched = tuple(
        (
            access.memory,
            access.base // far - 1,
            start % far,
            stop - start + start % far,
            access.write,
        )
        for access in accesses(probe, config)
        if access.memory is not Memory.DRAM
        for start, stop in intervals(access)
    )
    return _Shape(word, tuple(places[(name,)] for name in names), touched)
