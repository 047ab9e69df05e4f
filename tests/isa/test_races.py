"""The race check against a brute force over exact address sets and all token chains."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from tests.support.programs import legal_program
from tests.support.races import (
    CONFIG,
    ORDERED,
    RACES,
    L,
    S,
    program_of,
    token_pairs,
    without_token,
)

from zebra.errors import TokenError
from zebra.hw import HwConfig
from zebra.isa.access import Access, accesses, addresses, footprint
from zebra.isa.codec import decode_program, encode_program
from zebra.isa.insns import (
    Insn,
    Load,
    Memory,
    Store,
)
from zebra.isa.program import Program
from zebra.isa.verify import verify


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
    verify(program_of(insns), CONFIG)


@pytest.mark.parametrize("name", RACES)
def test_races(name: str) -> None:
    insns, message = RACES[name]
    with pytest.raises(TokenError) as caught:
        judged(insns)
    assert message in str(caught.value)


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
