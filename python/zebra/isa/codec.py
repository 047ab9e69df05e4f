"""Instructions to bytes and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import cast, get_args

from zebra.errors import EncodingError
from zebra.isa.fields import WORD_BYTES, Levels, bit_fields, layout
from zebra.isa.insns import INSTRUCTIONS, OPCODE_BITS, Insn
from zebra.isa.packing import Packer

_PACKERS = {cls.OPCODE: Packer(cls) for cls in INSTRUCTIONS}
_WAIT, _SIGNAL = (slot.offset for slot in layout(Insn))


def complete(insn: Insn) -> Insn:
    """The same instruction with its loop tuple filled up with extent-1 levels."""
    for name, plain, spec in bit_fields(type(insn)):
        if isinstance(spec, Levels):
            levels = getattr(insn, name)
            if len(levels) > spec.count:
                raise EncodingError(
                    f"{type(insn).__name__}.{name} has {len(levels)} levels, at most {spec.count}"
                )
            missing = (get_args(plain)[0](),) * (spec.count - len(levels))
            return replace(insn, **{name: levels + missing}) if missing else insn
    return insn


def encode(insn: Insn) -> bytes:
    """The WORD_BYTES bytes of one instruction: opcode in bits 0..3, then the fields in order.

    A loop tuple shorter than the instruction's is completed with extent-1
    levels. Raises EncodingError where a value does not fit.
    """
    word = _PACKERS[insn.OPCODE].encode(insn) << OPCODE_BITS | insn.OPCODE
    return word.to_bytes(WORD_BYTES, "little")


def token_bits(wait: int, signal: int) -> int:
    """The bits of a word that hold these token masks."""
    return (wait << _WAIT | signal << _SIGNAL) << OPCODE_BITS


def decode(data: bytes) -> Insn:
    """The instruction in WORD_BYTES bytes; EncodingError says what is not an instruction."""
    if len(data) != WORD_BYTES:
        raise EncodingError(f"an instruction has {WORD_BYTES} bytes, got {len(data)}")
    word = int.from_bytes(data, "little")
    opcode = word & ((1 << OPCODE_BITS) - 1)
    packer = _PACKERS.get(opcode)
    if packer is None:
        raise EncodingError(f"opcode {opcode} is not an instruction")
    return cast(Insn, packer.decode(word >> OPCODE_BITS))


def encode_program(insns: Iterable[Insn]) -> bytes:
    """Concatenated encodings; the error names the instruction's index."""
    parts: list[bytes] = []
    for index, insn in enumerate(insns):
        try:
            parts.append(encode(insn))
        except EncodingError as error:
            raise EncodingError(f"instruction {index}: {error}") from None
    return b"".join(parts)


def decode_program(code: bytes) -> Iterator[Insn]:
    """The instructions of a program's code; the error names the instruction's index."""
    if len(code) % WORD_BYTES:
        raise EncodingError(
            f"code of {len(code)} bytes is not a whole number of {WORD_BYTES}-byte instructions"
        )
    for index in range(len(code) // WORD_BYTES):
        try:
            yield decode(code[index * WORD_BYTES : (index + 1) * WORD_BYTES])
        except EncodingError as error:
            raise EncodingError(f"instruction {index}: {error}") from None
