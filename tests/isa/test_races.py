"""The race check against a brute force over exact address sets and all token chains."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from tests.support.programs import legal_program, small_config

from zebra.errors import TokenError
from zebra.hw import HwConfig
from zebra.isa.access import Access, accesses, addresses, footprint
from zebra.isa.codec import decode_program, encode_program
from zebra.isa.insns import (
    Accum,
    AccumLevel,
    AccumOp,
    DmaLevel,
    Engine,
    Fill,
    FillLevel,
    Insn,
    Load,
    Memory,
    Store,
)
from zebra.isa.program import Program, Span
from zebra.isa.verify import verify

CONFIG = small_config(2, 0, 0, 16)
L, G, V, S = (1 << engine for engine in Engine)


def token_pairs(insns: Sequence[Insn]) -> list[tuple[int, int]]:
    """(giver, taker) indices of every token, first given, first taken."""
    pairs = []
    for giver in Engine:
        for taker in Engine:
            given = [i for i, x in enumerate(insns) if x.ENGINE is giver and x.signal >> taker & 1]
            taken = [i for i, x in enumerate(insns) if x.ENGINE is taker and x.wait >> giver & 1]
            pairs += list(zip(given, taken, strict=True))
    return pairs


def known_before(insns: Sequence[Insn]) -> list[set[int]]:
    """For every instruction, those that are done before it starts in every run."""
    direct: list[set[int]] = [set() for _ in insns]
    for giver, taker in token_pairs(insns):
        direct[taker].add(giver)
    for i, insn in enumerate(insns):
        direct[i] |= {j for j in range(i) if insns[j].ENGINE is insn.ENGINE}
    for i in range(len(insns)):
        for j in sorted(direct[i]):
            direct[i] |= direct[j]
    return direct


def conflict(one: Access, other: Access) -> bool:
    if one.memory is not other.memory or not (one.write or other.write):
        return False
    visited = [set(addresses(access.base, access.nest).tolist()) for access in (one, other)]
    return not visited[0].isdisjoint(visited[1])


def first_race(insns: Sequence[Insn], config: HwConfig) -> tuple[int, set[int]] | None:
    """The first instruction that races with earlier ones, and those."""
    before = known_before(insns)
    touched = [accesses(insn, config) for insn in insns]
    for i in range(len(insns)):
        partners = {
            j
            for j in set(range(i)) - before[i]
            if any(conflict(a, b) for a in touched[i] for b in touched[j])
        }
        if partners:
            return i, partners
    return None


def without_token(rng: random.Random, insns: list[Insn]) -> list[Insn]:
    """``insns`` with one token neither given nor taken."""
    giver, taker = rng.choice(token_pairs(insns))
    changed = list(insns)
    changed[giver] = replace(insns[giver], signal=insns[giver].signal & ~(1 << insns[taker].ENGINE))
    changed[taker] = replace(insns[taker], wait=insns[taker].wait & ~(1 << insns[giver].ENGINE))
    return changed


@pytest.mark.parametrize("first", range(0, 120, 30))
def test_missing_tokens_equal_brute_force(first: int) -> None:
    found = 0
    for seed in range(first, first + 30):
        case = legal_program(seed)
        insns = without_token(random.Random(seed), list(decode_program(case.program.code)))
        program = replace(case.program, code=encode_program(insns))
        race = first_race(insns, case.config)
        if race is None:
            verify(program, case.config, case.constants)
            continue
        found += 1
        with pytest.raises(TokenError, match="no chain of tokens") as caught:
            verify(program, case.config, case.constants)
        text = str(caught.value)
        assert text.startswith(f"instruction {race[0]} "), seed
        assert any(f"which instruction {j} (" in text for j in race[1]), seed
    assert found >= 10


def judged(insns: Sequence[Insn]) -> None:
    verify(Program(encode_program(insns), 256, 0, (Span(0, 256),)), CONFIG)


FILL = Fill(loops=(FillLevel(16, 1),))
SUM = Accum(op=AccumOp.SUM, overwrite=True, loops=(AccumLevel(16, 1, 1),))
STORE = Store(dram=64, lanes=4, loops=(DmaLevel(8, 4, 1),))

RACES: dict[str, tuple[Sequence[Insn], str]] = {
    "read after write": (
        [FILL, SUM],
        "instruction 1 (ACCUM) reads ACT vector 0 (act), which instruction 0 (FILL) writes: "
        "no chain of tokens from LOAD to VEC orders the two",
    ),
    "write after read": (
        [replace(FILL, signal=V), replace(SUM, wait=L), Fill(sram=3)],
        "instruction 2 (FILL) writes ACT vector 3 (destination), which instruction 1 (ACCUM) reads",
    ),
    "DRAM": (
        [replace(FILL, signal=S), replace(STORE, wait=L), Load(sram=30, dram=70, lanes=4)],
        "instruction 2 (LOAD) reads DRAM byte 70 (source), which instruction 1 (STORE) writes",
    ),
    "store after load": (
        [replace(FILL, signal=S), Load(sram=30, dram=95), replace(STORE, wait=L)],
        "instruction 2 (STORE) writes DRAM byte 95 (destination), which instruction 1 (LOAD) reads",
    ),
    "token given too early": (
        [replace(FILL, signal=V), Fill(sram=3), replace(SUM, wait=L)],
        "instruction 2 (ACCUM) reads ACT vector 3 (act), which instruction 1 (FILL) writes",
    ),
    "tokens are taken in the order given": (
        [FILL, Fill(sram=40, signal=V), Fill(sram=3, signal=V), replace(SUM, wait=L)],
        "instruction 3 (ACCUM) reads ACT vector 3 (act), which instruction 2 (FILL) writes",
    ),
}


@pytest.mark.parametrize("name", RACES)
def test_races(name: str) -> None:
    insns, message = RACES[name]
    with pytest.raises(TokenError) as caught:
        judged(insns)
    assert message in str(caught.value)


ORDERED: dict[str, Sequence[Insn]] = {
    "a token": [replace(FILL, signal=V), replace(SUM, wait=L)],
    "a chain over another engine": [
        replace(FILL, signal=S),
        Store(sram=0, dram=0, wait=L, signal=V),
        replace(SUM, wait=S),
    ],
    "a later token of the same engine": [FILL, Fill(sram=40, signal=V), replace(SUM, wait=L)],
    "two reads": [replace(FILL, signal=V | S), replace(SUM, wait=L), replace(STORE, wait=L)],
    "interleaved strides": [
        replace(FILL, signal=V),
        Accum(op=AccumOp.SUM, overwrite=True, wait=L, loops=(AccumLevel(8, 2, 1),)),
        Fill(sram=1, loops=(FillLevel(7, 2),)),
    ],
}


@pytest.mark.parametrize("name", ORDERED)
def test_ordered(name: str) -> None:
    judged(ORDERED[name])


def test_footprints_visit_the_same_addresses() -> None:
    rng = random.Random(0)
    for _ in range(300):
        nest = tuple((rng.randint(1, 5), rng.randint(0, 9)) for _ in range(rng.randint(0, 5)))
        assert set(addresses(3, footprint(nest))) == set(addresses(3, nest)), nest


def test_constants_are_never_written_and_need_no_tokens() -> None:
    insns = [
        Load(memory=Memory.ACT, lanes=4, dram=0, signal=S),
        Store(wait=L, dram=200, lanes=4),
        Load(memory=Memory.ACT, lanes=4, dram=0, sram=1),
    ]
    verify(Program(encode_program(insns), 256, 128), CONFIG, bytes(128))
