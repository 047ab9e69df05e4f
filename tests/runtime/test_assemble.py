"""The native assembler writes what the emitter in Python writes."""

from __future__ import annotations

import pytest
from tests.support.programs import legal_program

from zebra.codegen.emitter import Emitter
from zebra.codegen.shapes import Shapes, addresses_of
from zebra.errors import EncodingError
from zebra.hw import find_config
from zebra.isa.codec import decode_program
from zebra.isa.fields import bit_fields
from zebra.isa.insns import Fill, Gemm, Insn, Memory
from zebra.runtime.assemble import ShapeTable


def assembled(insns: list[Insn], shapes: Shapes) -> bytes:
    found = [shapes.of(insn) for insn in insns]
    table = ShapeTable()
    table.extend(shapes.found)
    at = [address for insn in insns for address in addresses_of(insn)]
    return table.assemble([shape.number for shape in found], at)


@pytest.mark.parametrize("ignored", [(), (Memory.DRAM,)], ids=["all", "without DRAM"])
def test_both_give_the_same_bytes(ignored: tuple[Memory, ...]) -> None:
    signals = 0
    for seed in range(60):
        case = legal_program(seed)
        shapes = Shapes(case.config, frozenset(ignored))
        insns = list(decode_program(case.program.code))
        # Tokens are the emitter's to add.
        bare = [type(insn)(**_fields(insn)) for insn in insns]
        emitter = Emitter(case.config, {}, shapes)
        for insn in bare:
            emitter.issue(insn)
        code = emitter.code()
        assert assembled(bare, shapes) == code, seed
        signals += sum(insn.signal > 0 for insn in decode_program(code))
    assert signals > 100


def _fields(insn: Insn) -> dict[str, object]:
    names = [name for name, _, _ in bit_fields(type(insn))]
    return {name: getattr(insn, name) for name in names if name not in ("wait", "signal")}


def test_a_table_grows() -> None:
    shapes, table = Shapes(find_config("zebra")), ShapeTable()
    shapes.of(Fill())
    table.extend(shapes.found)
    number = shapes.of(Gemm()).number
    table.extend(shapes.found[len(table) :])
    emitter = Emitter(find_config("zebra"), {})
    emitter.issue(Gemm(act=7, wgt=5, acc=3))
    assert table.assemble([number], [7, 5, 3]) == emitter.code()


def test_no_instruction_is_no_code() -> None:
    assert ShapeTable().assemble([], []) == b""


@pytest.mark.parametrize("address", [1 << 20, -1])
def test_an_address_that_does_not_fit_is_named(address: int) -> None:
    message = f"instruction 1: address 1 = {address} does not fit: the field holds 0..1048575"
    with pytest.raises(EncodingError, match=message):
        assembled([Gemm(), Gemm(wgt=address)], Shapes(find_config("zebra")))
