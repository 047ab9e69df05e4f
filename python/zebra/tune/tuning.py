"""Tuning workload by workload: measure, log, resume.

To resume is to tune again with a memory: the same seed proposes the same points,
and those in the log are answered from it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tvm import autotvm
from tvm.autotvm.measure import MeasureInput, MeasureResult

from zebra.hw import HwConfig
from zebra.schedule.tiling import GemmTiling, GemmWorkload
from zebra.tune.measuring import CycleRunner, Outcome, PointBuilder, Timer
from zebra.tune.records import LogFile, Record
from zebra.tune.task import make_task
from zebra.tune.tuners import make_tuner

Memory = dict[GemmTiling, Outcome]


@dataclass(slots=True)
class Progress:
    """How far the tuning of one workload is; cycles are None before the first result."""

    work: GemmWorkload
    points: int
    """Size of the config space."""
    trials: int = 0
    default: int | None = None
    """Cycles of the default tiling."""
    best: int | None = None
    tiling: GemmTiling | None = None
    """The best so far."""
    failed: int = 0

    def note(self, tiling: GemmTiling, cycles: int | None) -> None:
        """Take in one trial."""
        self.trials += 1
        if cycles is None:
            self.failed += 1
        elif self.best is None or cycles < self.best:
            self.best, self.tiling = cycles, tiling


@dataclass(frozen=True, slots=True)
class Options:
    """How to tune."""

    tuner: str = "xgb"
    trials: int = 128
    """Points per workload, those already in the log included."""
    seed: int = 0
    batch: int = 32
    """Points measured between two looks at the results and written to the log together."""


@dataclass(slots=True)
class _Remembering:
    """A timer that answers from memory where it can."""

    timer: Timer
    memory: Memory
    fresh: set[GemmTiling] = field(default_factory=set)
    """Timed, and not in the log yet."""

    @property
    def workers(self) -> int:
        """Those of the timer."""
        return self.timer.workers

    def time(self, work: GemmWorkload, tilings: Sequence[GemmTiling]) -> list[Outcome]:
        """One outcome for each tiling, in order."""
        new = list(dict.fromkeys(tiling for tiling in tilings if tiling not in self.memory))
        if new:
            self.memory.update(zip(new, self.timer.time(work, new), strict=True))
            self.fresh.update(new)
        return [self.memory[tiling] for tiling in tilings]


def remember(records: Sequence[Record], work: GemmWorkload, config: HwConfig) -> Memory:
    """What ``records`` know of a workload on a configuration."""
    return {
        entry.tiling: (entry.cycles(config) or 0, "" if entry.seconds else "failed before", 0.0)
        for entry in records
        if entry.work == work and entry.digest == config.digest
    }


def tune_workload(
    work: GemmWorkload,
    config: HwConfig,
    timer: Timer,
    log: LogFile,
    records: Sequence[Record] = (),
    options: Options = Options(),
    hints: Sequence[GemmTiling] = (),
    watch: Callable[[Progress], None] = lambda progress: None,
) -> Progress:
    """Tune one workload; the default tiling is measured first, then ``hints``.

    ``records`` are what ``log`` holds already. ``watch`` is called after every batch.
    """
    task = make_task(work, config)
    space = task.config_space
    progress = Progress(work, len(space))
    remembering = _Remembering(timer, remember(records, work, config))
    runner = CycleRunner(config, remembering)

    def done(_: Any, inputs: list[MeasureInput], results: list[MeasureResult]) -> None:
        pairs = []
        for given, result in zip(inputs, results, strict=True):
            tiling = space.tiling(given.config.index)
            cycles = None if result.error_no else remembering.memory[tiling][0]
            progress.note(tiling, cycles)
            if tiling in remembering.fresh:
                remembering.fresh.remove(tiling)
                pairs.append((given, result))
        log.append(pairs)
        watch(progress)

    known = (space.find(hint) for hint in hints)
    first = list(dict.fromkeys([0, *(point for point in known if point is not None)]))
    inputs = [MeasureInput(task.target, task, space.get(point)) for point in first]
    builder = PointBuilder(options.batch)
    results = runner.run(inputs, builder.build(inputs))
    done(None, inputs[:1], results[:1])
    progress.default = progress.best
    done(None, inputs[1:], results[1:])
    left = min(options.trials, len(space)) - len(first)
    if left > 0:
        tuner = make_tuner(options.tuner, task, options.seed, progress.best)
        option = autotvm.measure_option(builder=builder, runner=runner)
        tuner.tune(left, option, callbacks=[done])
    return progress
