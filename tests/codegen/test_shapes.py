"""Emission by shapes equals encoding and judging each instruction by itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.programs import legal_program
from zebra.codegen.emitter import Emitter
from zebra.codegen.shapes import ADDRESS_FIELDS, Shapes, addresses_of, intervals
from zebra.errors import EncodingError
from zebra.hw import find_config
from zebra.isa.access import accesses
from zebra.isa.codec import decode_program, encode
from zebra.isa.fields import bit_fields
from zebra.isa.insns import INSTRUCTIONS, Fill, FillLevel, Gemm, Load, Memory


def test_instances_equal_the_instructions() -> None:
    for seed in range(60):
        case = legal_program(seed)
        shapes = Shapes(case.config)
        for insn in decode_program(case.program.code):
            word, touched = shapes.of(insn).instance(addresses_of(insn))
            assert word.to_bytes(64, "little") == encode(insn)
            assert touched == [
                (access.memory, start, stop, access.write)
                for access in accesses(insn, case.config)
                for start, stop in intervals(access)
            ]


def test_every_address_field_is_one() -> None:
    assert set(ADDRESS_FIELDS) == set(INSTRUCTIONS)
    for kind, names in ADDRESS_FIELDS.items():
        assert set(names) <= {name for name, _, _ in bit_fields(kind)}


def test_instructions_of_one_shape_share_it() -> None:
    shapes = Shapes(find_config("zebra"))
    one, other = (Fill(sram=at, loops=(FillLevel(4, 1),)) for at in (0, 40))
    assert shapes.of(one) is shapes.of(other)
    assert shapes.of(one) is not shapes.of(replace(one, value=1))


def test_an_equal_key_asks_nothing() -> None:
    shapes = Shapes(find_config("zebra"))
    shape = shapes.like((Fill, "row"), lambda: Fill(loops=(FillLevel(4, 1),)))
    assert shapes.like((Fill, "row"), lambda: pytest.fail("asked again")) is shape
    assert shapes.of(Fill(sram=3, loops=(FillLevel(4, 1),))) is not shapes.of(Fill())
    assert shapes.found == [shape, shapes.of(Fill())]


def test_an_ignored_memory_is_not_touched() -> None:
    shapes = Shapes(find_config("zebra"), frozenset({Memory.DRAM}))
    load = Load(dram=64, sram=3, lanes=16)
    assert [touch[0] for touch in shapes.of(load).instance((64, 3))[1]] == [Memory.ACT]


@pytest.mark.parametrize(
    ("insn", "message"),
    [
        pytest.param(Fill(sram=1 << 20), "Fill.sram = 1048576 does not fit", id="address"),
        pytest.param(Fill(sram=-1), "Fill.sram = -1 does not fit", id="negative"),
        pytest.param(Fill(value=128), "Fill.value = 128 does not fit", id="mode"),
        pytest.param(Gemm(wgt=1 << 20), "Gemm.wgt = 1048576 does not fit", id="second address"),
    ],
)
def test_what_does_not_fit_is_named(insn: Fill | Gemm, message: str) -> None:
    emitter = Emitter(find_config("zebra"), {})
    emitter.issue(Fill())
    with pytest.raises(EncodingError, match=f"instruction 1: {message}"):
        emitter.issue(insn)


def test_code_holds_the_tokens() -> None:
    emitter = Emitter(find_config("zebra"), {})
    emitter.issue(Fill(sram=2))
    emitter.issue(Gemm(act=2))
    fill, gemm = decode_program(emitter.code())
    assert (fill.wait, fill.signal, gemm.wait, gemm.signal) == (0, 2, 1, 0)
