"""Instructions to bytes and back, for every instruction and every value of every field."""

from __future__ import annotations

import enum
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zebra.errors import EncodingError
from zebra.isa.codec import complete, decode, decode_program, encode, encode_program
from zebra.isa.fields import WORD_BYTES, Bits, bit_fields, layout
from zebra.isa.insns import INSTRUCTIONS, Accum, DmaLevel, Fill, Gemm, Insn, Load, Memory, Post

NAMES = [cls.__name__ for cls in INSTRUCTIONS]


def values(plain: Any, bits: Bits) -> st.SearchStrategy[Any]:
    """Every legal value of one field, the extremes often."""
    if plain is bool:
        return st.booleans()
    if issubclass(plain, enum.IntEnum):
        return st.sampled_from(plain)
    return st.one_of(st.sampled_from((bits.low, bits.high)), st.integers(bits.low, bits.high))


def objects(cls: type[Any]) -> st.SearchStrategy[Any]:
    """Every legal instruction (or loop level) of one class."""
    fields = {}
    for name, plain, spec in bit_fields(cls):
        if isinstance(spec, Bits):
            fields[name] = values(plain, spec)
        else:
            level = objects(get_args(plain)[0])
            fields[name] = st.lists(level, max_size=spec.count).map(tuple)
    return st.builds(cls, **fields)


def extreme(cls: type[Any], side: str) -> Any:
    """The object with every field at its lowest or highest value."""
    fields: dict[str, Any] = {}
    for name, plain, spec in bit_fields(cls):
        if not isinstance(spec, Bits):
            fields[name] = (extreme(get_args(plain)[0], side),) * spec.count
        elif issubclass(plain, enum.IntEnum):
            fields[name] = (min if side == "low" else max)(plain)
        else:
            fields[name] = plain(getattr(spec, side))
    return cls(**fields)


@given(st.one_of([objects(cls) for cls in INSTRUCTIONS]))
def test_round_trip(insn: Insn) -> None:
    data = encode(insn)
    assert len(data) == WORD_BYTES
    assert decode(data) == complete(insn)
    assert encode(decode(data)) == data


@pytest.mark.parametrize("side", ["low", "high"])
@pytest.mark.parametrize("cls", INSTRUCTIONS, ids=NAMES)
def test_extremes(cls: type[Insn], side: str) -> None:
    insn = extreme(cls, side)
    assert decode(encode(insn)) == insn


@given(st.binary(min_size=WORD_BYTES, max_size=WORD_BYTES))
def test_any_bytes_are_refused_or_canonical(data: bytes) -> None:
    try:
        insn = decode(data)
    except EncodingError:
        return
    assert encode(insn) == data


@pytest.mark.parametrize("cls", INSTRUCTIONS, ids=NAMES)
def test_fields_neither_overlap_nor_leave_gaps(cls: type[Insn]) -> None:
    end = 0
    for slot in layout(cls):
        assert slot.offset == end, slot.name
        end += slot.bits.width
    assert end + 4 <= 8 * WORD_BYTES


def test_a_word_by_hand() -> None:
    word = int.from_bytes(encode(Fill(wait=0b0110, signal=0b1000, sram=5, value=-1)), "little")
    assert word == 3 | 0b0110 << 4 | 0b1000 << 8 | 5 << 12 | 0xFF << 32


REFUSED = [
    (Load(sram=1 << 20), "Load.sram = 1048576 does not fit: the field holds 0..1048575"),
    (Load(lanes=0), "Load.lanes = 0 does not fit: the field holds 1..128"),
    (Fill(value=128), "Fill.value = 128 does not fit: the field holds -128..127"),
    (Post(offset=-513), "Post.offset = -513 does not fit: the field holds -512..511"),
    (
        Load(loops=(DmaLevel(), DmaLevel(extent=65537))),
        "Load.loops.1.extent = 65537 does not fit: the field holds 1..65536",
    ),
    (Load(loops=(DmaLevel(),) * 5), "Load.loops has 5 levels, at most 4"),
]


@pytest.mark.parametrize(
    ("insn", "message"), REFUSED, ids=[text.split(" ")[0] for _, text in REFUSED]
)
def test_encode_names_the_field(insn: Insn, message: str) -> None:
    with pytest.raises(EncodingError) as caught:
        encode_program([Gemm(), insn])
    assert str(caught.value) == f"instruction 1: {message}"


def with_bits(insn: Insn, offset: int, value: int) -> bytes:
    word = int.from_bytes(encode(insn), "little") | value << offset
    return word.to_bytes(WORD_BYTES, "little")


BAD_WORDS = {
    "opcode 0": (bytes(WORD_BYTES), "opcode 0 is not an instruction"),
    "opcode 15": (with_bits(Load(), 0, 15), "opcode 15 is not an instruction"),
    "unused bit": (with_bits(Fill(), 511, 1), "Fill: unused bits from"),
    "memory 7": (with_bits(Load(memory=Memory.DRAM), 12, 7), "Load.memory = 7 is not a Memory"),
    "op 3": (with_bits(Accum(), 12, 3), "Accum.op = 3 is not a AccumOp"),
}


@pytest.mark.parametrize("name", BAD_WORDS)
def test_decode_says_what_is_no_instruction(name: str) -> None:
    word, message = BAD_WORDS[name]
    with pytest.raises(EncodingError, match=f"instruction 1: {message}"):
        list(decode_program(encode(Gemm()) + word))


def test_code_must_be_whole_instructions() -> None:
    with pytest.raises(EncodingError, match="code of 65 bytes is not a whole number of 64-byte"):
        list(decode_program(bytes(65)))
    with pytest.raises(EncodingError, match="an instruction has 64 bytes, got 63"):
        decode(bytes(63))
