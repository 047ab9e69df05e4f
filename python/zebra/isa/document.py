"""docs/isa.md: the instruction set for people, generated from the declaration."""

from __future__ import annotations

import ast
import enum
from collections.abc import Iterator
from inspect import getdoc, getsource

from zebra.isa import insns
from zebra.isa.check import RULES
from zebra.isa.fields import WORD_BYTES, Bits, Levels, bit_fields, layout
from zebra.isa.header import ENUMS
from zebra.isa.insns import INSTRUCTIONS, OPCODE_BITS, Insn

PREAMBLE = f"""\
<!-- Generated from zebra/isa/insns.py by tools/generate.py. Do not edit. -->

# Instruction set

An instruction is {WORD_BYTES} bytes, little endian. Bits 0..{OPCODE_BITS - 1} are the opcode, the
fields follow without gaps from bit {OPCODE_BITS} upward, unused bits are zero. A
biased field holds its value minus the bias; a signed one is two's complement.
What a program means, and in what order rules are checked, is in
[architecture.md](architecture.md).
"""


def _member_docs(kind: type[enum.IntEnum]) -> dict[str, str]:
    """The string under each member of an enum, which Python itself does not keep."""
    body = ast.parse(getsource(kind)).body[0]
    assert isinstance(body, ast.ClassDef)
    found: dict[str, str] = {}
    for before, after in zip(body.body, body.body[1:], strict=False):
        if isinstance(before, ast.Assign) and isinstance(after, ast.Expr):
            name, text = before.targets[0], after.value
            if isinstance(name, ast.Name) and isinstance(text, ast.Constant):
                found[name.id] = str(text.value)
    return found


def _enum_lines(kind: type[enum.IntEnum]) -> Iterator[str]:
    docs = _member_docs(kind)
    yield f"## {kind.__name__}"
    yield ""
    yield getdoc(kind) or ""
    yield ""
    yield "| value | name | meaning |" if docs else "| value | name |"
    yield "|---|---|---|" if docs else "|---|---|"
    for member in kind:
        meaning = f" {docs[member.name]} |" if docs else ""
        yield f"| {member.value} | {member.name} |{meaning}"
    yield ""


def _bits(offset: int, bits: Bits) -> str:
    low = OPCODE_BITS + offset
    high = low + bits.width - 1
    return f"{low}" if low == high else f"{low}..{high}"


def _field_lines(cls: type[Insn]) -> Iterator[str]:
    offsets = {slot.path: slot.offset for slot in layout(cls)}
    yield "| bits | field | holds | meaning |"
    yield "|---|---|---|---|"
    yield f"| 0..{OPCODE_BITS - 1} | opcode | {cls.OPCODE} | {cls.__name__.upper()} |"
    for name, plain, spec in bit_fields(cls):
        if isinstance(spec, Bits):
            place = _bits(offsets[(name,)], spec)
            high = len(plain) - 1 if issubclass(plain, enum.IntEnum) else spec.high
            yield f"| {place} | {name} | {spec.low}..{high} | {spec.doc} |"
            continue
        for slot in (slot for slot in layout(cls) if slot.path[0] == name):
            bits = slot.bits
            place = _bits(slot.offset, bits)
            text = f"{name}[{slot.path[1]}].{slot.path[2]}"
            yield f"| {place} | {text} | {bits.low}..{bits.high} | {bits.doc} |"
    yield ""


def _insn_lines(cls: type[Insn]) -> Iterator[str]:
    slots = layout(cls)
    used = OPCODE_BITS + slots[-1].offset + slots[-1].bits.width
    levels = next(spec.count for _, _, spec in bit_fields(cls) if isinstance(spec, Levels))
    yield f"## {cls.__name__.upper()}"
    yield ""
    yield getdoc(cls) or ""
    yield ""
    yield (
        f"Engine {cls.ENGINE.name}; {levels} loop levels; {used} of {8 * WORD_BYTES} bits used. "
        "Fields:"
    )
    yield ""
    yield from _field_lines(cls)


def _rule_lines() -> Iterator[str]:
    yield "## Static rules"
    yield ""
    yield "An instruction that breaks one is an `OperandError` (zebra/isa/check.py):"
    yield ""
    for _, rule in RULES:
        yield "- " + " ".join((getdoc(rule) or "").split())
    yield ""


def document() -> str:
    """The text of docs/isa.md."""
    lines = [PREAMBLE, *(getdoc(insns) or "").splitlines()[2:], ""]
    lines += [f"## Header\n\n{getdoc(Insn)}\n"]
    for cls in INSTRUCTIONS:
        lines += _insn_lines(cls)
    for kind in ENUMS:
        lines += _enum_lines(kind)
    lines += _rule_lines()
    return "\n".join(lines).rstrip() + "\n"
