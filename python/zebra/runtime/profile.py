"""Where the cycles of a compiled region go: the cycle model's report, judged. No TVM.

All cycles of one inference count; weights start in DRAM. docs/profile.md says
what every figure means.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate, pairwise

import numpy as np

from zebra.artifact import Artifact
from zebra.hw import HwConfig
from zebra.isa.fields import WORD_BYTES
from zebra.isa.insns import Engine
from zebra.isa.program import Program
from zebra.runtime.cycle import CycleReport, LayerCycles, Spent, simulate
from zebra.runtime.limits import (
    WORDS,
    EngineTime,
    Limit,
    Resource,
    Stalls,
    limit_of,
    worker_of,
)
from zebra.runtime.transfers import Touched, touched

ENGINES = tuple(engine.name for engine in Engine)


@dataclass(frozen=True, slots=True)
class ArrayUse:
    """What became of the array's time, in cycles; the parts sum to the GEMM engine's cycles."""

    useful: float
    """Multiply-accumulates of the network itself."""
    padding: float
    """Of padding channels, of the zeros between groups, and second passes of wide weights."""
    rows: float
    """Rows without a pixel, at the end of a tile's lines."""
    stalled: Stalls

    def losses(self) -> dict[str, float]:
        """Everything but ``useful``, in cycles, by name; the largest first, zeros left out."""
        parts = {"padding lanes": self.padding, "idle rows": self.rows}
        parts |= {WORDS[Spent[name]]: float(cycles) for name, cycles in self.stalled.items()}
        found = [(name, cycles) for name, cycles in parts.items() if cycles > 0]
        return dict(sorted(found, key=lambda part: -part[1]))


@dataclass(frozen=True, slots=True)
class LayerProfile:
    """One layer, or one of the layers that run as one chain of stripes.

    Layers overlap: ``cycles`` add up to the region's, ``begin .. end`` do not. In a chain
    all layers run at once; their ``cycles`` add up to the chain's.
    """

    name: str
    origin: str
    macs: int
    """Of the network's own operator."""
    cycles: int
    """By how much the layer moved the end of all work so far.

    In a chain: its share of the chain's, which is divided as the busiest engine's cycles are.
    """
    begin: int
    """Cycle at which the layers before had ended or this one's arithmetic began.

    In a chain: at which its own arithmetic began.
    """
    end: int
    """Cycle at which its last instruction ended."""
    window: int
    """Cycles from ``begin`` to ``end``.

    In a chain: those that the engine of its arithmetic spent on it, at work or waiting.
    """
    bound_cycles: float
    """The roofline: the longer of MACs at peak rate and least bytes at DRAM rate."""
    bound: Resource
    """Which of the two, ARRAY or DRAM."""
    limit: Limit
    read_bytes: int
    written_bytes: int
    """Data moved over the DRAM's bus, in whole bursts."""
    code_bytes: int
    """Its instructions."""
    least_bytes: int
    """Distinct bytes it reads, distinct bytes it writes, and its instructions."""
    peak: int
    """Multiply-accumulates per cycle of the array."""
    engines: Mapping[str, EngineTime]
    array: ArrayUse
    dram: Touched = field(repr=False, compare=False)
    """The bytes behind ``least_bytes``, instructions apart."""
    parts: tuple[LayerProfile, ...] = ()
    """The layers of a chain; empty for a layer that runs alone."""

    @property
    def dram_bytes(self) -> int:
        """Everything moved: read, written and the instructions."""
        return self.read_bytes + self.written_bytes + self.code_bytes

    @property
    def mac_utilization(self) -> float:
        """``macs`` per cycle of the window and multiplier of the array."""
        return self.macs / (self.window * self.peak) if self.window else 0.0

    @property
    def macs_per_byte(self) -> float:
        """Arithmetic intensity over ``least_bytes``."""
        return self.macs / self.least_bytes if self.least_bytes else 0.0


@dataclass(frozen=True)
class RegionProfile:
    """One region of a network on one accelerator."""

    artifact: Artifact
    report: CycleReport
    layers: tuple[LayerProfile, ...]

    @property
    def name(self) -> str:
        """The region's function."""
        return self.artifact.compiled.name

    @property
    def config(self) -> HwConfig:
        """The accelerator."""
        return self.artifact.config

    @cached_property
    def rows(self) -> tuple[LayerProfile, ...]:
        """The layers, those of a chain behind the chain itself."""
        return tuple(row for layer in self.layers for row in (layer, *layer.parts))

    @property
    def cycles(self) -> int:
        """Of one run, weights coming from DRAM."""
        return self.report.cycles

    @cached_property
    def macs(self) -> int:
        """Of the network's own convolutions and dense layers."""
        return sum(layer.macs for layer in self.layers)

    @property
    def dram_bytes(self) -> int:
        """All that moves over the DRAM's bus, in whole bursts, instructions included."""
        report = self.report
        return report.read.moved + report.written.moved + report.instruction_bytes

    @property
    def weight_bytes(self) -> int:
        """Packed weights, parameters and tables."""
        return len(self.artifact.compiled.constants)

    @property
    def code_bytes(self) -> int:
        """Instructions."""
        return len(self.artifact.compiled.program.code)

    @property
    def dram_bytes_min(self) -> int:
        """Constants, inputs, outputs and instructions, each once."""
        program = self.artifact.compiled.program
        ports = sum(span.size for span in program.inputs + program.outputs)
        return self.weight_bytes + ports + self.code_bytes

    @property
    def engines(self) -> dict[str, EngineTime]:
        """Every engine; its times sum to ``cycles``."""
        return _engines(self.report.spent)

    @cached_property
    def array(self) -> ArrayUse:
        """What became of every cycle of the array."""
        return replace(_sum_array(self.layers), stalled=self.engines["GEMM"].stalled)


def profile_region(artifact: Artifact) -> RegionProfile:
    """Time a compiled region on the cycle model and judge its layers.

    EncodingError, OperandError or TokenError where its program is not sound.
    """
    report = simulate(artifact.compiled, artifact.config, timeline=True)
    layers: list[LayerProfile] = []
    done = 0
    for layer in report.layers:
        layers.append(_layer(layer, done, artifact.compiled.program, report))
        done = max(done, layer.end)
    return RegionProfile(artifact, report, tuple(layers))


def _layer(layer: LayerCycles, done: int, program: Program, report: CycleReport) -> LayerProfile:
    """``done``: the cycle by which all layers before had ended."""
    begin = min(done, _arithmetic_start(layer, report), layer.end)
    cycles = max(layer.end - done, 0)
    whole = _judged(layer, cycles, begin, layer.end - begin, program, report.config)
    parts = tuple(
        _part(part, share, program, report)
        for part, share in zip(layer.parts, _shares(layer, cycles), strict=True)
    )
    return replace(whole, parts=parts, array=_sum_array(parts)) if parts else whole


def _part(part: LayerCycles, cycles: int, program: Program, report: CycleReport) -> LayerProfile:
    """A layer of a chain: it shares its time with others, the cycles of an engine it does not."""
    begin = min(_arithmetic_start(part, report), part.end)
    worker = Engine[worker_of(_engines(part.spent))]
    window = sum(part.spent[worker].values())
    found = _judged(part, cycles, begin, window, program, report.config)
    # Transfers go on beside the engine's time and not in it: it waits for them, or it does not.
    return replace(found, limit=limit_of(found.engines, 0, window))


def _shares(layer: LayerCycles, cycles: int) -> list[int]:
    """A chain's ``cycles``, divided among its layers as those of its busiest engine are."""
    busiest = max(Engine, key=lambda engine: layer.spent[engine][Spent.BUSY])
    spent = [sum(part.spent[busiest].values()) for part in layer.parts]
    total = max(sum(spent), 1)
    ends = [cycles * sofar // total for sofar in accumulate(spent, initial=0)]
    return [end - start for start, end in pairwise(ends)]


def _judged(
    layer: LayerCycles, cycles: int, begin: int, window: int, program: Program, config: HwConfig
) -> LayerProfile:
    span = layer.span
    words = np.frombuffer(program.code, np.uint8).reshape(-1, WORD_BYTES)
    code = words[layer.instructions].tobytes()
    dram = touched(code, config)
    least = dram.bytes + len(code)
    moved = layer.read.moved + layer.written.moved + len(code)
    compute = span.macs / config.macs_per_cycle
    traffic = least / config["DRAM_BYTES_PER_CYCLE"]
    engines = _engines(layer.spent)
    return LayerProfile(
        span.name,
        span.origin,
        span.macs,
        cycles,
        begin,
        layer.end,
        window,
        max(compute, traffic),
        Resource.ARRAY if compute >= traffic else Resource.DRAM,
        limit_of(engines, moved / config["DRAM_BYTES_PER_CYCLE"], window),
        layer.read.moved,
        layer.written.moved,
        len(code),
        least,
        config.macs_per_cycle,
        engines,
        _array_use(layer, config),
        dram,
    )


def _arithmetic_start(layer: LayerCycles, report: CycleReport) -> int:
    """When GEMM or VEC first worked on the layer; its end if they never did."""
    mine = (report.timeline[index] for index in layer.instructions)
    starts = (entry.start for entry in mine if entry.engine in (Engine.GEMM, Engine.VEC))
    return min(starts, default=layer.end)


def _array_use(layer: LayerCycles, config: HwConfig) -> ArrayUse:
    """Depthwise convolutions run on VEC and are no use of the array."""
    spent = layer.spent[Engine.GEMM]
    done = layer.macs[Engine.GEMM] / config.macs_per_cycle
    # A transposed convolution's own count has taps that fall beside its output.
    own = layer.span.macs - layer.span.vec_macs
    useful = min(own / config.macs_per_cycle, done)
    return ArrayUse(useful, done - useful, spent[Spent.BUSY] - done, _stalls(spent))


def _sum_array(layers: Iterable[LayerProfile]) -> ArrayUse:
    """Of several layers together."""
    arrays = [layer.array for layer in layers]
    stalled: Counter[str] = Counter()
    for array in arrays:
        stalled.update(array.stalled)
    return ArrayUse(
        sum(array.useful for array in arrays),
        sum(array.padding for array in arrays),
        sum(array.rows for array in arrays),
        stalled,
    )


def _engines(spent: Mapping[Engine, Mapping[Spent, int]]) -> dict[str, EngineTime]:
    return {
        engine.name: EngineTime(times[Spent.BUSY], _stalls(times))
        for engine, times in spent.items()
    }


def _stalls(times: Mapping[Spent, int]) -> dict[str, int]:
    return {kind.name: cycles for kind, cycles in times.items() if kind is not Spent.BUSY}
