"""The native verifier judges as the golden one: the same class, at the same instruction."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.support.graphs import random_graph
from tests.support.mutations import mutate
from tests.support.programs import legal_program, random_program
from tests.support.races import CONFIG, ORDERED, RACES, program_of, without_token

from zebra.codegen import compile_graph
from zebra.errors import AddressError, EncodingError, TokenError, ZebraError
from zebra.hw import HwConfig, find_config
from zebra.isa import verify as golden
from zebra.isa.codec import decode_program, encode_program
from zebra.isa.program import Program, Span
from zebra.runtime import verify as native

Verifier = Callable[[Program, HwConfig], None]


def judgement(verifier: Verifier, program: Program, config: HwConfig) -> str:
    """ "ok", or the error's class, where it is and whether it is a race."""
    try:
        verifier(program, config)
    except ZebraError as error:
        text = str(error)
        place = re.match(r"instruction \d+", text)
        race = " race" if "no chain of tokens" in text else ""
        return f"{type(error).__name__} {place.group() if place else 'at the end'}{race}"
    return "ok"


def both(program: Program, config: HwConfig) -> tuple[str, str]:
    return judgement(native.verify, program, config), judgement(golden.verify, program, config)


def test_random_programs_are_judged_alike() -> None:
    seen: set[str] = set()
    for seed in range(300):
        case = random_program(seed)
        mine, theirs = both(case.program, case.config)
        assert mine == theirs, seed
        seen.add(mine.split(" ")[0])
    assert seen == {
        "ok",
        "AddressError",
        "EncodingError",
        "OperandError",
        "TokenError",
        "UninitializedError",
    }


def test_damaged_programs_are_judged_alike() -> None:
    seen: dict[str, int] = {}
    for seed in range(300):
        case = legal_program(seed)
        damaged = mutate(random.Random(seed), case.program, case.config)
        mine, theirs = both(damaged, case.config)
        assert mine == theirs, seed
        seen[mine.split(" ")[0]] = seen.get(mine.split(" ")[0], 0) + 1
    assert len(seen) == 6
    assert seen["ok"] < 150


def test_missing_tokens_are_found_alike() -> None:
    races = 0
    for seed in range(150):
        case = legal_program(seed)
        insns = without_token(random.Random(seed), list(decode_program(case.program.code)))
        program = replace(case.program, code=encode_program(insns))
        mine, theirs = both(program, case.config)
        assert mine == theirs, seed
        races += mine.endswith("race")
    assert races > 40


@pytest.mark.parametrize("name", RACES)
def test_races_are_told_in_the_same_words(name: str) -> None:
    insns, message = RACES[name]
    with pytest.raises(TokenError) as mine:
        native.verify(program_of(insns), CONFIG)
    with pytest.raises(TokenError) as theirs:
        golden.verify(program_of(insns), CONFIG)
    assert message in str(mine.value)
    assert str(mine.value) == str(theirs.value)


@pytest.mark.parametrize("name", ORDERED)
def test_enough_tokens_are_enough(name: str) -> None:
    native.verify(program_of(ORDERED[name]), CONFIG)


@pytest.mark.parametrize("seed", range(4))
def test_what_the_compiler_emits_is_legal(seed: int) -> None:
    config = find_config("ultra96")
    graph = random_graph(seed)
    by_native = compile_graph(graph, config, check=native.verify)
    assert by_native.program == compile_graph(graph, config).program


def test_the_compiler_refuses_what_its_verifier_refuses() -> None:
    def refuse(program: Program, config: HwConfig) -> None:
        raise TokenError("no")

    with pytest.raises(TokenError, match="no"):
        compile_graph(random_graph(0), find_config("zebra"), check=refuse)


@pytest.mark.parametrize(
    ("program", "error", "message"),
    [
        pytest.param(Program(b"x", 8), EncodingError, "code of 1 bytes", id="part of a word"),
        pytest.param(
            Program(b"", 8, 0, (Span(4, 8),)), AddressError, "input span of 8 bytes at 4", id="span"
        ),
        pytest.param(Program(b"", 8, 9), AddressError, "9 constant bytes", id="constants"),
    ],
)
def test_the_contract_is_checked(program: Program, error: type[ZebraError], message: str) -> None:
    with pytest.raises(error, match=message):
        native.verify(program, CONFIG)


def test_without_the_library_the_golden_verifier_judges(monkeypatch: pytest.MonkeyPatch) -> None:
    assert native.find_verifier() is native.verify
    monkeypatch.setattr(native, "is_built", lambda: False)
    assert native.find_verifier() is golden.verify
