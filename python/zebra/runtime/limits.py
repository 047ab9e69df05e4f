"""What limits a layer: the resource it uses most of the time, or what its worker waits for."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from zebra.runtime.cycle import Spent

MOSTLY = 0.5
"""A resource in use for more than this share of a layer's time is what limits the layer."""

Stalls = Mapping[str, int]
"""Cycles lost, by the name of a ``Spent``."""


class Resource(enum.Enum):
    """What can limit a layer."""

    ARRAY = "array"
    VEC = "VEC"
    DRAM = "DRAM"
    STALLS = "stalls"
    """No resource is in use for most of the time."""


@dataclass(frozen=True, slots=True)
class EngineTime:
    """Cycles of one engine: at work at its full rate, or lost, by the name of a ``Spent``."""

    busy: int
    stalled: Stalls

    @property
    def cycles(self) -> int:
        """Busy and stalled."""
        return self.busy + sum(self.stalled.values())


@dataclass(frozen=True, slots=True)
class Limit:
    """What limits a layer: ``share`` of its time the ``resource`` is in use, or stalled."""

    resource: Resource
    share: float
    text: str
    """For people: with the share, and the reason of the stalls."""


WORDS = {
    Spent.BUSY: "at work",
    Spent.WAIT_LOAD: "waiting for LOAD",
    Spent.WAIT_GEMM: "waiting for GEMM",
    Spent.WAIT_VEC: "waiting for VEC",
    Spent.WAIT_STORE: "waiting for STORE",
    Spent.FETCH: "instruction fetch",
    Spent.QUEUES: "behind a full queue",
    Spent.DRAM_LATENCY: "DRAM latency",
    Spent.DRAM_BANDWIDTH: "DRAM shared",
    Spent.REQUESTS: "small DRAM requests",
    Spent.BANKS: "bank conflicts",
    Spent.HAZARD: "pipeline hazards",
    Spent.PARAMETERS: "reading parameters",
    Spent.PIPELINE: "pipeline drain",
    Spent.FINISHED: "nothing left to do",
}
"""What an engine spends cycles on, for people."""


def limit_of(engines: Mapping[str, EngineTime], transfers: float, window: int) -> Limit:
    """``transfers``: cycles of the DRAM's bus for all that the layer moves."""
    used = {
        Resource.ARRAY: engines["GEMM"].busy,
        Resource.VEC: engines["VEC"].busy,
        Resource.DRAM: transfers,
    }
    resource = max(used, key=lambda each: used[each])
    share = min(used[resource] / window, 1.0) if window else 0.0
    if share > MOSTLY:
        return Limit(resource, share, f"{resource.value} {share:.0%}")
    return _stall_limit(engines)


def worker_of(engines: Mapping[str, EngineTime]) -> str:
    """The engine that does the layer's arithmetic, else its moves."""
    return next((name for name in ("GEMM", "VEC", "STORE", "LOAD") if engines[name].busy), "STORE")


def _stall_limit(engines: Mapping[str, EngineTime]) -> Limit:
    """The largest loss of the layer's worker."""
    worker = worker_of(engines)
    time = engines[worker]
    lost = {name: n for name, n in time.stalled.items() if name != Spent.FINISHED.name}
    if not any(lost.values()):
        return Limit(Resource.STALLS, 0.0, "nothing")
    name = max(lost, key=lambda each: lost[each])
    share = lost[name] / time.cycles
    text = f"{worker}: {WORDS[Spent[name]]} {share:.0%}"
    if name.startswith("WAIT_"):
        text += _cause(engines[name.removeprefix("WAIT_")])
    return Limit(Resource.STALLS, share, text)


def _cause(awaited: EngineTime) -> str:
    """What the engine that is waited for does with most of its time."""
    lost = {"at work": awaited.busy}
    lost |= {
        WORDS[Spent[name]]: cycles
        for name, cycles in awaited.stalled.items()
        if name != Spent.FINISHED.name
    }
    name = max(lost, key=lambda each: lost[each])
    return f" ({name})" if lost[name] else ""
