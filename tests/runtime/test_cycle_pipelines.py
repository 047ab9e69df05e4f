"""Instructions of GEMM and VEC that follow each other through one pipeline."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.programs import legal_program
from tests.support.timing import gemm, load, spans, time

from zebra.hw import HwConfig
from zebra.isa.access import Access, accesses
from zebra.isa.codec import decode_program
from zebra.isa.insns import (
    Accum,
    AccumLevel,
    AccumOp,
    Engine,
    Insn,
    Memory,
    Post,
    PostLevel,
    PostOp,
)
from zebra.runtime.cycle import Spent, simulate

LOAD, GEMM, VEC, _ = (1 << engine for engine in Engine)
LATENCY, FETCHED = 10, 10 + 8 + 1
TOKEN, LANDING, GEMM_PIPELINE, VEC_PIPELINE, ACC_LATENCY = 2, 4, 8 + 2, 12, 4


@pytest.mark.parametrize(("overwrite", "gap"), [(True, 0), (False, ACC_LATENCY - 1)])
def test_gemms_follow_each_other(overwrite: bool, gap: int) -> None:
    report = time([gemm(20), gemm(5, overwrite=overwrite)])
    first, second = FETCHED, FETCHED + 20 + gap
    assert spans(report) == [(first, second - gap + GEMM_PIPELINE), (second, report.cycles)]
    assert report.cycles == second + 5 + GEMM_PIPELINE
    spent = report.spent[Engine.GEMM]
    assert (spent[Spent.BUSY], spent[Spent.HAZARD], spent[Spent.PIPELINE]) == (25, gap, 10)


def test_a_token_is_given_when_the_last_result_is_written() -> None:
    report = time([gemm(30, signal=VEC), gemm(5, overwrite=True), Accum(wait=GEMM, overwrite=True)])
    assert report.timeline[1].start == FETCHED + 30
    assert report.timeline[2].start == FETCHED + 30 + GEMM_PIPELINE + TOKEN


def test_a_pipeline_drains_while_the_engine_waits() -> None:
    report = time([gemm(1), load(1, signal=GEMM), gemm(1, wait=LOAD)])
    loaded = FETCHED + 8 + LATENCY + 8 + LANDING + TOKEN
    assert report.timeline[2].start == loaded
    spent = report.spent[Engine.GEMM]
    assert (spent[Spent.PIPELINE], spent[Spent.HAZARD]) == (2 * GEMM_PIPELINE, 0)
    drained, queued = FETCHED + 1 + GEMM_PIPELINE, FETCHED + 16
    assert spent[Spent.FETCH] == FETCHED + queued - drained
    assert spent[Spent.WAIT_LOAD] == loaded - queued


P, A = PostLevel, AccumLevel
SCALE, ADD = PostOp.SCALE, PostOp.ADD
ACT, ACC = Memory.ACT, Memory.ACC
POST_TO_ACT = Post(dst=100, loops=(P(160, 1, 1),))
POST_TO_ACC = Post(dst_memory=ACC, dst=4000, loops=(P(160, 1, 1),))
ACCUM = Accum(op=AccumOp.SUM, overwrite=True, loops=(A(160, 1, 1),))


@pytest.mark.parametrize(
    ("former", "latter", "gap"),
    [
        pytest.param(POST_TO_ACT, replace(ACCUM, act=259), 12, id="accum reads the last vector"),
        pytest.param(POST_TO_ACT, replace(ACCUM, act=260), 0, id="accum reads behind it"),
        pytest.param(POST_TO_ACT, Post(a_memory=ACT, a=100, dst=999), 12, id="post reads it"),
        pytest.param(POST_TO_ACT, Post(a_memory=ACT, a=99, dst=999), 0, id="post reads before it"),
        pytest.param(POST_TO_ACT, Post(op=ADD, b=200, dst=999), 12, id="operand b"),
        pytest.param(POST_TO_ACT, Post(op=SCALE, b=200, dst=999), 0, id="no operand b"),
        pytest.param(POST_TO_ACT, Post(a=100, dst=100), 0, id="the same number in ACC"),
        pytest.param(
            POST_TO_ACT,
            Post(a_memory=ACT, a=0, dst=999, loops=(P(2, 1, 500),)),
            12,
            id="the interval counts",
        ),
        pytest.param(POST_TO_ACC, ACCUM, 12, id="accum behind a post to ACC"),
        pytest.param(POST_TO_ACC, Post(), 12, id="ACC behind a post to ACC"),
        pytest.param(POST_TO_ACC, Post(a_memory=ACT, dst=999), 0, id="ACT behind a post to ACC"),
        pytest.param(ACCUM, Post(a=3000), 12, id="ACC behind an accum"),
        pytest.param(ACCUM, Post(a_memory=ACT, dst=999), 0, id="ACT behind an accum"),
        pytest.param(ACCUM, ACCUM, 0, id="accum overwrites"),
        pytest.param(ACCUM, replace(ACCUM, overwrite=False), 3, id="accum adds"),
    ],
)
def test_vec_waits_for_what_is_in_its_pipeline(former: Insn, latter: Insn, gap: int) -> None:
    report = time([former, latter])
    (first, end), (second, _) = spans(report)
    issued = end - VEC_PIPELINE
    assert issued == first + 40 + isinstance(former, Post)  # a POST reads its parameters first
    assert second == issued + gap
    assert report.spent[Engine.VEC][Spent.HAZARD] == gap


def test_four_instructions_are_in_vecs_pipeline() -> None:
    short = Accum(op=AccumOp.SUM, overwrite=True)
    report = time([load(800, signal=VEC), replace(short, wait=LOAD), *[short] * 5])
    starts = [start - report.timeline[1].start for start, _ in spans(report)[1:]]
    done = 1 + VEC_PIPELINE
    assert starts == [0, 1, 2, 3, done, done + 1]


def meets(read: Access, write: Access) -> bool:
    """Whether the bounding intervals have an address in common."""
    both = not read.write and write.write and read.memory is write.memory
    return both and read.base <= write.last and write.base <= read.last


def earliest(late: Insn, early: Insn, end: int, hw: HwConfig) -> int:
    """The first cycle in which ``late`` may start behind ``early``, which is done at ``end``."""
    hits = [r for r in accesses(late, hw) for w in accesses(early, hw) if meets(r, w)]
    if any(r.memory is ACT or isinstance(late, Post) or isinstance(early, Post) for r in hits):
        return end
    depth = VEC_PIPELINE if isinstance(late, Accum) else 8 + hw["LOG_BLOCK"]
    return end - depth - 1 + ACC_LATENCY if hits else 0


@pytest.mark.parametrize("seed", range(50))
def test_no_instruction_reads_what_is_not_written(seed: int) -> None:
    case = legal_program(seed)
    report = simulate(case.program, case.config, timeline=True)
    insns = list(decode_program(case.program.code))
    for engine in (Engine.GEMM, Engine.VEC):
        mine = [entry for entry in report.timeline if entry.engine is engine]
        for place, late in enumerate(mine):
            for early in mine[:place]:
                first = earliest(insns[late.index], insns[early.index], early.end, case.config)
                assert late.start >= first, (early, late)
