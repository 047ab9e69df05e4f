"""What one instruction costs: hand-computed cases, and every address counted one by one."""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from dataclasses import replace

import pytest
from tests.support.timing import config, lost, time

from zebra.isa.insns import (
    Accum,
    AccumLevel,
    AccumOp,
    DmaLevel,
    Engine,
    Fill,
    FillLevel,
    Gemm,
    GemmLevel,
    Load,
    Memory,
    Post,
    PostLevel,
    PostOp,
    Store,
)
from zebra.runtime.cycle import Spent

BUSY, BANKS, HAZARD, PARAMETERS, PIPELINE, REQUESTS = (
    Spent.BUSY,
    Spent.BANKS,
    Spent.HAZARD,
    Spent.PARAMETERS,
    Spent.PIPELINE,
    Spent.REQUESTS,
)
GEMM_PIPELINE = 8 + 2
VEC_PIPELINE = 12
ACC_LATENCY = 4

G, A, P, D = GemmLevel, AccumLevel, PostLevel, DmaLevel


@pytest.mark.parametrize(
    ("loops", "expected"),
    [
        pytest.param((G(10, 1, 0, 1),), {BUSY: 3}, id="level 0 by rows"),
        pytest.param((G(10, 1, 1, 1),), {BUSY: 10}, id="weights change: one by one"),
        pytest.param((G(16, 1, 0, 1), G(9, 1, 1, 0)), {BUSY: 36}, id="times the outer levels"),
        pytest.param((G(16, 2, 0, 1),), {BUSY: 4}, id="stride 2: four of eight banks"),
        pytest.param((G(16, 3, 0, 1),), {BUSY: 4}, id="stride 3: no conflict"),
        pytest.param((G(16, 4, 0, 1),), {BUSY: 4, BANKS: 4}, id="stride 4: two banks"),
        pytest.param((G(16, 8, 0, 1),), {BUSY: 4, BANKS: 12}, id="stride 8: one bank"),
        pytest.param((G(16, 0, 0, 1),), {BUSY: 4}, id="one vector for all rows"),
        pytest.param((G(18, 4, 0, 1),), {BUSY: 5, BANKS: 4}, id="last group of two: one cycle"),
        pytest.param((G(16, 1, 0, 2),), {BUSY: 4, BANKS: 4}, id="ACC has half the banks"),
        pytest.param((G(8, 1, 0, 1), G(9, 1, 1, 0)), {BUSY: 18, HAZARD: 18}, id="2 cycles, not 4"),
        pytest.param(
            (G(8, 1, 0, 1), G(2, 0, 1, 8), G(9, 1, 1, 0)), {BUSY: 36}, id="two blocks: 4 cycles"
        ),
        pytest.param(
            (G(1, 0, 0, 0), G(9, 1, 1, 0)), {BUSY: 9, HAZARD: 27}, id="one accumulator alone"
        ),
        pytest.param(
            (G(8, 1, 0, 1), G(3, 1, 0, 4)), {BUSY: 6, HAZARD: 18}, id="visited from two levels"
        ),
    ],
)
def test_gemm(loops: tuple[GemmLevel, ...], expected: dict[Spent, int]) -> None:
    report = time([Gemm(loops=loops)])
    assert lost(report, Engine.GEMM) == {**expected, PIPELINE: GEMM_PIPELINE}
    assert report.macs == math.prod(level.extent for level in loops) * 4 * 4


@pytest.mark.parametrize(
    ("op", "loops", "expected"),
    [
        pytest.param(AccumOp.MAX, (A(16, 1, 1, 0), A(9, 1, 0, 0)), {BUSY: 36}, id="max"),
        pytest.param(
            AccumOp.SUM, (A(4, 1, 1, 0), A(9, 4, 0, 0)), {BUSY: 9, HAZARD: 27}, id="hazard"
        ),
        pytest.param(
            AccumOp.MAX, (A(16, 4, 1, 0), A(3, 1, 0, 0)), {BUSY: 12, BANKS: 12}, id="stride 4"
        ),
        pytest.param(
            AccumOp.MAC,
            (A(16, 1, 1, 0), A(9, 1, 0, 1)),
            {BUSY: 36, PARAMETERS: 1},
            id="mac: the first tap",
        ),
        pytest.param(
            AccumOp.MAC, (A(16, 1, 1, 1),), {BUSY: 16, PARAMETERS: 1}, id="a tap per pixel"
        ),
        pytest.param(AccumOp.SUM, (A(16, 1, 1, 1),), {BUSY: 4}, id="taps only count for mac"),
    ],
)
def test_accum(op: AccumOp, loops: tuple[AccumLevel, ...], expected: dict[Spent, int]) -> None:
    report = time([Accum(op=op, loops=loops)])
    assert lost(report, Engine.VEC) == {**expected, PIPELINE: VEC_PIPELINE}
    iterations = math.prod(level.extent for level in loops)
    assert report.macs == (iterations * 4 if op is AccumOp.MAC else 0)


SCALE, ADD, SUB, MUL = PostOp
ACT, ACC = Memory.ACT, Memory.ACC


@pytest.mark.parametrize(
    ("post", "loops", "expected"),
    [
        pytest.param(Post(op=SCALE), (P(16, 1, 1),), (4, 0, 1), id="scale"),
        pytest.param(Post(op=SCALE, wide=True), (P(16, 1, 1),), (8, 0, 1), id="scale, wide"),
        pytest.param(Post(op=SCALE, lookup=True), (P(16, 1, 1),), (4, 0, 1), id="table"),
        pytest.param(Post(op=ADD, a_memory=ACT), (P(16, 1, 1, 1),), (8, 0, 2), id="two ACT reads"),
        pytest.param(Post(op=ADD, a_memory=ACC), (P(16, 1, 1, 1),), (4, 0, 2), id="ACC and ACT"),
        pytest.param(Post(op=SUB, wide=True), (P(16, 1, 1, 1),), (8, 0, 2), id="sub, wide"),
        pytest.param(Post(op=MUL, a_memory=ACT), (P(16, 1, 1, 1),), (8, 0, 2), id="mul"),
        pytest.param(Post(op=MUL, wide=True), (P(16, 1, 1, 1),), (12, 0, 2), id="mul, wide"),
        pytest.param(Post(op=SCALE, dst_memory=ACC), (P(16, 1, 1),), (4, 0, 1), id="to ACC"),
        pytest.param(Post(op=SCALE), (P(16, 4, 1),), (4, 4, 1), id="dst in ACT, stride 4"),
        pytest.param(
            Post(op=SCALE, dst_memory=ACC), (P(16, 4, 1),), (4, 12, 1), id="dst in ACC, stride 4"
        ),
        pytest.param(Post(op=SCALE), (P(16, 1, 4),), (4, 12, 1), id="a in ACC, stride 4"),
        pytest.param(
            Post(op=ADD, a_memory=ACT), (P(16, 1, 2, 2),), (8, 0, 2), id="both of stride 2"
        ),
        pytest.param(
            Post(op=ADD, a_memory=ACT), (P(16, 1, 4, 4),), (8, 8, 2), id="both of stride 4"
        ),
        pytest.param(
            Post(op=ADD, a_memory=ACT, wide=True),
            (P(18, 4, 4, 4),),
            (10, 8, 2),
            id="two of the last group still need two cycles",
        ),
        pytest.param(
            Post(op=ADD, a_memory=ACC), (P(16, 1, 2, 4),), (4, 4, 2), id="ports of two memories"
        ),
        pytest.param(
            Post(op=ADD, a_memory=ACC),
            (P(4, 1, 1, 1, 0), P(5, 4, 4, 4, 6)),
            (5, 0, 2 + 5),
            id="6 vectors in 2 cycles for every group of 1",
        ),
        pytest.param(
            Post(op=SCALE), (P(4, 1, 1, 0, 0), P(5, 4, 4, 0, 3)), (5, 0, 1), id="read in time"
        ),
        pytest.param(Post(op=SCALE), (P(6, 1, 1, 0, 3),), (6, 0, 1), id="a set per pixel"),
        pytest.param(Post(op=ADD), (P(6, 1, 1, 1, 6),), (6, 0, 2 + 6), id="two cycles per pixel"),
    ],
)
def test_post(post: Post, loops: tuple[PostLevel, ...], expected: tuple[int, int, int]) -> None:
    busy, banks, parameters = expected
    report = time([replace(post, dst=512, loops=loops)])
    wanted = {BUSY: busy, BANKS: banks, PARAMETERS: parameters, PIPELINE: VEC_PIPELINE}
    assert lost(report, Engine.VEC) == {kind: n for kind, n in wanted.items() if n}


def test_fill_writes_rows_vectors_per_cycle() -> None:
    report = time([Fill(loops=(FillLevel(10, 1), FillLevel(3, 16)))])
    assert lost(report, Engine.LOAD) == {BUSY: 9}
    report = time([Fill(loops=(FillLevel(8, 4),))])
    assert lost(report, Engine.LOAD) == {BUSY: 2, BANKS: 2}


@pytest.mark.parametrize(
    ("load", "useful", "bursts", "cycles"),
    [
        pytest.param(Load(lanes=4, loops=(D(32, 4, 1),)), 128, 2, 8, id="one run"),
        pytest.param(Load(lanes=4, dram=32, loops=(D(32, 4, 1),)), 128, 3, 8, id="unaligned run"),
        pytest.param(
            Load(lanes=4, loops=(D(8, 4, 1), D(4, 100, 8))), 128, 6, 8, id="a run per row"
        ),
        pytest.param(Load(lanes=4, loops=(D(8, 4, 1), D(4, 32, 8))), 128, 2, 8, id="rows in a run"),
        pytest.param(Load(lanes=4, loops=(D(8, 0, 1),)), 32, 8, 8, id="again and again"),
        pytest.param(
            Load(lanes=4, lane_stride=1000, loops=(D(8, 1, 1),)), 32, 32, 32, id="scattered lanes"
        ),
        pytest.param(
            Load(lanes=4, lane_stride=16, loops=(D(2, 16, 1),)), 8, 3, 3, id="lanes of one burst"
        ),
        pytest.param(
            Load(memory=Memory.WGT, lanes=4, loops=(D(16, 16, 1),)), 256, 4, 16, id="weights"
        ),
        pytest.param(
            Load(memory=Memory.PAR, lanes=4, widen=True, loops=(D(16, 4, 1),)), 64, 1, 16, id="taps"
        ),
        pytest.param(Load(memory=Memory.PAR, lanes=4), 16, 1, 1, id="parameters"),
        pytest.param(Load(memory=Memory.TAB, lanes=4), 256, 4, 32, id="table"),
        pytest.param(
            Load(lanes=4, loops=(D(16, 4, 8), D(4, 64, 1))), 256, 4, 64, id="entries of one bank"
        ),
    ],
)
def test_load(load: Load, useful: int, bursts: int, cycles: int) -> None:
    report = time([load])
    assert (report.read.useful, report.read.moved) == (useful, 64 * bursts)
    assert report.spent[Engine.LOAD][BUSY] == 8 * bursts
    spent = time([load], config(DRAM_BYTES_PER_CYCLE=1024)).spent[Engine.LOAD]
    assert spent[BUSY] + spent[REQUESTS] == cycles


def _bursts(insn: Load | Store, burst: int) -> int:
    """Bursts counted run by run."""
    count, run = 0, insn.lanes
    loops = [level for level in insn.loops if level.extent > 1]
    packed = insn.lane_stride == 1 or insn.lanes == 1
    while packed and loops and loops[0].dram == run:
        run *= loops.pop(0).extent
    for index in itertools.product(*(range(level.extent) for level in loops)):
        start = insn.dram + sum(i * level.dram for i, level in zip(index, loops, strict=True))
        if packed:
            count += (start + run - 1) // burst - start // burst + 1
            continue
        numbers = [(start + lane * insn.lane_stride) // burst for lane in range(insn.lanes)]
        count += 1 + sum(a != b for a, b in itertools.pairwise(numbers))
    return count


@pytest.mark.parametrize("seed", range(40))
def test_bursts_equal_those_counted_run_by_run(seed: int) -> None:
    rng = random.Random(seed)
    burst = rng.choice((8, 24, 64, 128))
    for _ in range(10):
        lanes = rng.randint(1, 4)
        loops = [D(rng.randint(1, 6), rng.choice((0, lanes, 17, 64, 999)), 1) for _ in range(4)]
        if rng.random() < 0.5:
            loops[1] = D(loops[1].extent, loops[0].extent * lanes, 1)
        stride = rng.choice((1, 1, 5, 30, 300))
        kind = rng.choice((Load, Store))
        insn = kind(dram=rng.randint(0, 500), lanes=lanes, lane_stride=stride, loops=tuple(loops))
        report = time([insn], config(DRAM_BURST_BYTES=burst))
        moved = report.read.moved + report.written.moved
        assert moved == burst * _bursts(insn, burst), insn


def _scoreboard(gemm: Gemm, rows: int) -> int:
    """Cycles of a circuit that holds back each group until its accumulators are free."""
    extents = [level.extent for level in gemm.loops]
    width = rows if gemm.loops[0].wgt == 0 else 1
    free: dict[int, int] = {}
    cycle = 0
    for outer in itertools.product(*(range(extent) for extent in reversed(extents[1:]))):
        index = outer[::-1]
        base = sum(i * level.acc for i, level in zip(index, gemm.loops[1:], strict=True))
        source = sum(i * level.act for i, level in zip(index, gemm.loops[1:], strict=True))
        for first in range(0, extents[0], width):
            group = range(first, min(first + width, extents[0]))
            accs = {base + i * gemm.loops[0].acc for i in group}
            acts = {source + i * gemm.loops[0].act for i in group}
            start = max([cycle, *(free.get(acc, 0) for acc in accs)])
            banks = Counter(("ACC", address % rows) for address in accs)
            banks.update(("ACT", address % (2 * rows)) for address in acts)
            cycle = start + max(banks.values())
            free.update(dict.fromkeys(accs, start + ACC_LATENCY))
    return cycle


@pytest.mark.parametrize("seed", range(40))
def test_gemm_is_never_faster_than_a_circuit_with_a_scoreboard(seed: int) -> None:
    rng = random.Random(seed)
    rows = rng.choice((1, 2, 4, 8))
    for _ in range(10):
        loops = [G(rng.randint(1, 12), rng.randint(0, 5), rng.choice((0, 0, 1)), rng.randint(1, 3))]
        reach = loops[0].extent * loops[0].acc
        for _ in range(rng.randint(0, 3)):
            acc = rng.choice((0, 0, reach, reach, 1))
            loops.append(G(rng.randint(1, 4), rng.randint(0, 9), 1, acc))
            reach *= loops[-1].extent
        gemm = Gemm(loops=tuple(loops))
        spent = lost(time([gemm], config(rows)), Engine.GEMM)
        taken = sum(spent.values()) - GEMM_PIPELINE
        exact = _scoreboard(gemm, rows)
        assert exact <= taken, gemm
        if HAZARD not in spent:
            assert exact == taken, gemm
