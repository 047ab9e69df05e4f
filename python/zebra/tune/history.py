"""Which tiling a build uses: a log's best, the shipped log's best, or the default."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from tvm import autotvm
from tvm.autotvm.task.dispatcher import ApplyHistoryBest, DispatchContext, FallbackContext
from tvm.autotvm.task.space import ConfigEntity

from zebra.errors import TuningLogError
from zebra.hw import HwConfig
from zebra.schedule.cost import best_gemm_tiling
from zebra.schedule.tiling import GemmTiling, GemmWorkload
from zebra.tune.records import best_of, read_records, refuse_other_hardware
from zebra.tune.space import is_legal, tiling_of
from zebra.tune.task import TASK, target_of, workload_key

SHIPPED = Path(__file__).parent.parent / "tuned"
"""Logs of the presets, one <config>.log each."""


def choose_tiling(work: GemmWorkload, config: HwConfig) -> GemmTiling:
    """The tiling that the surrounding AutoTVM context gives, else the default one.

    Outside of any context the log shipped for the configuration is asked.
    TuningLogError if the context's records are all of other hardware, or if what
    it gives is not a legal tiling.
    """
    if isinstance(DispatchContext.current, FallbackContext):
        shipped = shipped_tilings(config).get(work)
        if shipped is not None and is_legal(shipped, work, config):
            return shipped
        return best_gemm_tiling(work, config)
    _refuse_other_hardware(config)
    entity = _query(work, config)
    if entity is None:
        return best_gemm_tiling(work, config)
    return _legal(entity, work, config)


@cache
def shipped_tilings(config: HwConfig) -> dict[GemmWorkload, GemmTiling]:
    """The best tilings in the log shipped for ``config``; none if it is of another one."""
    records = read_records(SHIPPED / f"{config.name}.log")
    best = best_of(entry for entry in records if entry.digest == config.digest)
    return {work: entry.tiling for work, entry in best.items()}


def _query(work: GemmWorkload, config: HwConfig) -> ConfigEntity | None:
    with _no_advice():
        entity = DispatchContext.current.query(target_of(config), workload_key(work, config))
    return None if entity.is_fallback else entity


@contextmanager
def _no_advice() -> Iterator[None]:
    """AutoTVM warns of workloads that are not in a log; ours have a good default."""
    scope = autotvm.GLOBAL_SCOPE
    silent, scope.silent = scope.silent, True
    try:
        yield
    finally:
        scope.silent = silent


def _legal(entity: ConfigEntity, work: GemmWorkload, config: HwConfig) -> GemmTiling:
    try:
        tiling = tiling_of(entity)
    except ValueError as error:
        raise TuningLogError(
            f"a record of {TASK} for {config.name} holds no tiling ({error}); tune again"
        ) from None
    if not is_legal(tiling, work, config):
        raise TuningLogError(
            f"a record gives {tiling} for {work}, which is not legal on {config.name}; tune again"
        )
    return tiling


class _Entry:
    """A context's record as ``refuse_other_hardware`` looks at it."""

    def __init__(self, model: str, workload: tuple[Any, ...]) -> None:
        self.model, self.digest = model, str(workload[1])


def _refuse_other_hardware(config: HwConfig) -> None:
    entries: list[_Entry] = []
    context = DispatchContext.current
    while not isinstance(context, FallbackContext):
        if isinstance(context, ApplyHistoryBest):
            entries += [
                _Entry(str(model), workload)
                for model, workload in context.best_by_model
                if workload[0] == TASK
            ]
        context = context._old_ctx
    refuse_other_hardware(entries, config, "the log given to autotvm.apply_history_best")
