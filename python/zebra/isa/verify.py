"""Proves a program legal before it runs, without data.

The rules and their order are those of the golden semantics; on top comes the
race check: every two conflicting accesses of different engines must be ordered
by tokens. Parameters of POST are checked too where they come from constants.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from zebra.errors import OperandError, TokenError
from zebra.hw import HwConfig
from zebra.isa.access import UNITS, Access, accesses, addresses, nest_of, view
from zebra.isa.check import check_operands, check_parameters, parameter_groups, place
from zebra.isa.codec import decode_program
from zebra.isa.insns import Engine, Insn, Load, Memory, Post
from zebra.isa.memories import Memories
from zebra.isa.operations import Machine, run
from zebra.isa.program import Program
from zebra.isa.tokens import Tokens

Clock = tuple[int, ...]
"""Per engine, how many of its instructions are known to be done."""


@dataclass(slots=True)
class History:
    """One engine's last reads, or last writes, of every entry of one memory.

    ``last`` int32 [entries] counts the engine's instructions from 1; ``latest`` is
    its maximum.
    """

    engine: Engine
    wrote: bool
    last: npt.NDArray[np.int32]
    latest: int = 0


class Races:
    """Vector clocks of the engines and, per memory entry, each engine's last accesses.

    An instruction of engine X knows that the n-th instruction of Y is done if a
    chain of tokens and queue order leads from there to it: its clock[Y] >= n. As
    an engine works in order, knowing its last access to an entry done is enough.
    """

    def __init__(self, memories: Memories) -> None:
        self._memories = memories
        self._clocks: dict[Engine, Clock] = {engine: (0,) * len(Engine) for engine in Engine}
        self._names: dict[Engine, list[str]] = {engine: [] for engine in Engine}
        self._histories: dict[Memory, dict[tuple[Engine, bool], History]] = {
            memory: {} for memory in Memory
        }

    def enter(self, where: str, insn: Insn, received: Iterable[Clock]) -> Clock:
        """The clock of ``insn``, which got ``received`` with its tokens."""
        engine = insn.ENGINE
        clock = [max(known) for known in zip(self._clocks[engine], *received, strict=True)]
        self._names[engine].append(where)
        clock[engine] = len(self._names[engine])
        entered = self._clocks[engine] = tuple(clock)
        return entered

    def check(self, where: str, insn: Insn, clock: Clock, touched: Iterable[Access]) -> None:
        """Raise TokenError for an access not ordered after an earlier conflicting one."""
        for access in touched:
            for history in self._histories[access.memory].values():
                known = clock[history.engine]
                if history.engine is insn.ENGINE or history.latest <= known:
                    continue
                if not (access.write or history.wrote):
                    continue
                if np.maximum.reduce(view(history.last, access), axis=None) > known:
                    self._refuse(where, insn, known, access, history)

    def _refuse(self, where: str, insn: Insn, known: int, access: Access, history: History) -> None:
        visited = addresses(access.base, access.nest)
        first = visited[history.last[visited] > known][0]
        engine = history.engine
        raise TokenError(
            f"{where} {'writes' if access.write else 'reads'} {access.memory.name} "
            f"{UNITS[access.memory][:-1]} {first} ({access.operand}), which "
            f"{self._names[engine][history.last[first] - 1]} "
            f"{'writes' if history.wrote else 'reads'}: no chain "
            f"of tokens from {engine.name} to {insn.ENGINE.name} orders the two"
        )

    def note(self, insn: Insn, clock: Clock, touched: Iterable[Access]) -> None:
        """Remember the accesses of ``insn``; constants are never written and need no record."""
        engine = insn.ENGINE
        now = clock[engine]
        for access in touched:
            memory = access.memory
            if memory is Memory.DRAM and access.last < self._memories.constant_bytes:
                continue
            key = (engine, access.write)
            history = self._histories[memory].get(key)
            if history is None:
                last = np.zeros(self._memories.sizes[memory], np.int32)
                history = self._histories[memory][key] = History(engine, access.write, last)
            view(history.last, access)[...] = now
            history.latest = now


class Parameters:
    """PAR as far as it is known to come from constants."""

    def __init__(self, program: Program, config: HwConfig, constants: bytes) -> None:
        if len(constants) != program.constant_bytes:
            raise OperandError(
                f"{len(constants)} constant bytes given, the program declares "
                f"{program.constant_bytes}"
            )
        self._machine = Machine(config, np.frombuffer(constants, np.uint8))
        self._known = np.zeros(config.par_entries, np.bool_)

    def follow(self, where: str, insn: Insn, touched: tuple[Access, ...]) -> None:
        """Load known parameters; raise OperandError for a known one that POST cannot use."""
        if isinstance(insn, Load) and insn.memory is Memory.PAR:
            constant = touched[0].last < self._machine.dram.size
            view(self._known, touched[-1])[...] = constant
            if constant:
                run(where, insn, self._machine)
        elif isinstance(insn, Post):
            base = np.unique(addresses(insn.par, nest_of(insn.loops, "par")))
            for group in range(parameter_groups(insn.op)):
                used = base[:, None] + np.arange(3 * group, 3 * group + 3)
                used = used[self._known[used].all(axis=1)]
                check_parameters(where, insn, group, self._machine.par[used], self._machine.config)


def verify(program: Program, config: HwConfig, constants: bytes | None = None) -> None:
    """Raise the error of the first rule of docs/architecture.md that ``program`` breaks.

    With ``constants`` (the first ``constant_bytes`` of DRAM), POST parameters
    loaded from them are checked as well; those that a program computes are not.
    """
    memories = Memories(program, config)
    tokens: Tokens[Clock] = Tokens()
    races = Races(memories)
    parameters = None if constants is None else Parameters(program, config, constants)
    for index, insn in enumerate(decode_program(program.code)):
        where = place(index, insn)
        check_operands(where, insn, config)
        clock = races.enter(where, insn, tokens.take(where, insn))
        touched = accesses(insn, config)
        memories.check_bounds(where, touched)
        memories.check_written(where, touched)
        if parameters is not None:
            parameters.follow(where, insn, touched)
        races.check(where, insn, clock, touched)
        races.note(insn, clock, touched)
        memories.mark_written(touched)
        tokens.give(insn, clock)
    tokens.check_empty()
    memories.check_outputs()
