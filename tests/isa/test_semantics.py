"""The golden model against hand-computed cases and against a second, scalar model."""

from __future__ import annotations

import numpy as np
import pytest
from tests.support.one_by_one import OneByOne
from tests.support.programs import legal_program, small_config

from zebra.errors import InputError
from zebra.isa.codec import complete, encode_program
from zebra.isa.insns import (
    Accum,
    AccumLevel,
    AccumOp,
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
    PostOp,
    Store,
)
from zebra.isa.operations import Machine, run
from zebra.isa.program import Program, Span
from zebra.isa.semantics import execute

CONFIG = small_config(2, 0, 0, 16)
BLOCK = CONFIG.block


@pytest.fixture
def machine() -> Machine:
    """A machine of BLOCK = 4 with DRAM bytes 0, 1, 2, ..."""
    return Machine(CONFIG, np.arange(256, dtype=np.uint8))


def do(machine: Machine, insn: Insn) -> None:
    run("instruction 0", complete(insn), machine)


def test_load_act_clears_other_lanes(machine: Machine) -> None:
    machine.act[:] = 9
    loops = (DmaLevel(2, dram=10, sram=1),)
    do(machine, Load(dram=5, sram=3, lane=1, lanes=2, lane_stride=3, loops=loops))
    assert machine.act[3:5].tolist() == [[0, 5, 8, 0], [0, 15, 18, 0]]
    assert (machine.act[5] == 9).all()


def test_load_act_merge_keeps_other_lanes(machine: Machine) -> None:
    machine.act[:] = 9
    do(machine, Load(merge=True, dram=250, sram=3, lane=1, lanes=2))
    assert machine.act[3].tolist() == [9, -6, -5, 9]


def test_load_to_one_vector_keeps_the_last(machine: Machine) -> None:
    do(machine, Load(dram=0, lanes=4, loops=(DmaLevel(3, dram=4, sram=0),)))
    assert machine.act[0].tolist() == [8, 9, 10, 11]


def test_load_wgt_is_output_lane_major(machine: Machine) -> None:
    do(machine, Load(memory=Memory.WGT, dram=16, sram=2, lanes=4))
    assert machine.wgt[2].tolist() == np.arange(16, 32).reshape(4, 4).tolist()


def test_load_par_is_int32_little_endian(machine: Machine) -> None:
    machine.dram[:16] = np.array([1, -2, 1 << 30, -(1 << 31)], "<i4").view(np.uint8)
    do(machine, Load(memory=Memory.PAR, sram=1, lanes=4))
    assert machine.par[1].tolist() == [1, -2, 1 << 30, -(1 << 31)]


def test_load_par_widen_extends_the_sign(machine: Machine) -> None:
    do(machine, Load(memory=Memory.PAR, widen=True, dram=126, lanes=4))
    assert machine.par[0].tolist() == [126, 127, -128, -127]


def test_load_tab(machine: Machine) -> None:
    do(machine, Load(memory=Memory.TAB, lanes=4))
    assert machine.tab[0, [0, 127, 128, 255]].tolist() == [0, 127, -128, -1]


def test_store_scatters_lanes(machine: Machine) -> None:
    machine.act[2:4] = [[1, 2, 3, 4], [5, 6, 7, -8]]
    machine.dram[:] = 0
    loops = (DmaLevel(2, dram=1, sram=1),)
    do(machine, Store(dram=10, sram=2, lane=2, lanes=2, lane_stride=5, loops=loops))
    assert machine.dram[10:17].tolist() == [3, 7, 0, 0, 0, 4, 248]


def test_store_to_one_byte_keeps_the_last(machine: Machine) -> None:
    machine.act[:3, 0] = [1, 2, 3]
    do(machine, Store(dram=7, loops=(DmaLevel(3, dram=0, sram=1),)))
    assert machine.dram[7] == 3


def test_fill(machine: Machine) -> None:
    do(machine, Fill(sram=1, value=-3, loops=(FillLevel(2, 1), FillLevel(2, 4))))
    assert np.flatnonzero((machine.act == -3).all(axis=1)).tolist() == [1, 2, 5, 6]


@pytest.mark.parametrize(("overwrite", "expected"), [(True, 60), (False, 61)])
def test_gemm_reduces(machine: Machine, overwrite: bool, expected: int) -> None:
    machine.act[:3] = [[1, 0, 0, 0], [0, 1, 0, 0], [2, 1, 0, 0]]
    machine.wgt[:2, 0, :2] = [[10, 20], [5, 15]]
    machine.acc[:] = 1
    level0, reduction = GemmLevel(2, act=1, acc=1), GemmLevel(2, act=1, wgt=1)
    do(machine, Gemm(overwrite=overwrite, loops=(level0, reduction)))
    # acc[1] = [0, 1] . [10, 20] + [2, 1] . [5, 15] = 20 + 25
    assert machine.acc[1, 0] == 45 + (expected - 60)
    # acc[0] = [1, 0] . [10, 20] + [0, 1] . [5, 15] = 10 + 15
    assert machine.acc[0, 0] == 25 + (expected - 60)
    assert machine.acc[2, 0] == 1


def test_gemm_wraps(machine: Machine) -> None:
    machine.act[0, 0] = machine.wgt[0, 1, 0] = 1
    machine.acc[0] = (1 << 31) - 1
    do(machine, Gemm())
    assert machine.acc[0].tolist() == [(1 << 31) - 1, -(1 << 31), (1 << 31) - 1, (1 << 31) - 1]


def test_gemm_overlapping_accumulators_are_sequential(machine: Machine) -> None:
    machine.act[:4, 0] = [1, 2, 4, 8]
    machine.wgt[0, 0, 0] = 1
    # Addresses 0, 1, 1, 2, no reduction level: with overwrite the later visit wins.
    loops = (GemmLevel(2, act=1, acc=1), GemmLevel(2, act=2, acc=1))
    do(machine, Gemm(overwrite=True, loops=loops))
    assert machine.acc[:3, 0].tolist() == [1, 4, 8]


@pytest.mark.parametrize(
    ("op", "overwrite", "expected"),
    [
        (AccumOp.MAC, True, 5 * 3 - 7 * 2),
        (AccumOp.MAC, False, 100 + 5 * 3 - 7 * 2),
        (AccumOp.SUM, True, 5 - 7),
        (AccumOp.SUM, False, 100 + 5 - 7),
        (AccumOp.MAX, True, 5),
        (AccumOp.MAX, False, 100),
    ],
)
def test_accum(machine: Machine, op: AccumOp, overwrite: bool, expected: int) -> None:
    machine.act[:2, 3] = [5, -7]
    machine.par[:2, 3] = [3, 2]
    machine.acc[0] = 100
    loops = (AccumLevel(), AccumLevel(2, act=1, par=1))
    do(machine, Accum(op=op, overwrite=overwrite, loops=loops))
    assert machine.acc[0, 3] == expected


def test_accum_mac_wraps(machine: Machine) -> None:
    machine.act[0], machine.par[0] = -128, -(1 << 31)
    do(machine, Accum(overwrite=True))
    assert machine.acc[0, 0] == 0


POSTS = [
    ("half rounds up", Post(), 5, 3),
    ("negative half rounds up", Post(), -5, -2),
    ("truncate", Post(truncate=True), -5, -2),
    ("truncate positive", Post(truncate=True), 5, 2),
    ("offset and clamp", Post(offset=-10, low=-9), 3, -8),
    ("low clamp", Post(low=4), 3, 4),
    ("high clamp", Post(high=1), 7, 1),
    ("lookup after the clamp", Post(lookup=True), -2, 77),
]


@pytest.mark.parametrize(
    ("insn", "x", "expected"), [p[1:] for p in POSTS], ids=[p[0] for p in POSTS]
)
def test_post_scale(machine: Machine, insn: Post, x: int, expected: int) -> None:
    machine.par[:3] = [[0] * 4, [1] * 4, [1] * 4]
    machine.tab[0, 255] = 77
    machine.acc[0] = x
    do(machine, insn)
    assert machine.act[0].tolist() == [expected] * 4


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        (PostOp.ADD, (10 + 1) * 2 + (6 - 2) * 3),
        (PostOp.SUB, (10 + 1) * 2 - (6 - 2) * 3),
        (PostOp.MUL, (10 + 1) * (6 - 2) * 2),
    ],
)
def test_post_of_two_operands(machine: Machine, op: PostOp, expected: int) -> None:
    machine.par[:6] = np.array([1, 4, 1, -2, 12, 2])[:, None]
    machine.act[0], machine.act[1] = 10, 6
    insn = Post(op=op, a_memory=Memory.ACT, dst_memory=Memory.ACC, b=1)
    do(machine, insn)
    assert machine.acc[0].tolist() == [expected] * 4


def test_post_to_acc_is_not_clamped(machine: Machine) -> None:
    machine.par[:3] = [[0] * 4, [1 << 10] * 4, [1] * 4]
    machine.acc[0] = 1000
    do(machine, Post(dst_memory=Memory.ACC, low=0, high=0))
    assert machine.acc[0, 0] == 512000


def test_post_in_place_over_one_vector_repeats(machine: Machine) -> None:
    machine.par[:3] = [[0] * 4, [4] * 4, [1] * 4]
    machine.act[5] = 3
    loops = (PostLevel(), PostLevel(3))
    do(machine, Post(a_memory=Memory.ACT, dst=5, a=5, loops=loops))
    assert machine.act[5].tolist() == [24] * 4


@pytest.mark.parametrize("first", range(0, 150, 25))
def test_random_programs_equal_the_scalar_model(first: int) -> None:
    for seed in range(first, first + 25):
        case = legal_program(seed)
        dram = np.frombuffer(case.dram, np.uint8).copy()
        execute(case.program, case.config, dram)
        expected = OneByOne(case.config, case.dram).run(case.program.code)
        assert dram.tobytes() == expected, seed


def test_counters() -> None:
    insns = [
        Load(lanes=3, signal=2, loops=(DmaLevel(5, 3, 1),)),
        Load(memory=Memory.WGT, lanes=4, signal=2),
        Gemm(wait=1, overwrite=True, loops=(GemmLevel(5, 1, 0, 1), GemmLevel(2))),
        Gemm(wait=1),
        Accum(op=AccumOp.SUM, overwrite=True, loops=(AccumLevel(3, 1, 1),)),
        Store(dram=100, lanes=2, lane_stride=2, loops=(DmaLevel(4, 4, 1),)),
    ]
    program = Program(encode_program(insns), 256, 64)
    counters = execute(program, CONFIG, np.zeros(256, np.uint8))
    assert counters.instructions == [2, 2, 1, 1]
    assert counters.iterations == [6, 11, 3, 4]
    assert (counters.dram_read_bytes, counters.dram_written_bytes) == (15 + 16, 8)
    assert counters.macs == 11 * 16


def test_a_refused_program_keeps_what_was_stored_before() -> None:
    insns = [Fill(value=7, signal=8), Store(wait=1, lanes=4), Store(sram=9)]
    dram = np.zeros(8, np.uint8)
    with pytest.raises(Exception, match="instruction 2"):
        execute(Program(encode_program(insns), 8, 0, (), (Span(0, 4),)), CONFIG, dram)
    assert dram.tolist() == [7, 7, 7, 7, 0, 0, 0, 0]


@pytest.mark.parametrize(
    "dram", [np.zeros(7, np.uint8), np.zeros(8, np.int8), np.zeros((2, 4), np.uint8)]
)
def test_dram_must_be_the_programs(dram: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"the program needs uint8 of shape \(8,\)"):
        execute(Program(b"", 8), CONFIG, dram)
