"""Error-compensated rounding: against rounding to nearest and against all roundings."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from zebra.relay.quantizer.compensate import compensated, damp

RNG = np.random.default_rng(3)


def covariance(groups: int, taps: int, shared: float) -> np.ndarray:
    """Of inputs that have a part of size ``shared`` in common."""
    data = RNG.normal(size=(groups, taps, 200)) + shared * RNG.normal(size=(groups, 1, 200))
    return np.asarray(np.matmul(data, data.swapaxes(1, 2)) / 200)


def error(weight: np.ndarray, levels: np.ndarray, scale: np.ndarray, h: np.ndarray) -> np.ndarray:
    off = weight - levels * scale[..., None]
    return np.asarray((np.matmul(off, h) * off).sum(axis=2))


@pytest.mark.parametrize(("groups", "rows", "taps"), [(1, 8, 150), (6, 1, 9), (2, 4, 70)])
def test_correlated_inputs_lose_less_than_with_nearest_rounding(
    groups: int, rows: int, taps: int
) -> None:
    weight = RNG.normal(size=(groups, rows, taps))
    scale = np.abs(weight).max(axis=2) / 7
    h = covariance(groups, taps, shared=2.0)
    levels = compensated(weight, scale, h, 0.01)
    nearest = np.rint(weight / scale[..., None])
    ours, theirs = error(weight, levels, scale, h), error(weight, nearest, scale, h)
    assert ours.sum() < 0.7 * theirs.sum()
    assert np.abs(levels).max() <= 127
    np.testing.assert_array_equal(levels, np.rint(levels))


def test_no_channel_is_worse_than_nearest_and_few_are_far_from_the_best() -> None:
    weight = RNG.normal(size=(1, 20, 4))
    scale, h = np.full((1, 20), 0.5), covariance(1, 4, shared=3.0)
    levels = compensated(weight, scale, h, 0.01)
    damped = damp(h, 0.01)
    ours = error(weight, levels, scale, damped)
    floor = np.floor(weight / 0.5)
    tried = [
        error(weight, floor + up, scale, damped)
        for up in itertools.product((-1, 0, 1, 2), repeat=4)
    ]
    plain = error(weight, np.rint(weight / 0.5), scale, damped)
    assert (ours <= plain + 1e-12).all()
    assert ours.sum() < 2.0 * np.min(tried, axis=0).sum()


def test_inputs_that_are_always_zero_are_rounded_to_nearest() -> None:
    weight = RNG.normal(size=(1, 3, 5))
    levels = compensated(weight, np.full((1, 3), 0.1), np.zeros((1, 5, 5)), 0.01)
    np.testing.assert_array_equal(levels, np.rint(weight / 0.1))
