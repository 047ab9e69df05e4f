"""Programs as text: one line per instruction, only what is not the default."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from typing import Any

from zebra.isa.codec import complete, decode_program
from zebra.isa.fields import Levels, bit_fields
from zebra.isa.insns import Insn
from zebra.isa.tokens import named_engines


def _value(value: int) -> str:
    return value.name if isinstance(value, enum.IntEnum) else str(value)


def _changed(item: object) -> Iterator[tuple[str, Any]]:
    """(name, value) of the fields that differ from their default, without loops."""
    default = type(item)()
    for name, _, spec in bit_fields(type(item)):
        value = getattr(item, name)
        if not isinstance(spec, Levels) and value != getattr(default, name):
            yield name, value


def _tokens(insn: Insn) -> str:
    parts = []
    for word, mask in (("wait", insn.wait), ("signal", insn.signal)):
        names = [engine.name for engine in named_engines(mask)]
        if names:
            parts.append(f"{word}:{','.join(names)}")
    return " ".join(parts)


def _loop(level: Any) -> str:
    strides = [f"{name}+{value}" for name, value in _changed(level) if name != "extent"]
    return f"{level.extent}({' '.join(strides)})"


def format_insn(insn: Insn) -> str:
    """One line: name, tokens, changed fields, then the nest, outermost level first.

    A level prints as ``extent(operand+stride ...)``; trailing levels of one
    iteration are left out.
    """
    words = [f"{type(insn).__name__.upper():<6}"]
    words.append(f"{_tokens(insn):<28}")
    for name, value in _changed(insn):
        if name not in ("wait", "signal"):
            words.append(name if value is True else f"{name}={_value(value)}")
    levels = list(complete(insn).levels)
    while levels and levels[-1] == type(levels[-1])():
        levels.pop()
    if levels:
        words.append("for " + " ".join(_loop(level) for level in reversed(levels)))
    return " ".join(words).rstrip()


def disassemble(code: bytes | Iterable[Insn]) -> Iterator[str]:
    """The lines of a program, each with its index; EncodingError where bytes are no instruction."""
    insns = decode_program(code) if isinstance(code, bytes) else code
    for index, insn in enumerate(insns):
        yield f"{index:6}  {format_insn(insn)}"
