"""Dependency tokens from the hazards of a program in its sequential order.

Instructions are added in an order that is right when executed one by one. For
every pair of engines the tracker finds the latest earlier instruction that the
new one must wait for (read after write, write after read, write after write on
overlapping addresses) and connects the two by a token, unless an earlier wait
already implies it. Waiting only for earlier instructions cannot deadlock.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

from zebra.isa.insns import Engine, Memory

Interval = tuple[Memory, int, int, bool]
"""(memory, first address, address behind the last, whether it is written)."""

_NONE = -1
_ENGINES = tuple(int(engine) for engine in Engine)
_IDLE = (_NONE,) * len(_ENGINES)


class _Segments:
    """Last writer and last readers of every address of one memory, as disjoint segments."""

    def __init__(self) -> None:
        self.starts: list[int] = [0]
        self.state: list[tuple[int, int, tuple[int, ...]]] = [(_NONE, 0, _IDLE)]
        # state: (index of the last write, its engine, last read since then by each engine)

    def _cut(self, address: int, low: int) -> int:
        """Index (from ``low`` on) of the segment that starts at ``address``, split if need be."""
        starts = self.starts
        position = bisect_left(starts, address, low)
        if position == len(starts) or starts[position] != address:
            starts.insert(position, address)
            self.state.insert(position, self.state[position - 1])
        return position

    def touch(
        self, start: int, stop: int, write: bool, engine: int, index: int, needs: list[int]
    ) -> None:
        """Record an access and raise ``needs[other engine]`` to what it depends on."""
        first = self._cut(start, 0)
        last = self._cut(stop, first)
        state = self.state
        for position in range(first, last):
            writer, writer_engine, readers = state[position]
            if writer > needs[writer_engine]:
                needs[writer_engine] = writer
            if not write:
                marked = (*readers[:engine], index, *readers[engine + 1 :])
                state[position] = (writer, writer_engine, marked)
            elif readers is not _IDLE:
                needs[:] = map(max, needs, readers)
        if write:
            self.starts[first:last] = [start]
            state[first:last] = [(index, engine, _IDLE)]

    def last_touch(self, start: int, stop: int) -> int:
        """Index of the last instruction that touched [start, stop); -1 if none did."""
        first = bisect_right(self.starts, start) - 1
        last = bisect_left(self.starts, stop)
        return max(max(writer, *readers) for writer, _, readers in self.state[first:last])


class TokenStream:
    """The tokens of instructions in sequential order."""

    def __init__(self) -> None:
        self._wait: list[int] = []
        self._signal: list[int] = []
        self._memories: dict[Memory, _Segments] = {memory: _Segments() for memory in Memory}
        self._known = [[_NONE] * len(Engine) for _ in Engine]
        # _known[e][x]: engine e has waited for engine x's instructions up to this index

    def __len__(self) -> int:
        return len(self._wait)

    def last_touch(self, memory: Memory, start: int, stop: int) -> int:
        """Index of the last instruction that touched addresses [start, stop); -1 if none did."""
        return self._memories[memory].last_touch(start, stop)

    def add(self, engine: int, touched: Iterable[Interval]) -> None:
        """Append an instruction of ``engine`` that touches the given address intervals."""
        index = len(self._wait)
        needs = list(_IDLE)
        for memory, start, stop, write in touched:
            self._memories[memory].touch(start, stop, write, engine, index, needs)
        wait = 0
        known = self._known[engine]
        for other in _ENGINES:
            if other != engine and needs[other] > known[other]:
                known[other] = needs[other]
                self._signal[needs[other]] |= 1 << engine
                wait |= 1 << other
        self._wait.append(wait)
        self._signal.append(0)

    def masks(self) -> list[tuple[int, int]]:
        """(wait, signal) of every instruction so far."""
        return list(zip(self._wait, self._signal, strict=True))
