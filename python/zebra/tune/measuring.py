"""AutoTVM's two measuring steps, on the cycle model.

The builder packs a point; whoever times it also emits its instructions, because a
point is a line of text and its program is a hundred kilobytes.
"""

from __future__ import annotations

import time
import traceback
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

from tvm.autotvm.measure import MeasureErrorNo, MeasureInput, MeasureResult
from tvm.autotvm.measure.measure import Builder, Runner

from zebra.errors import ZebraError
from zebra.hw import HwConfig
from zebra.schedule.tiling import GemmTiling, GemmWorkload
from zebra.tune.measure import Meter
from zebra.tune.task import work_of

Outcome = tuple[int, str, float]
"""(cycles, "", seconds it took to measure), or (0, traceback, seconds) if that failed."""


class Timer(Protocol):
    """Times tilings of one workload, here or elsewhere."""

    @property
    def workers(self) -> int:
        """How many points are timed at once."""
        ...

    def time(self, work: GemmWorkload, tilings: Sequence[GemmTiling]) -> list[Outcome]:
        """One outcome for each tiling, in order."""
        ...


def time_here(work: GemmWorkload, config: HwConfig, tilings: Sequence[GemmTiling]) -> list[Outcome]:
    """Time the tilings in this process, one after the other."""
    return [_time_one(work, config, tiling) for tiling in tilings]


_METERS: OrderedDict[tuple[GemmWorkload, str], Meter] = OrderedDict()
"""Those of the last workloads; making one takes longer than a trial."""


def _meter(work: GemmWorkload, config: HwConfig) -> Meter:
    key = (work, config.digest)
    if key not in _METERS:
        _METERS[key] = Meter(work, config)
        if len(_METERS) > 16:
            _METERS.popitem(last=False)
    return _METERS[key]


def _time_one(work: GemmWorkload, config: HwConfig, tiling: GemmTiling) -> Outcome:
    start = time.perf_counter()
    try:
        cycles, problem = _meter(work, config).cycles(tiling), ""
    except ZebraError:
        cycles, problem = 0, traceback.format_exc()
    return cycles, problem, time.perf_counter() - start


class LocalTimer:
    """Times in this process, or in ``workers`` of its own."""

    def __init__(self, config: HwConfig, workers: int = 1) -> None:
        self.config, self.workers = config, workers
        self._pool = ProcessPoolExecutor(workers) if workers > 1 else None

    def time(self, work: GemmWorkload, tilings: Sequence[GemmTiling]) -> list[Outcome]:
        """One outcome for each tiling, in order."""
        if self._pool is None:
            return time_here(work, self.config, tilings)
        size = max(1, len(tilings) // (4 * self.workers))
        parts = [tilings[first : first + size] for first in range(0, len(tilings), size)]
        jobs = [self._pool.submit(time_here, work, self.config, part) for part in parts]
        return [outcome for job in jobs for outcome in job.result()]

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


@dataclass(frozen=True, slots=True)
class Built:
    """A point ready to be timed."""

    work: GemmWorkload
    tiling: GemmTiling


class PointBuilder(Builder):  # type: ignore[misc]
    """Takes the workload and the tiling out of AutoTVM's inputs."""

    def __init__(self, batch: int = 64) -> None:
        """``batch`` is how many points AutoTVM has measured before it looks at the results."""
        super().__init__(timeout=0, n_parallel=batch)

    def build(self, measure_inputs: Sequence[MeasureInput]) -> list[Built]:
        """One Built for each input; all are of one workload."""
        if not measure_inputs:
            return []
        work, space = work_of(measure_inputs[0].task.args), measure_inputs[0].task.config_space
        return [Built(work, space.tiling(each.config.index)) for each in measure_inputs]


class CycleRunner(Runner):  # type: ignore[misc]
    """Times built points on the cycle model; costs are seconds at the configuration's clock."""

    def __init__(self, config: HwConfig, timer: Timer) -> None:
        super().__init__(timeout=0, n_parallel=timer.workers)
        self._hertz = config["CLOCK_MHZ"] * 1e6
        self._timer = timer

    def get_build_kwargs(self) -> dict[str, Any]:
        """Nothing: a builder needs to know nothing of the runner."""
        return {}

    def run(
        self, measure_inputs: Sequence[MeasureInput], build_results: Sequence[Built]
    ) -> list[MeasureResult]:
        """One result for each point, in order; all are of one workload."""
        tilings = [built.tiling for built in build_results]
        outcomes = self._timer.time(build_results[0].work, tilings) if tilings else []
        return [self._result(outcome) for outcome in outcomes]

    def _result(self, outcome: Outcome) -> MeasureResult:
        cycles, problem, seconds = outcome
        now = time.time()
        if problem:
            last = problem.strip().splitlines()[-1]
            costs = (problem, RuntimeError(last))
            return MeasureResult(costs, MeasureErrorNo.RUNTIME_DEVICE, seconds, now)
        return MeasureResult((cycles / self._hertz,), MeasureErrorNo.NO_ERROR, seconds, now)
