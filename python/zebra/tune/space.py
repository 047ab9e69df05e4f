"""The config space of a workload: every legal tiling, the most promising first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from dataclasses import fields
from functools import cached_property
from random import choice, randrange

import numpy as np
import numpy.typing as npt
from tvm.autotvm.task.space import ConfigEntity, ConfigSpace, OtherOptionEntity

from zebra.hw import HwConfig
from zebra.schedule.cost import gemm_costs
from zebra.schedule.tiling import (
    GemmCandidates,
    GemmTiling,
    GemmWorkload,
    Order,
    gemm_candidates,
    pixel_tiles,
)
from zebra.tune.bound import lower_bounds
from zebra.tune.packing import from_knobs, to_knobs

Knobs = npt.NDArray[np.int64]


class TilingSpace(ConfigSpace):  # type: ignore[misc]
    """All legal tilings of a workload, as AutoTVM's tuners walk through them.

    Points are numbered by their analytic cost, so point 0 is the default and a
    grid search tries the promising ones first. ``dims`` are the numbers of
    distinct values of each knob; a combination of values that is not legal stands
    for the legal point nearest to it.
    """

    def __init__(self, work: GemmWorkload, config: HwConfig) -> None:
        super().__init__()
        self._work, self.config = work, config
        self._candidates = _once(gemm_candidates(work, config))
        # Of equal prices the first order and candidate are the default: best_gemm_tiling.
        costs = np.concatenate([cost.price for cost in gemm_costs(work, config, self._candidates)])
        self._order = np.argsort(costs, kind="stable")
        self.costs = costs[self._order]
        """The analytic cost of every point."""
        self._range_length = self._length = len(self._order)

    def tiling(self, index: int) -> GemmTiling:
        """The tiling that point ``index`` stands for."""
        order, candidate = divmod(int(self._order[index]), self._candidates.rows.size)
        return self._candidates.tiling(candidate, Order(order))

    def get(self, index: int) -> ConfigEntity:
        """Point ``index`` as AutoTVM keeps it; IndexError if there is none."""
        if not 0 <= index < len(self):
            raise IndexError(f"point {index} of a space of {len(self)}")
        knobs = to_knobs(self.tiling(index))
        entities = OrderedDict((name, OtherOptionEntity(value)) for name, value in knobs.items())
        return ConfigEntity(int(index), self.code_hash, entities, [])

    def find(self, tiling: GemmTiling) -> int | None:
        """The point that stands for ``tiling``, or None if it is not legal here."""
        candidate = _candidate(self._candidates, tiling)
        if candidate is None:
            return None
        number = int(tiling.order) * self._candidates.rows.size + candidate
        return int(np.flatnonzero(self._order == number)[0])

    @cached_property
    def bounds(self) -> Knobs:
        """Cycles that each point cannot beat."""
        bounds = lower_bounds(self._work, self.config, self._candidates)
        whole: Knobs = bounds[self._order % len(bounds)]
        return whole

    @cached_property
    def twins(self) -> npt.NDArray[np.bool_]:
        """Points with the program of another one: with one tile on an axis both orders are one."""
        cand = self._candidates
        single = (cand.out_blocks >= self._work.out_blocks) | (pixel_tiles(self._work, cand) == 1)
        order, index = np.divmod(self._order, cand.rows.size)
        found: npt.NDArray[np.bool_] = (order > 0) & single[index]
        return found

    @cached_property
    def features(self) -> Knobs:
        """The knobs of every point, [points, knobs], in the order of ``to_knobs``."""
        cand = self._candidates
        order, index = np.divmod(self._order, cand.rows.size)
        taps, pixels = (cand.kernel_rows, cand.kernel_columns), (cand.rows, cand.columns)
        sizes = [size[index] for size in (cand.out_blocks, cand.in_blocks, *taps, *pixels)]
        return np.stack([*sizes, order, cand.chunk[index], cand.on_array[index]], 1)

    @cached_property
    def model_features(self) -> npt.NDArray[np.float32]:
        """What a cost model learns from: the knobs of every point, its cost and its bound."""
        estimates = np.log(np.stack([self.costs, self.bounds], 1))
        return np.concatenate([self.features, estimates], 1, dtype=np.float32, casting="same_kind")

    @cached_property
    def _values(self) -> list[Knobs]:
        """The distinct values of every knob."""
        return [np.unique(column) for column in self.features.T]

    @cached_property
    def _places(self) -> Knobs:
        """``features`` as positions in ``_values``."""
        pairs = zip(self._values, self.features.T, strict=True)
        return np.stack([np.searchsorted(values, column) for values, column in pairs], 1)

    @property
    def dims(self) -> list[int]:
        """How many values each knob takes."""
        return [len(values) for values in self._values]

    def point2knob(self, point: int) -> list[int]:
        """The position of each knob's value among its values."""
        return [int(place) for place in self._places[point]]

    def knob2point(self, knob: list[int]) -> int:
        """The legal point nearest to these positions (of several, the most promising)."""
        return int(np.abs(self._places - np.array(knob)).sum(1).argmin())

    def get_rand_index(
        self,
        start: int | None = None,
        end: int | None = None,
        to_exclude: Collection[int] | None = None,
    ) -> int:
        """A random point of [start, end) that is not excluded; IndexError if there is none."""
        points = set(range(start or 0, end or len(self)))
        return choice(list(points.difference(to_exclude or ())))

    def random_walk(self, point: int) -> int:
        """The legal point nearest to where changing one knob at random leads."""
        knob = self.point2knob(point)
        axis = randrange(len(knob))
        knob[axis] = randrange(self.dims[axis])
        return self.knob2point(knob)

    def __repr__(self) -> str:
        return f"TilingSpace({len(self)} legal tilings of {self._work} on {self.config.name})"


def is_legal(tiling: GemmTiling, work: GemmWorkload, config: HwConfig) -> bool:
    """Whether the compiler takes ``tiling`` for ``work``."""
    return _candidate(gemm_candidates(work, config), tiling) is not None


def _candidate(candidates: GemmCandidates, tiling: GemmTiling) -> int | None:
    """The candidate that is ``tiling``, whatever its order."""
    same = np.ones(candidates.rows.shape, np.bool_)
    for field in fields(candidates):
        if hasattr(tiling, field.name):
            same &= getattr(candidates, field.name) == getattr(tiling, field.name)
    for candidate in np.flatnonzero(same):
        if candidates.tiling(int(candidate), tiling.order) == tiling:
            return int(candidate)
    return None


def _once(candidates: GemmCandidates) -> GemmCandidates:
    """The candidates without those that are there already."""
    columns = [getattr(candidates, field.name) for field in fields(candidates)]
    _, first = np.unique(np.stack(columns), axis=1, return_index=True)
    return candidates.select(np.isin(np.arange(candidates.rows.size), first))


def tiling_of(entity: ConfigEntity) -> GemmTiling:
    """The tiling in a point or a record; ValueError if it is none."""
    knobs = {}
    for name, kind, value in entity.to_json_dict()["entity"]:
        if kind != "ot" or not isinstance(value, int):
            raise ValueError(f"{name} is no tile size")
        knobs[name] = value
    return from_knobs(GemmTiling, knobs)
