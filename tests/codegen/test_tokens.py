"""Tokens follow from hazards: read after write, write after read, write after write."""

from __future__ import annotations

import pytest

from zebra.codegen.tokens import Interval, TokenStream
from zebra.isa.insns import Engine, Fill, Gemm, Insn, Memory, Post, Store

LOAD, GEMM, VEC, STORE = Fill(), Gemm(), Post(), Store()


def act(start: int, stop: int, write: bool = False) -> Interval:
    return (Memory.ACT, start, stop, write)


def masks(steps: list[tuple[Insn, list[Interval]]]) -> list[tuple[int, int]]:
    stream = TokenStream()
    for insn, touched in steps:
        stream.add(insn.ENGINE, touched)
    return stream.masks()


L, G, V, S = (1 << engine for engine in Engine)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(act(0, 8, True), act(4, 5), id="read-after-write"),
        pytest.param(act(0, 8), act(7, 9, True), id="write-after-read"),
        pytest.param(act(0, 8, True), act(0, 1, True), id="write-after-write"),
    ],
)
def test_hazards_get_one_token(first: Interval, second: Interval) -> None:
    assert masks([(LOAD, [first]), (GEMM, [second])]) == [(0, G), (L, 0)]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(act(0, 8), act(0, 8), id="two-reads"),
        pytest.param(act(0, 8, True), act(8, 9), id="neighbours"),
        pytest.param(act(0, 8, True), (Memory.ACC, 0, 8, True), id="other-memory"),
    ],
)
def test_no_hazard_no_token(first: Interval, second: Interval) -> None:
    assert masks([(LOAD, [first]), (GEMM, [second])]) == [(0, 0), (0, 0)]


def test_same_engine_is_in_order_anyway() -> None:
    assert masks([(LOAD, [act(0, 8, True)]), (LOAD, [act(0, 8, True)])]) == [(0, 0), (0, 0)]


def test_an_earlier_wait_covers_what_came_before_it() -> None:
    steps = [
        (LOAD, [act(0, 1, True)]),
        (LOAD, [act(1, 2, True)]),
        (GEMM, [act(1, 2)]),
        (GEMM, [act(0, 1)]),
    ]
    assert masks(steps) == [(0, 0), (0, G), (L, 0), (0, 0)]


def test_two_engines_wait_for_one() -> None:
    steps = [
        (LOAD, [act(0, 4, True)]),
        (GEMM, [act(0, 4)]),
        (VEC, [act(0, 4)]),
        (STORE, [act(0, 4)]),
        (LOAD, [act(2, 3, True)]),
    ]
    assert masks(steps) == [(0, G | V | S), (L, L), (L, L), (L, L), (G | V | S, 0)]
