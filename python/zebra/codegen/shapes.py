"""Instructions as few shapes at many addresses.

What a shape touches and how it is encoded is found once; an instruction of the
shape then adds its addresses. A network has some ten instructions of each shape.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from operator import attrgetter

from zebra.codegen.tokens import Interval
from zebra.errors import EncodingError
from zebra.hw import HwConfig
from zebra.isa.access import KNOWN_NESTS, Access, Nest, accesses, footprint, reach
from zebra.isa.codec import encode
from zebra.isa.fields import bit_fields, layout
from zebra.isa.insns import OPCODE_BITS, Accum, Fill, Gemm, Insn, Load, Memory, Post, Store

MAX_INTERVALS = 128
"""Pieces that one access of DRAM or ACC is told apart into."""

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

_ADDRESSES = {kind: attrgetter(*names) for kind, names in ADDRESS_FIELDS.items()}
_PLACES = {
    kind: {slot.path[0]: slot for slot in layout(kind) if slot.path[0] in names}
    for kind, names in ADDRESS_FIELDS.items()
}
"""Where each address field lies in the word, behind the opcode."""

Addresses = tuple[int, ...]
"""The values of the address fields, in the order of ADDRESS_FIELDS."""

_FAR = 1 << 60
"""Addresses this far apart tell which field an access starts from."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What the instructions of one shape have in common."""

    names: tuple[str, ...]
    """The address fields."""
    number: int
    """Its place among the shapes of its Shapes, from 0 upward."""
    kind: type[Insn]
    word: int
    """The encoding with every address 0."""
    places: tuple[tuple[int, int], ...]
    """(bit in the word, largest value) of each address field."""
    touched: tuple[tuple[Memory, int, int, int, bool], ...]
    """(memory, number of the address field or -1, start and stop from there, whether written)."""

    def instance(self, addresses: Addresses) -> tuple[int, list[Interval]]:
        """The word at ``addresses`` and what it touches; EncodingError where one does not fit."""
        word = self.word
        for name, address, (offset, limit) in zip(self.names, addresses, self.places):
            if not 0 <= address <= limit:
                raise EncodingError(
                    f"{self.kind.__name__}.{name} = {address} does not fit: "
                    f"the field holds 0..{limit}"
                )
            word |= address << offset
        at = (*addresses, 0)  # the field -1
        return word, [
            (memory, at[field] + start, at[field] + stop, write)
            for memory, field, start, stop, write in self.touched
        ]


class Shapes:
    """The shapes of a program so far; ``ignored`` memories are left out of what they touch."""

    def __init__(self, config: HwConfig, ignored: frozenset[Memory] = frozenset()) -> None:
        self._config, self._ignored = config, ignored
        self.known: dict[Hashable, Shape] = {}
        """By what was asked for."""
        self.found: list[Shape] = []
        """All shapes, by their numbers."""

    def like(self, key: Hashable, make: Callable[[], Insn]) -> Shape:
        """The shape of what ``make`` returns; a second call with an equal key does not ask it.

        Keys start with the instruction's class.
        """
        shape = self.known.get(key)
        if shape is None:
            shape = self.known[key] = self.of(make())
        return shape

    def of(self, insn: Insn) -> Shape:
        """The shape of an instruction; EncodingError where a field that is no address is wrong."""
        kind = type(insn)
        key = (kind, "as it is", _MODES[kind](insn))
        shape = self.known.get(key)
        if shape is None:
            shape = self.known[key] = self._find(insn)
            self.found.append(shape)
        return shape

    def _find(self, insn: Insn) -> Shape:
        kind = type(insn)
        names = ADDRESS_FIELDS[kind]
        bare = replace(insn, **dict.fromkeys(names, 0))
        slots = [_PLACES[kind][name] for name in names]
        probe = replace(insn, **{name: number * _FAR for number, name in enumerate(names, 1)})
        touched = tuple(
            (
                access.memory,
                access.base // _FAR - 1,
                start % _FAR,
                stop - start + start % _FAR,
                access.write,
            )
            for access in accesses(probe, self._config)
            if access.memory not in self._ignored
            for start, stop in intervals(access)
        )
        word = int.from_bytes(encode(bare), "little")
        places = tuple((slot.offset + OPCODE_BITS, slot.bits.high) for slot in slots)
        return Shape(names, len(self.found), kind, word, places, touched)


def addresses_of(insn: Insn) -> Addresses:
    """The values of an instruction's address fields."""
    values = _ADDRESSES[type(insn)](insn)
    return values if isinstance(values, tuple) else (values,)


def intervals(access: Access) -> Iterator[tuple[int, int]]:
    """Address intervals that hold everything an access touches.

    Exact for DRAM and ACC as far as MAX_INTERVALS reach, so that tiles of one tensor
    and rows of one tile do not seem to overlap; elsewhere the bounding interval.
    """
    base = access.base
    if access.memory not in (Memory.DRAM, Memory.ACC):
        yield base, access.last + 1
        return
    offsets, size = _pieces(access.nest)
    for offset in offsets:
        yield base + offset, base + offset + size


@lru_cache(maxsize=KNOWN_NESTS)
def _pieces(nest: Nest) -> tuple[tuple[int, ...], int]:
    """Where the intervals of a nest start behind its base, and their length."""
    offsets = [0]
    levels = footprint(nest)
    for extent, stride in reversed(levels):
        if len(offsets) * extent > MAX_INTERVALS or stride == 1:
            break
        offsets = [start + index * stride for start in offsets for index in range(extent)]
        levels = levels[:-1]
    return tuple(offsets), 1 + reach(levels)
