"""The simulator equals the golden model on random programs: results, counters, refusals."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.runtime.outcomes import KERNELS, golden, simulated
from tests.support.programs import Case, legal_program, random_program

from zebra.errors import EncodingError
from zebra.isa.codec import decode
from zebra.isa.fields import WORD_BYTES
from zebra.isa.semantics import Counters

BEARABLE_ITERATIONS = 1 << 11


def iterations(word: bytes) -> int:
    try:
        return math.prod(level.extent for level in decode(word).levels)
    except EncodingError:
        return 1


def damaged(seed: int) -> Case:
    """A legal program with one to four bits flipped; no instruction runs for seconds."""
    case = legal_program(seed)
    rng = random.Random(f"damage of {seed}")
    code = bytearray(case.program.code)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(code))
        word = slice(at - at % WORD_BYTES, at - at % WORD_BYTES + WORD_BYTES)
        before = code[at]
        code[at] ^= 1 << rng.randrange(8)
        if BEARABLE_ITERATIONS < iterations(bytes(code[word])) <= 1 << 24:
            code[at] = before
    return replace(case, program=replace(case.program, code=bytes(code)))


def differing(seeds: range, make: Callable[[int], Case]) -> list[int]:
    """Seeds at which the simulator, with a kernel that depends on the seed, is not golden."""
    return [
        seed
        for seed in seeds
        for case in [make(seed)]
        if simulated(case, KERNELS[seed % len(KERNELS)]) != golden(case)
    ]


@pytest.mark.parametrize("chunk", range(4))
def test_random_programs_equal_golden(chunk: int) -> None:
    assert differing(range(chunk * 500, chunk * 500 + 500), random_program) == []


def test_random_programs_are_legal_and_illegal() -> None:
    """What the other tests compare: results, and refusals of every class."""
    ends = [simulated(random_program(seed))[0] for seed in range(200)]
    assert any(isinstance(end, Counters) for end in ends)
    assert {end.__name__ for end in ends if isinstance(end, type)} == {
        "AddressError",
        "EncodingError",
        "OperandError",
        "TokenError",
        "UninitializedError",
    }


def test_damaged_programs_equal_golden() -> None:
    assert differing(range(300), damaged) == []


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(100))
def test_many_random_programs_equal_golden(chunk: int) -> None:
    assert (
        differing(range(10_000 + chunk * 1000, 10_000 + chunk * 1000 + 1000), random_program) == []
    )


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(20))
def test_many_damaged_programs_equal_golden(chunk: int) -> None:
    assert differing(range(10_000 + chunk * 1000, 10_000 + chunk * 1000 + 1000), damaged) == []
