"""The disassembler's lines."""

from __future__ import annotations

import pytest

from zebra.errors import EncodingError
from zebra.isa.asm import disassemble
from zebra.isa.codec import encode, encode_program
from zebra.isa.insns import (
    Accum,
    AccumOp,
    DmaLevel,
    Fill,
    Gemm,
    GemmLevel,
    Insn,
    Load,
    Memory,
    Post,
    PostLevel,
    PostOp,
    Store,
)

LINES: list[tuple[Insn, str]] = [
    (
        Load(0, 0b0110, Memory.WGT, dram=4096, lanes=16, loops=(DmaLevel(8, 256, 1),)),
        "LOAD   signal:GEMM,VEC              memory=WGT dram=4096 lanes=16 for 8(dram+256 sram+1)",
    ),
    (Store(1, 0, 64, 3), "STORE  wait:LOAD                    dram=64 sram=3"),
    (Fill(value=-3), "FILL                                value=-3"),
    (
        Gemm(1, 4, True, 3, loops=(GemmLevel(8, 1, 0, 1), GemmLevel(), GemmLevel(2, wgt=9))),
        "GEMM   wait:LOAD signal:VEC         overwrite act=3 for 2(wgt+9) 1() 8(act+1 acc+1)",
    ),
    (Accum(op=AccumOp.MAX), "ACCUM                               op=MAX"),
    (
        Post(op=PostOp.ADD, a_memory=Memory.ACT, lookup=True, low=0, loops=(PostLevel(5, 1, 1),)),
        "POST                                op=ADD lookup a_memory=ACT low=0 for 5(dst+1 a+1)",
    ),
    (Gemm(), "GEMM"),
]


@pytest.mark.parametrize(("insn", "line"), LINES, ids=[line.split(" ")[0] for _, line in LINES])
def test_one_line_per_instruction(insn: Insn, line: str) -> None:
    assert list(disassemble(encode(insn))) == [f"     0  {line}"]


def test_lines_are_numbered() -> None:
    lines = list(disassemble(encode_program([Gemm()] * 12)))
    assert [line.split() for line in lines] == [[str(i), "GEMM"] for i in range(12)]


def test_bytes_that_are_no_instruction_are_named() -> None:
    with pytest.raises(EncodingError, match="instruction 1: opcode 0 is not an instruction"):
        list(disassemble(encode(Gemm()) + bytes(64)))
