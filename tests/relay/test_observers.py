"""Histograms do not depend on order; narrowed ranges cut tails that cost more than they hold."""

from __future__ import annotations

import numpy as np

from zebra.relay.quantizer.observers import Histogram
from zebra.relay.quantizer.ranges import narrowed

RNG = np.random.default_rng(5)


def histogram(*tensors: np.ndarray) -> Histogram:
    seen = Histogram()
    for tensor in tensors:
        seen.update(tensor.astype(np.float32))
    return seen


def test_counts_do_not_depend_on_order_or_on_merging() -> None:
    tensors = [RNG.normal(size=500) * size for size in (0.01, 30.0, 1.0)]
    whole, back, merged = histogram(*tensors), histogram(*tensors[::-1]), Histogram()
    for tensor in tensors:
        merged.merge(histogram(tensor))
    for other in (back, merged):
        np.testing.assert_array_equal(whole.counts, other.counts)
        assert (whole.exponent, whole.extremes) == (other.exponent, other.extremes)
    assert whole.counts.sum() == 1500


def test_a_lone_outlier_is_cut_off() -> None:
    usual = [np.abs(RNG.normal(size=60000)) for _ in range(20)]
    low, high = narrowed(histogram(*usual, np.array([100.0])))
    assert low == 0.0
    assert high < 50.0


def test_an_even_range_is_kept() -> None:
    low, high = narrowed(histogram(RNG.uniform(-1, 3, 50000)))
    assert (round(low, 1), round(high, 1)) == (-1.0, 3.0)


def test_zeros_have_the_empty_range() -> None:
    assert narrowed(histogram(np.zeros(10))) == (0.0, 0.0)
