"""AutoTVM's tuners on a TilingSpace, by name."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection
from typing import Any

import numpy as np
from tvm.autotvm.task.task import Task
from tvm.autotvm.tuner import GATuner, GridSearchTuner, RandomTuner, XGBTuner
from tvm.autotvm.tuner.model_based_tuner import ModelOptimizer

from zebra.errors import EnvironmentMismatchError, UsageError

REMEDY = "pip install xgboost-cpu==3.2.0"


def make_tuner(name: str, task: Task, seed: int) -> Any:
    """The tuner called ``name``, its random numbers started from ``seed``.

    It leaves out point 0, the default, which is measured before any other; there
    must be a second one. UsageError lists the names; EnvironmentMismatchError if it
    needs a package that is missing.
    """
    if name not in TUNERS:
        raise UsageError(f"no tuner is called {name}; known: {', '.join(TUNERS)}")
    # AutoTVM's tuners draw from both.
    random.seed(seed)
    np.random.seed(seed)
    return TUNERS[name](task)


class _EveryPoint(ModelOptimizer):  # type: ignore[misc]
    """Asks the cost model about every point: a space has at most some ten thousand."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size

    def find_maximums(self, model: Any, num: int, exclusive: Collection[int]) -> list[int]:
        """The ``num`` points of the highest prediction that are not in ``exclusive``."""
        order = np.argsort(-model.predict(np.arange(self._size)), kind="stable")
        return [int(point) for point in order if point not in exclusive][:num]


def _boosted(task: Task) -> XGBTuner:
    """Starts with the most promising points; its features are the knobs and the analytic cost."""
    try:
        import xgboost  # noqa: F401
    except ImportError:
        raise EnvironmentMismatchError(
            f"the tuner xgb needs xgboost: {REMEDY}, or take --tuner ga, random or grid"
        ) from None
    space = task.config_space
    tuner = XGBTuner(task, feature_type="knob", optimizer=_EveryPoint(len(space)), num_threads=1)
    # AutoTVM would start processes to look at one point after the other.
    known = tuner.cost_model.feature_cache.get("knob")
    known.update(enumerate(space.model_features))
    tuner.trials = list(range(1, min(tuner.plan_size, len(space))))
    tuner.visited.add(0)
    return tuner


def _genetic(task: Task) -> GATuner:
    """Half of the first generation are the most promising points."""
    tuner = GATuner(task)
    space, half = task.config_space, tuner.pop_size // 2
    others = [point for point in map(int, tuner.visited) if point > half]
    points = [*range(1, half + 1), *others][: tuner.pop_size]
    tuner.genes = [space.point2knob(point) for point in points]
    tuner.visited = {0, *points}
    tuner.pop_size = len(points)
    tuner.elite_num = min(tuner.elite_num, len(points))
    return tuner


def _behind_default(task: Task) -> tuple[int, int]:
    return 1, len(task.config_space) - 1


TUNERS: dict[str, Callable[[Task], Any]] = {
    "xgb": _boosted,
    "ga": _genetic,
    "random": lambda task: RandomTuner(task, _behind_default(task)),
    "grid": lambda task: GridSearchTuner(task, _behind_default(task)),
}
