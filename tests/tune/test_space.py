from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from tests.support.workloads import WORKLOADS
from zebra.hw import find_config
from zebra.schedule.cost import best_gemm_tiling
from zebra.schedule.tiling import GemmWorkload, Order, gemm_candidates
from zebra.tune.measure import Meter
from zebra.tune.packing import to_knobs
from zebra.tune.space import TilingSpace, tiling_of

CONFIG = find_config("zebra")


@pytest.mark.parametrize("work", WORKLOADS.values(), ids=WORKLOADS)
def test_the_space_is_every_legal_tiling_once(work: GemmWorkload) -> None:
    space, candidates = TilingSpace(work, CONFIG), gemm_candidates(work, CONFIG)
    legal = {
        candidates.tiling(index, order) for index in range(candidates.rows.size) for order in Order
    }
    points = [tiling_of(space.get(point)) for point in range(len(space))]
    assert len(points) == len(set(points))
    assert set(points) == legal


@pytest.mark.parametrize("work", WORKLOADS.values(), ids=WORKLOADS)
def test_point_0_is_the_default(work: GemmWorkload) -> None:
    assert TilingSpace(work, CONFIG).tiling(0) == best_gemm_tiling(work, CONFIG)


def test_knobs_lead_back_to_their_point() -> None:
    space = TilingSpace(WORKLOADS["conv"], CONFIG)
    assert all(space.knob2point(space.point2knob(point)) == point for point in range(len(space)))
    assert all(space.find(space.tiling(point)) == point for point in range(len(space)))


def test_any_knobs_and_any_walk_lead_to_a_legal_point() -> None:
    space, rng = TilingSpace(WORKLOADS["depthwise_before"], CONFIG), np.random.default_rng(0)
    random.seed(0)
    for _ in range(50):
        point = space.knob2point([int(rng.integers(size)) for size in space.dims])
        assert 0 <= point < len(space)
        assert 0 <= space.random_walk(point) < len(space)


@pytest.mark.parametrize("point", [-1, 10**6])
def test_a_point_outside_is_refused(point: int) -> None:
    with pytest.raises(IndexError, match=f"point {point} of a space of"):
        TilingSpace(WORKLOADS["conv"], CONFIG).get(point)


@pytest.mark.parametrize("config", ["zebra", "kv260", "ultra96"])
@pytest.mark.parametrize("work", WORKLOADS.values(), ids=WORKLOADS)
def test_no_point_beats_its_bound(work: GemmWorkload, config: str) -> None:
    hw, rng = find_config(config), np.random.default_rng(0)
    space, meter = TilingSpace(work, hw), Meter(work, hw)
    for point in rng.integers(0, len(space), 6):
        assert meter.cycles(space.tiling(int(point))) >= space.bounds[point]


@pytest.mark.parametrize("work", WORKLOADS.values(), ids=WORKLOADS)
def test_features_are_the_knobs(work: GemmWorkload) -> None:
    space = TilingSpace(work, CONFIG)
    for point in range(0, len(space), 37):
        assert list(to_knobs(space.tiling(point)).values()) == space.features[point].tolist()


def test_a_random_point_is_none_of_those_excluded() -> None:
    space = TilingSpace(WORKLOADS["conv"], CONFIG)
    random.seed(0)
    assert {space.get_rand_index() for _ in range(200)} - {0}
    assert space.get_rand_index(to_exclude=set(range(len(space))) - {7}) == 7
    assert space.get_rand_index(2, 5, {2, 3}) == 4
    with pytest.raises(IndexError):
        space.get_rand_index(to_exclude=range(len(space)))


def test_twins_have_the_program_of_another_point() -> None:
    space, meter = TilingSpace(WORKLOADS["conv"], CONFIG), Meter(WORKLOADS["conv"], CONFIG)
    twins = [int(point) for point in np.flatnonzero(space.twins)]
    assert twins
    for point in twins[:: len(twins) // 8]:
        tiling = space.tiling(point)
        assert meter.code(tiling) == meter.code(replace(tiling, order=Order(0)))
