"""Dependency tokens: one queue from every engine to every other."""

from __future__ import annotations

from collections import deque
from functools import cache
from typing import Generic, TypeVar

from zebra.errors import TokenError
from zebra.isa.insns import Engine, Insn

T = TypeVar("T")


@cache
def named_engines(mask: int) -> tuple[Engine, ...]:
    """The engines of a token mask, in engine order."""
    return tuple(engine for engine in Engine if mask >> engine & 1)


class Tokens(Generic[T]):
    """The tokens given and not yet taken; each carries what its giver attached."""

    def __init__(self) -> None:
        self._queues: dict[tuple[Engine, Engine], deque[T]] = {
            (giver, taker): deque() for giver in Engine for taker in Engine if giver is not taker
        }

    def take(self, where: str, insn: Insn) -> list[T]:
        """Take what ``insn`` waits for; TokenError names the engine that gave nothing."""
        taken = []
        for giver in named_engines(insn.wait):
            queue = self._queues[giver, insn.ENGINE]
            if not queue:
                raise TokenError(
                    f"{where}: waits for a token from {giver.name}, but none is there; "
                    f"an earlier {giver.name} instruction must signal {insn.ENGINE.name}"
                )
            taken.append(queue.popleft())
        return taken

    def give(self, insn: Insn, attached: T) -> None:
        """Give the tokens that ``insn`` signals."""
        for taker in named_engines(insn.signal):
            self._queues[insn.ENGINE, taker].append(attached)

    def check_empty(self) -> None:
        """Raise TokenError if a token is left."""
        for (giver, taker), queue in self._queues.items():
            if queue:
                raise TokenError(
                    f"the program ends with {len(queue)} token(s) from {giver.name} to "
                    f"{taker.name} that nothing waits for"
                )
