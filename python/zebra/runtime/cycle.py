"""The cycle model as a driver: how long a program takes, and why. docs/cycle_model.md."""

from __future__ import annotations

import ctypes
import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
import numpy.typing as npt

from zebra.codegen.compiled import Compiled, LayerPart, LayerSpan
from zebra.errors import EnvironmentMismatchError
from zebra.hw import HwConfig
from zebra.isa.fields import WORD_BYTES
from zebra.isa.insns import Engine
from zebra.isa.program import Program
from zebra.runtime.fsim import hw_sizes
from zebra.runtime.native import DISTRIBUTION, ERROR_BYTES, STATUS, HwSizes, load_simulator


class Spent(enum.IntEnum):
    """What an engine does with a cycle: works at its full rate, or loses it for a reason."""

    BUSY = 0
    WAIT_LOAD = 1
    WAIT_GEMM = 2
    WAIT_VEC = 3
    WAIT_STORE = 4
    FETCH = 5
    """Its queue is empty: its next instruction is not fetched."""
    QUEUES = 6
    """Its queue is empty: its next instruction is behind one whose queue is full."""
    DRAM_LATENCY = 7
    """For the first byte."""
    DRAM_BANDWIDTH = 8
    """Other requesters have their share of the DRAM."""
    REQUESTS = 9
    """A request and an entry group per cycle: slower than the DRAM."""
    BANKS = 10
    """Neighbouring pixels lie in the same bank."""
    HAZARD = 11
    """What it reads or adds to is still in the pipeline."""
    PARAMETERS = 12
    """Reading PAR."""
    PIPELINE = 13
    """Its last instruction is not done, and the next cannot start."""
    FINISHED = 14
    """Nothing is left to do."""


RECORD = np.dtype(
    [(name, "<u8") for name in ("start", "end", "useful_bytes", "moved_bytes", "macs", "engine")]
    + [("cycles", "<u8", (len(Spent),))]
)
"""ZebraCycleRecord: one instruction. ``start``, ``end`` and ``cycles`` are in cycles."""

Records = npt.NDArray[np.void]


class CycleJob(ctypes.Structure):
    """ZebraCycleJob: one run. It borrows the code."""

    _fields_ = [
        ("sizes", HwSizes),
        ("dram_bytes_per_cycle", ctypes.c_uint32),
        ("dram_latency", ctypes.c_uint32),
        ("dram_burst_bytes", ctypes.c_uint32),
        ("code", ctypes.c_char_p),
        ("code_bytes", ctypes.c_uint64),
    ]


class NativeTotals(ctypes.Structure):
    """ZebraCycleTotals: a whole run."""

    _fields_ = [
        ("cycles", ctypes.c_uint64),
        ("instruction_bytes", ctypes.c_uint64),
        ("spent", ctypes.c_uint64 * len(Spent) * len(Engine)),
    ]


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes of DRAM: as the program means them, and as whole bursts move."""

    useful: int
    moved: int


@dataclass(frozen=True, slots=True)
class LayerCycles:
    """One layer. Layers overlap: their intervals do not add up to the program's cycles."""

    span: LayerSpan | LayerPart
    instructions: npt.NDArray[np.int64] = field(repr=False, compare=False)
    """Places in the program, ascending."""
    start: int
    """Cycle of the first work of any of its instructions."""
    end: int
    """Cycle by which its last instruction ended."""
    spent: Mapping[Engine, Mapping[Spent, int]]
    """Cycles of each engine on this layer's instructions, waiting included."""
    macs: Mapping[Engine, int]
    """Multiply-accumulates of GEMM and VEC, those of padding lanes and pixels included."""
    read: Traffic
    written: Traffic
    parts: tuple[LayerCycles, ...] = ()
    """The layers of a chain; each of its instructions is one of theirs."""


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One instruction: its engine works on it from ``start`` until ``end`` (cycles)."""

    index: int
    engine: Engine
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class CycleReport:
    """A program's time on one configuration. Times are in cycles of the array's clock."""

    config: HwConfig
    cycles: int
    spent: Mapping[Engine, Mapping[Spent, int]]
    """Of each engine; every engine's cycles sum to ``cycles``."""
    macs: int
    """Multiply-accumulates, those of padding lanes and pixels included."""
    read: Traffic
    """By LOAD."""
    written: Traffic
    """By STORE."""
    instruction_bytes: int
    """Fetched from DRAM, in whole bursts."""
    layers: tuple[LayerCycles, ...]
    timeline: tuple[TimelineEntry, ...]
    """One entry per instruction in program order; empty unless asked for."""

    @property
    def seconds(self) -> float:
        """``cycles`` at the configuration's clock."""
        return self.cycles / (self.config["CLOCK_MHZ"] * 1e6)

    def utilization(self, macs: int) -> float:
        """``macs``, a network's own multiply-accumulates, per cycle and multiplier of GEMM."""
        return macs / (self.cycles * self.config.macs_per_cycle)


def simulate(program: Compiled | Program, config: HwConfig, timeline: bool = False) -> CycleReport:
    """Time ``program`` on ``config``; a Compiled also by layer.

    Raises EncodingError, OperandError or TokenError for what is wrong without
    looking at addresses and data: verify the program or run it on fsim for the rest.
    """
    code, layers = _parts(program)
    records = np.zeros(len(code) // WORD_BYTES, RECORD)
    totals = _run(code, config, records)
    return CycleReport(
        config,
        totals.cycles,
        _by_engine(np.array(totals.spent)),
        int(records["macs"].sum()),
        _traffic(records, Engine.LOAD),
        _traffic(records, Engine.STORE),
        totals.instruction_bytes,
        tuple(_layer(span, records) for span in layers),
        _timeline(records) if timeline else (),
    )


def count_cycles(program: Program, config: HwConfig) -> int:
    """``simulate(program, config).cycles``, without the rest of the report."""
    return int(_run(program.code, config, None).cycles)


def _parts(program: Compiled | Program) -> tuple[bytes, tuple[LayerSpan, ...]]:
    if isinstance(program, Compiled):
        return program.program.code, program.layers
    return program.code, ()


@cache
def _library() -> ctypes.CDLL:
    library = load_simulator()
    try:
        run = library.zebra_cycle_run
    except AttributeError:
        raise EnvironmentMismatchError(
            f"the native library has no cycle model; install the {DISTRIBUTION} package again"
        ) from None
    run.argtypes = [
        ctypes.POINTER(CycleJob),
        ctypes.POINTER(NativeTotals),
        ctypes.c_void_p,
        ctypes.c_char_p,
        ctypes.c_size_t,
    ]
    run.restype = ctypes.c_int
    return library


def _run(code: bytes, config: HwConfig, records: Records | None) -> NativeTotals:
    """The totals; ``records``, if given, takes one RECORD per instruction."""
    job = CycleJob(
        hw_sizes(config),
        config["DRAM_BYTES_PER_CYCLE"],
        config["DRAM_LATENCY"],
        config["DRAM_BURST_BYTES"],
        code,
        len(code),
    )
    totals = NativeTotals()
    text = ctypes.create_string_buffer(ERROR_BYTES)
    status = _library().zebra_cycle_run(
        ctypes.byref(job),
        ctypes.byref(totals),
        None if records is None else records.ctypes.data,
        text,
        ERROR_BYTES,
    )
    if status:
        raise STATUS[status](text.value.decode("utf-8", "replace"))
    return totals


def _by_engine(spent: npt.NDArray[np.uint64]) -> dict[Engine, dict[Spent, int]]:
    """``spent`` [engines, kinds] by name."""
    return {engine: {kind: int(spent[engine, kind]) for kind in Spent} for engine in Engine}


def _traffic(records: Records, engine: Engine) -> Traffic:
    mine = records[records["engine"] == engine]
    return Traffic(int(mine["useful_bytes"].sum()), int(mine["moved_bytes"].sum()))


def _layer(span: LayerSpan, records: Records) -> LayerCycles:
    instructions = np.arange(span.first, span.last)
    owners = np.array(span.owners, np.int64)
    parts = tuple(
        _sum(part, instructions[owners == number], records)
        for number, part in enumerate(span.parts)
    )
    return replace(_sum(span, instructions, records), parts=parts)


def _sum(
    span: LayerSpan | LayerPart, instructions: npt.NDArray[np.int64], records: Records
) -> LayerCycles:
    mine = records[instructions]
    spent = np.zeros((len(Engine), len(Spent)), np.uint64)
    np.add.at(spent, mine["engine"], mine["cycles"])
    return LayerCycles(
        span,
        instructions,
        int(mine["start"].min()) if len(mine) else 0,
        int(mine["end"].max(initial=0)),
        _by_engine(spent),
        {engine: int(mine["macs"][mine["engine"] == engine].sum()) for engine in Engine},
        _traffic(mine, Engine.LOAD),
        _traffic(mine, Engine.STORE),
    )


def _timeline(records: Records) -> tuple[TimelineEntry, ...]:
    return tuple(
        TimelineEntry(
            index, Engine(int(record["engine"])), int(record["start"]), int(record["end"])
        )
        for index, record in enumerate(records)
    )
