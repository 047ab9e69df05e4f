"""The cycle model over whole programs: hand-computed times, and laws that every program keeps."""

from __future__ import annotations

import re

import numpy as np
import pytest
from tests.support.graphs import random_config, random_graph
from tests.support.programs import legal_program
from tests.support.timing import config, gemm, load, spans, time

from zebra.codegen import compile_graph
from zebra.errors import EncodingError, OperandError, TokenError
from zebra.isa.codec import encode_program
from zebra.isa.insns import (
    Accum,
    AccumOp,
    DmaLevel,
    Engine,
    Fill,
    FillLevel,
    Gemm,
    Insn,
    Load,
    Store,
)
from zebra.isa.program import Program
from zebra.runtime.cycle import CycleReport, Spent, simulate

LOAD, GEMM, VEC, STORE = (1 << engine for engine in Engine)
LATENCY = 10
FETCHED = 10 + 8 + 1
"""First instruction: latency, 64 bytes at 8 per cycle, one cycle to decode."""
TOKEN, LANDING, GEMM_PIPELINE, VEC_PIPELINE = 2, 4, 8 + 2, 12


def store(vectors: int, **fields: int) -> Store:
    """A STORE of one run of ``vectors`` times 4 bytes."""
    return Store(lanes=4, loops=(DmaLevel(vectors, 4, 1),), **fields)


def test_an_empty_program_takes_no_time() -> None:
    report = time([])
    assert (report.cycles, report.instruction_bytes, report.timeline) == (0, 0, ())


def test_one_fill() -> None:
    report = time([Fill(loops=(FillLevel(8, 1),))])
    assert spans(report) == [(FETCHED, FETCHED + 2 + LANDING)]
    assert report.cycles == FETCHED + 2 + LANDING
    assert report.instruction_bytes == 64
    assert report.spent[Engine.LOAD][Spent.FETCH] == FETCHED
    assert report.spent[Engine.LOAD][Spent.FINISHED] == LANDING
    assert report.spent[Engine.STORE][Spent.FINISHED] == report.cycles


def test_loads_pay_the_latency_once() -> None:
    data = FETCHED + LATENCY
    report = time([load(32), load(32)])
    assert spans(report) == [(data, data + 16 + LANDING), (data + 16, data + 32 + LANDING)]
    assert report.spent[Engine.LOAD][Spent.DRAM_LATENCY] == LATENCY
    assert report.spent[Engine.LOAD][Spent.BUSY] == 32


def test_eight_loads_are_in_flight() -> None:
    report = time([load(1) for _ in range(9)], config(DRAM_BYTES_PER_CYCLE=64, DRAM_LATENCY=1000))
    first = 1000 + 1 + 1 + 1000
    starts = [start for start, _ in spans(report)]
    assert starts[:8] == [first + k for k in range(8)]
    assert starts[8] == first + 1 + 1000


def test_a_token_is_seen_two_cycles_after_its_giver_is_done() -> None:
    report = time([load(32, signal=GEMM), gemm(5, wait=LOAD)])
    done = FETCHED + LATENCY + 16 + LANDING
    assert spans(report)[1] == (done + TOKEN, done + TOKEN + 5 + GEMM_PIPELINE)
    spent = report.spent[Engine.GEMM]
    assert spent[Spent.FETCH] == FETCHED + 8
    assert spent[Spent.WAIT_LOAD] == done + TOKEN - (FETCHED + 8)


def test_a_wait_is_charged_to_the_last_token() -> None:
    report = time(
        [
            Fill(signal=VEC),
            gemm(100, signal=VEC),
            Accum(wait=LOAD | GEMM, op=AccumOp.SUM),
        ]
    )
    spent = report.spent[Engine.VEC]
    gemm_end = FETCHED + 8 + 100 + GEMM_PIPELINE
    assert report.timeline[2].start == gemm_end + TOKEN
    assert (spent[Spent.WAIT_LOAD], spent[Spent.WAIT_GEMM]) == (0, gemm_end + TOKEN - FETCHED - 16)


def test_a_store_frees_act_with_its_last_byte_and_dram_when_acknowledged() -> None:
    report = time([store(32, signal=VEC | LOAD), Accum(wait=STORE), load(1, wait=STORE)])
    # Data from cycle 23 on; the second fetch shares the bus from there until 29, the third
    # until 45. The store has 64 bits a cycle alone, 32 shared: 88 bytes by 45, 128 by 50.
    assert spans(report)[0] == (FETCHED + LANDING, 50 + LATENCY)
    assert report.timeline[1].start == 50 + TOKEN
    assert report.timeline[2].start == 50 + LATENCY + TOKEN + LATENCY
    spent = report.spent[Engine.STORE]
    assert (spent[Spent.BUSY], spent[Spent.DRAM_BANDWIDTH], spent[Spent.PIPELINE]) == (16, 11, 4)


def test_load_and_store_share_the_bus() -> None:
    alone = 64 * 100 // 8
    report = time([load(1600), store(1600)])
    (first, first_end), (second, second_end) = spans(report)
    assert report.cycles == second_end
    assert first_end - LANDING - first == 2 * alone - (second - first)
    assert report.spent[Engine.LOAD][Spent.BUSY] == alone
    assert report.spent[Engine.STORE][Spent.BUSY] == alone
    assert report.cycles - LATENCY - FETCHED >= 2 * alone


def test_the_buffer_holds_sixteen_instructions() -> None:
    report = time([Fill() for _ in range(17)], config(DRAM_BYTES_PER_CYCLE=64, DRAM_LATENCY=100))
    starts = [start for start, _ in spans(report)]
    assert starts[:16] == [102 + k for k in range(16)]
    assert starts[16] == 101 + 100 + 1 + 1  # asked for when the first one was decoded


@pytest.mark.parametrize(("gemms", "behind"), [(16, False), (17, True)])
def test_a_full_queue_holds_up_the_instructions_behind(gemms: int, behind: bool) -> None:
    insns: list[Insn] = [load(1600, signal=GEMM), gemm(1, wait=LOAD)]
    insns += [gemm(1) for _ in range(gemms - 1)] + [Accum(op=AccumOp.SUM)]
    report = time(insns)
    first_gemm, accum = report.timeline[1].start, report.timeline[-1].start
    if behind:
        assert accum == first_gemm + 2
        assert report.spent[Engine.VEC][Spent.QUEUES] > 0
    else:
        assert accum < first_gemm
        assert report.spent[Engine.VEC][Spent.QUEUES] == 0


def check_laws(report: CycleReport, instructions: int) -> None:
    """What holds for every program."""
    hw = report.config
    for engine, spent in report.spent.items():
        assert sum(spent.values()) == report.cycles, engine
    moved = report.read.moved + report.written.moved + report.instruction_bytes
    assert report.cycles * hw["DRAM_BYTES_PER_CYCLE"] >= moved
    assert report.cycles >= report.spent[Engine.GEMM][Spent.BUSY]
    assert report.instruction_bytes >= 64 * instructions
    last = dict.fromkeys(Engine, 0)
    for entry in report.timeline:
        assert last[entry.engine] <= entry.start <= entry.end <= report.cycles
        last[entry.engine] = entry.start


@pytest.mark.parametrize("seed", range(150))
def test_every_legal_program_ends(seed: int) -> None:
    case = legal_program(seed)
    report = simulate(case.program, case.config, timeline=True)
    check_laws(report, len(case.program.code) // 64)
    assert simulate(case.program, case.config, timeline=True) == report


@pytest.mark.parametrize("seed", range(12))
def test_compiled_layers_account_for_everything(seed: int) -> None:
    hw = random_config(np.random.default_rng(seed))
    compiled = compile_graph(random_graph(seed), hw)
    report = simulate(compiled, hw, timeline=True)
    check_laws(report, len(compiled.program.code) // 64)
    assert [layer.span for layer in report.layers] == list(compiled.layers)
    for engine in Engine:
        for kind in set(Spent) - {Spent.FINISHED}:
            parts = sum(layer.spent[engine][kind] for layer in report.layers)
            assert parts == report.spent[engine][kind]
    assert sum(sum(layer.macs.values()) for layer in report.layers) == report.macs
    assert sum(layer.read.moved for layer in report.layers) == report.read.moved
    assert max(layer.end for layer in report.layers) == report.cycles


@pytest.mark.parametrize("key", ["DRAM_BYTES_PER_CYCLE", "DRAM_LATENCY"])
def test_a_better_memory_is_not_slower(key: str) -> None:
    insns: list[Insn] = []
    for k in range(20):
        insns += [
            load(64, signal=GEMM, wait=GEMM if k > 1 else 0),
            gemm(40, wait=LOAD, signal=LOAD if k < 18 else 0),
            store(32),
        ]
    worse, better = (8, 32) if key == "DRAM_BYTES_PER_CYCLE" else (200, 20)
    slow, fast = (time(insns, config(**{key: value})).cycles for value in (worse, better))
    assert fast < slow


def test_utilization_counts_the_networks_own_macs() -> None:
    report = time([gemm(100)])
    assert report.macs == 400 * 4 * 4
    assert report.utilization(report.macs) == pytest.approx(100 / report.cycles)
    assert report.seconds == report.cycles / 100e6


@pytest.mark.parametrize(
    ("code", "error", "text"),
    [
        pytest.param(b"\x0f" + bytes(63), EncodingError, "opcode 15 is not", id="opcode"),
        pytest.param(bytes(65), EncodingError, "not a whole number of 64-byte", id="length"),
        pytest.param(
            encode_program([Fill(wait=LOAD)]), OperandError, "names its own engine LOAD", id="own"
        ),
        pytest.param(
            encode_program([Load(lanes=5)]), OperandError, "is more than BLOCK = 4", id="lanes"
        ),
        pytest.param(
            encode_program([Gemm(wait=LOAD)]), TokenError, "waits for a token from LOAD", id="wait"
        ),
        pytest.param(
            encode_program([Gemm(signal=VEC)]), TokenError, "ends with 1 token", id="left"
        ),
        pytest.param(
            encode_program([Fill(), Gemm(wait=VEC, signal=VEC), Accum(wait=GEMM, signal=GEMM)]),
            TokenError,
            "instruction 1 (GEMM)",
            id="deadlock",
        ),
    ],
)
def test_what_no_circuit_could_run_is_refused(
    code: bytes, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=re.escape(text)):
        simulate(Program(code, 1 << 20), config())
