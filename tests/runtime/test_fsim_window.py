"""Instructions in flight at the same time leave what program order leaves, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from tests.runtime.outcomes import golden, simulated
from tests.support.programs import Case

from zebra.errors import AddressError, OperandError, ZebraError
from zebra.hw import find_config
from zebra.isa.codec import encode_program
from zebra.isa.insns import (
    DmaLevel,
    Fill,
    FillLevel,
    Gemm,
    GemmLevel,
    Insn,
    Load,
    Memory,
    Post,
    PostLevel,
    Store,
)
from zebra.isa.program import Program, Span
from zebra.isa.semantics import Counters

THREADS = (1, 2, 5)
CONFIG = find_config("zebra")
BLOCK = CONFIG.block
VECTORS, TILES = 160, 36  # of one round's GEMM: it takes longer than the next ones' checks
SIZES = {
    Memory.ACT: VECTORS * BLOCK,
    Memory.WGT: TILES * BLOCK * BLOCK,
    Memory.PAR: 3 * 4 * BLOCK,
    Memory.TAB: 256,
}
ROUND_BYTES = sum(SIZES.values())
OUT_BYTES = (VECTORS - TILES + 1) * BLOCK
ROUNDS = 40  # of nine instructions each: many more than are in flight


def round_data(rng: np.random.Generator) -> bytes:
    """Activations, weights, parameters of one SCALE and a table, as ``round_insns`` loads them."""
    par = np.array([[0] * BLOCK, [3] * BLOCK, [14] * BLOCK], np.int32)
    par[0] = rng.integers(-(1 << 19), 1 << 19, BLOCK)
    parts = (rng.bytes(SIZES[Memory.ACT]), rng.bytes(SIZES[Memory.WGT]), par.tobytes())
    return b"".join((*parts, rng.bytes(256)))


def whole(memory: Memory, dram: int, sram: int) -> Load:
    """One round's part of ``memory``."""
    lengths = {Memory.ACT: BLOCK, Memory.WGT: BLOCK**2, Memory.PAR: 4 * BLOCK, Memory.TAB: 256}
    length = lengths[memory]
    loops = (DmaLevel(SIZES[memory] // length, length, 1),)
    return Load(memory=memory, dram=dram, sram=sram, lanes=BLOCK, loops=loops)


def round_insns(number: int, out: int, shared: Memory) -> list[Insn]:
    """Load everything, multiply, requantize, store; the result is loaded and stored once more.

    Neighbouring rounds use different addresses, but of ``shared`` they use the same.
    """
    slot = {memory: 0 if memory is shared else number % 4 for memory in Memory}
    pixels = VECTORS - TILES + 1
    dram, insns = number * ROUND_BYTES, list[Insn]()
    act, acc, par = slot[Memory.ACT] * 3 * VECTORS, slot[Memory.ACC] * VECTORS, slot[Memory.PAR] * 3
    starts = {Memory.ACT: act, Memory.WGT: slot[Memory.WGT] * TILES, Memory.PAR: par}
    for memory in SIZES:
        insns.append(whole(memory, dram, starts.get(memory, slot[Memory.TAB])))
        dram += SIZES[memory]
    gemm = (GemmLevel(pixels, 1, 0, 1), GemmLevel(TILES, 1, 1, 0))
    result, copied = (DmaLevel(pixels, BLOCK, 1),), act + 2 * VECTORS
    place = out + (0 if shared is Memory.DRAM else number * OUT_BYTES)
    return [
        *insns,
        Gemm(overwrite=True, act=act, wgt=starts[Memory.WGT], acc=acc, loops=gemm),
        Post(
            lookup=True,
            table=slot[Memory.TAB],
            dst=act + VECTORS,
            a=acc,
            par=par,
            loops=(PostLevel(pixels, 1, 1),),
        ),
        Store(dram=place, sram=act + VECTORS, lanes=BLOCK, loops=result),
        Load(dram=place, sram=copied, lanes=BLOCK, loops=result),
        Store(dram=out + (ROUNDS + number) * OUT_BYTES, sram=copied, lanes=BLOCK, loops=result),
    ]


def case_of(insns: list[Insn], data: bytes, out: int) -> Case:
    """``insns`` over the constants ``data``, with ``out`` bytes behind them, none of them due."""
    program = Program(encode_program(insns), len(data) + out, len(data), (), ())
    return Case(0, program, CONFIG, data + bytes(out), data)


def outcomes(case: Case) -> list[tuple[type[ZebraError] | Counters, bytes]]:
    """On one and on several threads, several times: what is in flight together differs."""
    return [simulated(case, threads=threads) for threads in THREADS for _ in range(3)]


@pytest.mark.parametrize("shared", Memory, ids=lambda memory: memory.name)
def test_instructions_wait_for_those_they_conflict_with(shared: Memory) -> None:
    rng = np.random.default_rng(1)
    data = b"".join(round_data(rng) for _ in range(ROUNDS))
    insns = [insn for number in range(ROUNDS) for insn in round_insns(number, len(data), shared)]
    case = case_of(insns, data, 2 * ROUNDS * OUT_BYTES)
    expected = golden(case)
    assert isinstance(expected[0], Counters)
    assert all(outcome == expected for outcome in outcomes(case))


def test_a_refusal_finds_everything_before_it_done_and_nothing_behind_it() -> None:
    data = round_data(np.random.default_rng(2))
    out = (2 * ROUNDS + 1) * OUT_BYTES
    beyond = Store(dram=len(data) + out, lanes=1)
    late = Store(dram=len(data), sram=0, lanes=1, loops=(DmaLevel(VECTORS, 1, 1),))
    case = case_of([*round_insns(0, len(data), Memory.ACT), beyond, late], data, out)
    expected = golden(case)
    assert expected[0] is AddressError
    assert any(expected[1][len(data) :])
    assert all(outcome == expected for outcome in outcomes(case))


@pytest.mark.parametrize(("shift", "refused"), [(9, False), (63, True)])
def test_parameters_are_judged_once_they_are_loaded(shift: int, refused: bool) -> None:
    data = round_data(np.random.default_rng(3))
    par = np.array([[5] * BLOCK, [3] * BLOCK, [shift] * BLOCK], np.int32).tobytes()
    insns = [
        *round_insns(0, len(data) + len(par), Memory.ACT),
        # PAR is still being read by the round's POST; only then may these come.
        Load(memory=Memory.PAR, dram=len(data), lanes=BLOCK, loops=(DmaLevel(3, 4 * BLOCK, 1),)),
        Post(dst=0, a=0, loops=(PostLevel(8, 1, 1),)),
        Store(dram=len(data) + len(par), lanes=BLOCK, loops=(DmaLevel(8, BLOCK, 1),)),
    ]
    case = case_of(insns, data + par, (2 * ROUNDS + 1) * OUT_BYTES)
    expected = golden(case)
    assert (expected[0] is OperandError) == refused
    assert all(outcome == expected for outcome in outcomes(case))


def test_many_small_instructions_keep_their_order() -> None:
    """FILLs of overlapping parts of ACT, ten times as many as are in flight."""
    rng = np.random.default_rng(4)
    insns: list[Insn] = [
        Fill(
            value=int(rng.integers(-128, 128)),
            sram=int(rng.integers(0, 200)),
            loops=(FillLevel(int(rng.integers(1, 56)), 1),),
        )
        for _ in range(640)
    ]
    insns.insert(0, Fill(loops=(FillLevel(256, 1),)))
    insns.append(Store(lanes=BLOCK, loops=(DmaLevel(256, BLOCK, 1),)))
    program = Program(encode_program(insns), 256 * BLOCK, 0, (), (Span(0, 256 * BLOCK),))
    case = Case(0, program, CONFIG, bytes(256 * BLOCK), b"")
    expected = golden(case)
    assert isinstance(expected[0], Counters)
    assert all(outcome == expected for outcome in outcomes(case))
