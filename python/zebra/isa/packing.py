"""Encoder and decoder of each instruction class, derived once from its declaration.

A class has hundreds of thousands of objects in a large network, so everything
that the declaration says about a field is looked up here before the first one.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any, get_args

from zebra.errors import EncodingError
from zebra.isa.fields import Bits, Levels, bit_fields

KNOWN_NESTS = 4096
"""Decoded loop nests kept per class; equal nests then are one object."""


class _Plain:
    """The Bits fields of one dataclass, from bit 0 upward."""

    def __init__(self, owner: type, declared: Sequence[tuple[str, Any, Bits | Levels]]) -> None:
        self.owner = owner
        self.read = attrgetter(*(name for name, _, _ in declared))
        self.encoders: list[tuple[str, int, int, int, int, int]] = []
        self.decoders: list[tuple[str, int, int, int, int, type, dict[int, Any] | None]] = []
        self.width = 0
        for name, plain, bits in declared:
            assert isinstance(bits, Bits)
            mask, sign = (1 << bits.width) - 1, int(bits.signed) << bits.width >> 1
            self.encoders.append((name, bits.low, bits.high, bits.bias, mask, self.width))
            choices = None if plain is int else _choices(plain, bits)
            self.decoders.append((name, self.width, mask, sign, bits.bias, plain, choices))
            self.width += bits.width

    def encode(self, item: object, place: str) -> int:
        """The packed fields of ``item``; an error calls it ``place``."""
        word = 0
        for value, (name, low, high, bias, mask, offset) in zip(self.read(item), self.encoders):
            number = int(value)
            if not low <= number <= high:
                raise EncodingError(
                    f"{place}.{name} = {number} does not fit: the field holds {low}..{high}"
                )
            word |= (number - bias & mask) << offset
        return word

    def decode(self, word: int) -> list[Any]:
        """The values of the fields in ``word``, in the order declared."""
        values: list[Any] = []
        for name, offset, mask, sign, bias, plain, choices in self.decoders:
            raw = word >> offset & mask
            value = raw - ((raw & sign) << 1) + bias
            if choices is not None:
                if value not in choices:
                    raise EncodingError(
                        f"{self.owner.__name__}.{name} = {value} is not a {plain.__name__}"
                    )
                value = choices[value]
            values.append(value)
        return values


def _choices(plain: type, bits: Bits) -> dict[int, Any]:
    """What the numbers of a bool or enum field stand for."""
    known: dict[int, Any] = {}
    for number in range(bits.low, bits.high + 1):
        try:
            known[number] = plain(number)
        except ValueError:
            continue
    return known


class Packer:
    """Instructions of one class to words and back; its loop levels are declared last."""

    def __init__(self, cls: type) -> None:
        *plain, (self._loops, tuple_type, levels) = bit_fields(cls)
        if not isinstance(levels, Levels):
            raise TypeError(f"{cls.__name__} must declare its loop levels last")
        self._cls, self._count = cls, levels.count
        self._plain = _Plain(cls, plain)
        self._level_type = get_args(tuple_type)[0]
        self._level = _Plain(self._level_type, bit_fields(self._level_type))
        self._places = [f"{cls.__name__}.{self._loops}.{level}" for level in range(levels.count)]
        default = self._level.encode(self._level_type(), self._level_type.__name__)
        self._missing = [default << self._offset(level) for level in range(levels.count)]
        self._nest = lru_cache(maxsize=KNOWN_NESTS)(self._decode_levels)

    def _offset(self, level: int) -> int:
        return self._plain.width + level * self._level.width

    def encode(self, insn: object) -> int:
        """The word of ``insn``; EncodingError names a field out of range.

        A loop tuple shorter than the declared one is completed with default levels.
        """
        levels = getattr(insn, self._loops)
        name, given = self._cls.__name__, len(levels)
        if given > self._count:
            raise EncodingError(f"{name}.{self._loops} has {given} levels, at most {self._count}")
        word = self._plain.encode(insn, name)
        for index, level in enumerate(levels):
            word |= self._level.encode(level, self._places[index]) << self._offset(index)
        for missing in self._missing[given:]:
            word |= missing
        return word

    def decode(self, word: int) -> Any:
        """The instruction in ``word``; EncodingError on set unused bits and unknown values."""
        used = self._offset(self._count)
        if word >> used:
            raise EncodingError(f"{self._cls.__name__}: unused bits from {used} upward are set")
        return self._cls(*self._plain.decode(word), self._nest(word >> self._plain.width))

    def _decode_levels(self, word: int) -> tuple[Any, ...]:
        width = self._level.width
        return tuple(
            self._level_type(*self._level.decode(word >> index * width))
            for index in range(self._count)
        )
