"""What one instruction costs: hand-computed cases, and every address counted one by one."""

from __future__ import annotations

import itertools
import math
import random
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
TAPS = GemmLevel(9, 1, 1, 0)


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
        pytest.param((G(6, 1, 0, 1), G(4, 8, 0, 6), TAPS), {BUSY: 54}, id="rows run on"),
        pytest.param((G(2, 1, 0, 1), G(8, 4, 0, 2), TAPS), {BUSY: 36}, id="rows of half a group"),
        pytest.param((G(1, 1, 0, 1), G(8, 4, 0, 1), TAPS), {BUSY: 72}, id="rows of less than half"),
        pytest.param((G(6, 1, 0, 1), G(4, 11, 0, 6), TAPS), {BUSY: 72}, id="an ACT bank twice"),
        pytest.param((G(6, 1, 0, 1), G(4, 6, 0, 7), TAPS), {BUSY: 72}, id="an ACC bank twice"),
        pytest.param((G(6, 1, 0, 1), G(4, 8, 1, 6), TAPS), {BUSY: 72}, id="a tile per row"),
        pytest.param((G(6, 2, 0, 1), G(4, 20, 0, 6), TAPS), {BUSY: 54}, id="stride 2, even rows"),
        pytest.param(
            (G(6, 4, 0, 1), G(4, 32, 0, 6), TAPS), {BUSY: 54, BANKS: 54}, id="stride 4 runs on"
        ),
        pytest.param((G(8, 1, 0, 1), TAPS), {BUSY: 18, HAZARD: 18}, id="2 cycles, not 4"),
        pytest.param(
            (G(6, 1, 0, 1), G(2, 8, 0, 6), TAPS), {BUSY: 27, HAZARD: 9}, id="3 cycles, not 4"
        ),
        pytest.param(
            (G(8, 1, 0, 1), G(2, 0, 1, 8), G(9, 1, 1, 0)), {BUSY: 36}, id="two blocks: 4 cycles"
        ),
        pytest.param((G(1, 0, 0, 0), G(9, 1, 1, 0)), {BUSY: 9}, id="one accumulator alone"),
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
        pytest.param(AccumOp.SUM, (A(4, 1, 1, 0), A(9, 4, 0, 0)), {BUSY: 9}, id="in the adder"),
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
        pytest.param(AccumOp.MAX, (A(6, 1, 1, 0), A(4, 8, 6, 1)), {BUSY: 6}, id="rows run on"),
        pytest.param(
            AccumOp.MAC,
            (A(6, 1, 1, 0), A(4, 8, 6, 1)),
            {BUSY: 8, PARAMETERS: 1},
            id="a tap per row",
        ),
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
        pytest.param(Post(op=SCALE), (P(6, 1, 1), P(4, 8, 6)), (6, 0, 1), id="rows run on"),
        pytest.param(Post(op=SCALE), (P(6, 1, 1), P(4, 6, 8)), (8, 0, 1), id="ACC bank twice"),
        pytest.param(Post(op=SCALE), (P(6, 1, 1), P(4, 0, 6)), (8, 0, 1), id="rows on each other"),
        pytest.param(
            Post(op=SCALE), (P(6, 1, 1, 0, 0), P(4, 6, 6, 0, 3)), (8, 0, 1), id="a set per row"
        ),
        pytest.param(Post(op=ADD), (P(6, 1, 1, 1), P(4, 6, 6, 0)), (6, 0, 2), id="one row for all"),
        pytest.param(Post(op=ADD), (P(6, 1, 1, 0), P(4, 6, 6, 1)), (6, 0, 2), id="a pixel per row"),
        pytest.param(Post(op=ADD), (P(6, 1, 1, 0), P(4, 6, 6, 8)), (8, 0, 2), id="in one bank"),
        pytest.param(Post(op=ADD), (P(6, 1, 1, 1, 6),), (6, 0, 2 + 6), id="two cycles per pixel"),
    ],
)
def test_post(post: Post, loops: tuple[PostLevel, ...], expected: tuple[int, int, int]) -> None:
    busy, banks, parameters = expected
    report = time([replace(post, dst=512, loops=loops)])
    wanted = {BUSY: busy, BANKS: banks, PARAMETERS: parameters, PIPELINE: VEC_PIPELINE}
    assert lost(report, Engine.VEC) == {kind: n for kind, n in wanted.items() if n}


@pytest.mark.parametrize(
    ("post", "loops", "hazard"),
    [
        pytest.param(Post(op=SCALE, a_memory=ACT), (P(8, 1, 1), P(3, 8, 8)), 0, id="once"),
        pytest.param(Post(op=SCALE, a_memory=ACT), (P(8, 1, 1), P(3, 0, 0)), 66, id="in ACT"),
        pytest.param(Post(op=SCALE, dst_memory=ACC), (P(8, 1, 1), P(3, 0, 0)), 66, id="in ACC"),
        pytest.param(Post(op=ADD, a=99), (P(8, 1, 0, 1), P(3, 0, 1, 0)), 66, id="operand b"),
        pytest.param(Post(op=SCALE, a=99), (P(8, 1, 1), P(3, 0, 8)), 0, id="not in place"),
    ],
)
def test_post_in_place_again_and_again(
    post: Post, loops: tuple[PostLevel, ...], hazard: int
) -> None:
    """6 groups, each 12 cycles behind the one before."""
    report = time([replace(post, loops=loops)])
    assert report.spent[Engine.VEC][BUSY] == 6
    assert report.spent[Engine.VEC][HAZARD] == hazard


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
        pytest.param(Load(lanes=4, loops=(D(8, 0, 1),)), 32, 1, 2, id="again and again"),
        pytest.param(Load(lanes=4, loops=(D(32, 16, 1),)), 128, 8, 8, id="runs of one burst"),
        pytest.param(Load(lanes=4, dram=62, loops=(D(4, 64, 1),)), 16, 5, 1, id="ends that meet"),
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
    """Bursts counted run by run: one that the run before it ended in is not counted again."""
    count, run, last = 0, insn.lanes, -1
    loops = [level for level in insn.loops if level.extent > 1]
    packed = insn.lane_stride == 1 or insn.lanes == 1
    while packed and loops and loops[0].dram == run:
        run *= loops.pop(0).extent
    outermost_first = [range(level.extent) for level in reversed(loops)]
    for index in itertools.product(*outermost_first):
        walk = zip(index, reversed(loops), strict=True)
        start = insn.dram + sum(i * level.dram for i, level in walk)
        if packed:
            again = bool(index) and index[-1] > 0 and start // burst == last
            last = (start + run - 1) // burst
            count += last - start // burst + 1 - again
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


Pixel = tuple[int, int]
"""The act and acc addresses of an iteration."""


def _pixels(levels: tuple[GemmLevel, ...]) -> list[Pixel]:
    """Every iteration's addresses relative to the first one's."""
    result = [(0, 0)]
    for level in reversed(levels):
        result = [
            (act + i * level.act, acc + i * level.acc)
            for act, acc in result
            for i in range(level.extent)
        ]
    return result


def _beats(group: list[Pixel], level: GemmLevel, rows: int) -> int | None:
    """Cycles of a group whose rows go in the fixed order of level 0; None if they cannot."""
    beats = 1
    for operand, stride, banks in ((0, level.act, 2 * rows), (1, level.acc, rows)):
        together = banks // math.gcd(stride, banks) if stride else rows
        beats = max(beats, -(-len(group) // together))
        for first in range(0, len(group), together):
            used = {pixel[operand] for pixel in group[first : first + together]}
            if len({address % banks for address in used}) < len(used):
                return None
    return beats


def _runs_on(gemm: Gemm, rows: int) -> bool:
    """The rule, address by address: any ``rows`` iterations in a row take as long as on level 0."""
    row, next_row = gemm.loops[:2]
    if row.wgt or next_row.wgt or not (row.acc and next_row.acc) or 2 * row.extent < rows:
        return False
    endless = _pixels((row, replace(next_row, extent=3)))
    windows = [endless[first : first + rows] for first in range(row.extent)]
    return all(_beats(window, row, rows) is not None for window in windows)


def _scoreboard(gemm: Gemm, rows: int) -> int:
    """Cycles of a circuit that holds back each group until its accumulators are free.

    A group that follows one with the same accumulators finds them in the adder.
    """
    levels = 2 if _runs_on(gemm, rows) else 1
    width = rows if gemm.loops[0].wgt == 0 else 1
    pixels, bases = _pixels(gemm.loops[:levels]), _pixels(gemm.loops[levels:])
    free: dict[int, int] = {}
    adder: set[int] = set()
    cycle = 0
    for act, acc in bases:
        for first in range(0, len(pixels), width):
            group = [(act + x, acc + y) for x, y in pixels[first : first + width]]
            accs = {y for _, y in group}
            beats = _beats(group, gemm.loops[0], rows)
            assert beats is not None
            start = cycle
            if accs != adder:
                start = max([cycle, *(free.get(address, 0) for address in accs)])
            adder = accs if beats == 1 else set()
            cycle = start + beats
            free.update(dict.fromkeys(accs, start + ACC_LATENCY))
    return cycle


@pytest.mark.parametrize("seed", range(40))
def test_gemm_is_never_faster_than_a_circuit_with_a_scoreboard(seed: int) -> None:
    rng = random.Random(seed)
    rows = rng.choice((1, 2, 4, 8))
    for _ in range(10):
        loops = [G(rng.randint(1, 12), rng.randint(0, 5), rng.choice((0, 0, 1)), rng.randint(1, 3))]
        reach = loops[0].extent * loops[0].acc
        for _ in range(rng.randint(1, 3)):
            acc = rng.choice((0, 0, reach, reach, 1))
            act = loops[0].extent * loops[0].act + rng.randint(0, 9)
            loops.append(G(rng.randint(1, 4), act, rng.choice((0, 1)), acc))
            reach *= loops[-1].extent
        gemm = Gemm(loops=tuple(loops))
        spent = lost(time([gemm], config(rows)), Engine.GEMM)
        taken = sum(spent.values()) - GEMM_PIPELINE
        exact = _scoreboard(gemm, rows)
        assert exact <= taken, gemm
        if HAZARD not in spent:
            assert exact == taken, gemm


@pytest.mark.parametrize("rows", [2, 4, 8, 16])
def test_rows_that_run_on_are_never_slower(rows: int) -> None:
    rng, gained = random.Random(rows), 0
    for _ in range(100):
        row = G(rng.randint(1, 2 * rows), rng.randint(0, 4), 0, 1)
        next_row = G(rng.randint(2, 6), row.extent * row.act + rng.randint(0, 4), 0, row.extent)
        together = lost(time([Gemm(loops=(row, next_row))], config(rows)), Engine.GEMM)
        apart = lost(time([Gemm(loops=(row,))], config(rows)), Engine.GEMM)
        saved = next_row.extent * (apart[BUSY] + apart.get(BANKS, 0))
        saved -= together[BUSY] + together.get(BANKS, 0)
        assert saved >= 0, (row, next_row)
        gained += saved > 0
    assert gained > 10
