"""AutoTVM's tuners on a TilingSpace, by name."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm.autotvm.measure import MeasureInput, MeasureResult
from tvm.autotvm.task.task import Task
from tvm.autotvm.tuner import GATuner, GridSearchTuner, RandomTuner, XGBTuner
from tvm.autotvm.tuner.model_based_tuner import ModelOptimizer
from tvm.autotvm.tuner.xgboost_cost_model import XGBoostCostModel

from zebra.errors import EnvironmentMismatchError, UsageError
from zebra.tune.space import TilingSpace

ROUNDS = 32
"""Trees that ``xgb`` learns."""

REACH = 4
"""``xgb`` looks at so many times as many points as it measures, those of the lowest costs."""

PLAN = 32
"""Points that ``xgb`` measures before it learns again."""

REMEDY = "pip install xgboost-cpu==3.2.0"


def make_tuner(name: str, task: Task, seed: int, best: int | None) -> Any:
    """The tuner called ``name``, its random numbers started from ``seed``.

    ``best`` are the fewest cycles measured before it starts, if any. It leaves out point
    0, the default, which is measured before any other; there must be a second one.
    UsageError lists the names; EnvironmentMismatchError if it needs a package that is
    missing.
    """
    if name not in TUNERS:
        raise UsageError(f"no tuner is called {name}; known: {', '.join(TUNERS)}")
    # AutoTVM's tuners draw from both.
    random.seed(seed)
    np.random.seed(seed)
    return TUNERS[name](task, best)


class _EveryPoint(ModelOptimizer):  # type: ignore[misc]
    """Asks the cost model about every point: a space has at most some ten thousand."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size

    def find_maximums(self, model: Any, num: int, exclusive: Collection[int]) -> list[int]:
        """The ``num`` points of the highest prediction that are not in ``exclusive``."""
        points = np.array(sorted(set(range(self._size)) - set(exclusive)), np.int64)
        if not points.size:
            return []
        order = np.argsort(-model.predict(points), kind="stable")
        return [int(point) for point in points[order[:num]]]


class _Trees(XGBoostCostModel):  # type: ignore[misc]
    """Learns speeds from what a TilingSpace knows of its points."""

    def fit(self, xs: list[int], ys: list[float], plan_size: int) -> None:
        """Learn that the points ``xs`` have the speeds ``ys``, the fastest being 1."""
        del plan_size
        import xgboost

        speeds = np.array(ys) / max(ys)
        data = xgboost.DMatrix(self._get_feature(xs), speeds)
        # AutoTVM's own fit computes its recall after each round, which takes most of its time.
        self.bst = xgboost.train(self.xgb_params, data, num_boost_round=ROUNDS)

    def _get_feature(self, indexes: Sequence[int]) -> npt.NDArray[np.float32]:
        # AutoTVM would start processes to look at one point after the other.
        features: npt.NDArray[np.float32] = self.space.model_features[indexes]
        return features


class _Boosted(XGBTuner):  # type: ignore[misc]
    """Looks at promising points only, and not at those that cannot beat the best one measured.

    Nor does it measure a program twice. The features are a point's knobs, its analytic
    cost and its bound.
    """

    def __init__(self, task: Task, best: int | None) -> None:
        space = task.config_space
        self._best = math.inf if best is None else best
        super().__init__(
            task,
            plan_size=PLAN,
            feature_type="knob",
            optimizer=_EveryPoint(len(space)),
            num_threads=1,
        )
        self.cost_model = _Trees(task, "knob", num_threads=1)

    def tune(self, n_trial: int, *args: Any, **kwargs: Any) -> None:
        """Measure ``n_trial`` points, or fewer if no others are left."""
        size = min(len(self.space), REACH * n_trial)
        twins = np.flatnonzero(self.space.twins)
        self.visited = {0, *map(int, twins), *range(size, len(self.space))}
        self._strike_out()
        self.trials = _seeds(self.space, size)
        self.train_ct = 1  # Two plans of them are measured before the model learns.
        super().tune(n_trial, *args, **kwargs)

    def update(self, inputs: list[MeasureInput], results: list[MeasureResult]) -> None:
        """Take in a batch."""
        clock = self.space.config["CLOCK_MHZ"] * 1e6
        cycles = [round(result.costs[0] * clock) for result in results if not result.error_no]
        self._best = min([self._best, *cycles])
        self._strike_out()
        super().update(inputs, results)

    def _strike_out(self) -> None:
        hopeless = np.flatnonzero(self.space.bounds >= self._best)
        self.visited.update(map(int, hopeless))


def _seeds(space: TilingSpace, size: int) -> list[int]:
    """Where to start: points of the first ``size``, two plans of them, none of them point 0.

    The most promising ones, the most promising one with each value of each knob, and
    others from near to far.
    """
    near = range(1, PLAN + 1)
    firsts = {int(at) for column in space.features.T for at in np.unique(column, True)[1]}
    chosen = dict.fromkeys([*near, *sorted(firsts)])
    far = np.geomspace(PLAN + 1, max(size - 1, PLAN + 2), max(2 * PLAN - len(chosen), 0))
    points = dict.fromkeys([*chosen, *map(int, far)])
    return [point for point in points if 0 < point < size and not space.twins[point]][: 2 * PLAN]


def _boosted(task: Task, best: int | None) -> XGBTuner:
    try:
        import xgboost  # noqa: F401
    except ImportError:
        raise EnvironmentMismatchError(
            f"the tuner xgb needs xgboost: {REMEDY}, or take --tuner ga, random or grid"
        ) from None
    return _Boosted(task, best)


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


TUNERS: dict[str, Callable[[Task, int | None], Any]] = {
    "xgb": _boosted,
    "ga": lambda task, best: _genetic(task),
    "random": lambda task, best: RandomTuner(task, _behind_default(task)),
    "grid": lambda task, best: GridSearchTuner(task, _behind_default(task)),
}
