"""How an instruction is declared: bit fields as annotations of a frozen dataclass.

One declaration gives encoder, decoder, range checks, disassembler, C++ header
and docs/isa.md. Fields are packed from bit 0 upward in the order declared,
behind a common header; every instruction is WORD_BYTES long, little endian,
and unused bits are zero.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, Any, ClassVar, get_args, get_origin, get_type_hints

WORD_BYTES = 64
WORD_BITS = 8 * WORD_BYTES


@dataclass(frozen=True, slots=True)
class Bits:
    """One unsigned (or two's complement) field; ``bias`` is subtracted before encoding."""

    width: int
    doc: str
    signed: bool = False
    bias: int = 0

    @property
    def low(self) -> int:
        """Smallest legal value."""
        return (-(1 << (self.width - 1)) if self.signed else 0) + self.bias

    @property
    def high(self) -> int:
        """Largest legal value."""
        return (1 << (self.width - int(self.signed))) - 1 + self.bias


@dataclass(frozen=True, slots=True)
class Levels:
    """A tuple of ``count`` loop levels, level 0 (innermost) first; each an own dataclass."""

    count: int
    doc: str


@dataclass(frozen=True, slots=True)
class Slot:
    """A field at its place in the word. ``path`` is (name,) or (name, level, name)."""

    path: tuple[str | int, ...]
    offset: int
    bits: Bits

    @property
    def name(self) -> str:
        """Dotted name, as errors and the disassembler print it."""
        return ".".join(str(part) for part in self.path)


_FIELDS: dict[type, tuple[tuple[str, Any, Bits | Levels], ...]] = {}
_LAYOUTS: dict[type, tuple[Slot, ...]] = {}


def bit_fields(cls: type) -> tuple[tuple[str, Any, Bits | Levels], ...]:
    """(name, plain type, Bits or Levels) of every declared field, in order."""
    if cls not in _FIELDS:
        _FIELDS[cls] = _read_annotations(cls)
    return _FIELDS[cls]


def _read_annotations(cls: type) -> tuple[tuple[str, Any, Bits | Levels], ...]:
    hints = get_type_hints(cls, include_extras=True)
    found: list[tuple[str, Any, Bits | Levels]] = []
    for field in fields(cls):
        hint = hints[field.name]
        if get_origin(hint) is not Annotated:
            raise TypeError(f"{cls.__name__}.{field.name} has no bit annotation")
        plain, spec = get_args(hint)[:2]
        found.append((field.name, plain, spec))
    return tuple(found)


def layout(cls: type) -> tuple[Slot, ...]:
    """Every field of an instruction with its bit offset, levels flattened."""
    if cls not in _LAYOUTS:
        _LAYOUTS[cls] = _place_fields(cls)
    return _LAYOUTS[cls]


def _place_fields(cls: type) -> tuple[Slot, ...]:
    slots: list[Slot] = []
    offset = 0
    for name, plain, spec in bit_fields(cls):
        if isinstance(spec, Bits):
            slots.append(Slot((name,), offset, spec))
            offset += spec.width
            continue
        level_type = get_args(plain)[0]
        for level in range(spec.count):
            for inner, _, bits in bit_fields(level_type):
                assert isinstance(bits, Bits)
                slots.append(Slot((name, level, inner), offset, bits))
                offset += bits.width
    if offset > WORD_BITS:
        raise TypeError(f"{cls.__name__} needs {offset} bits, more than {WORD_BITS}")
    return tuple(slots)


class Word:
    """Base of instruction classes: registers opcodes and completes short level tuples."""

    OPCODE: ClassVar[int]
    REGISTRY: ClassVar[dict[int, type[Word]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "OPCODE" in cls.__dict__:
            Word.REGISTRY[cls.OPCODE] = cls
