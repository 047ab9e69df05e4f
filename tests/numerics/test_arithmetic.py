"""The fixed-point primitives against Python's unbounded integers and fractions."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from zebra.numerics import (
    MAX_SHIFT,
    Rounding,
    divider,
    fixed_point,
    fixed_points,
    requantize,
    significant_bits,
    truncating_divide,
    wrap32,
)

INT32 = st.one_of(
    st.sampled_from((-(1 << 31), -(1 << 31) + 1, -1, 0, 1, (1 << 31) - 1)),
    st.integers(-(1 << 31), (1 << 31) - 1),
)
MULTIPLIER = st.one_of(st.sampled_from((0, 1, (1 << 31) - 1)), st.integers(0, (1 << 31) - 1))
SHIFT = st.integers(1, MAX_SHIFT)


def wrapped(value: int) -> int:
    return (value + (1 << 31)) % (1 << 32) - (1 << 31)


def array(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


@given(x=INT32, m=MULTIPLIER, s=SHIFT)
@example(x=-(1 << 31), m=(1 << 31) - 1, s=62)
@example(x=-(1 << 31), m=(1 << 31) - 1, s=1)
def test_requantize_upward(x: int, m: int, s: int) -> None:
    exact = math.floor(Fraction(x * m, 1 << s) + Fraction(1, 2))
    assert requantize(array(x), array(m), array(s)).tolist() == [wrapped(exact)]


@given(x=INT32, m=MULTIPLIER, s=SHIFT)
@example(x=-(1 << 31), m=(1 << 31) - 1, s=62)
def test_requantize_truncate(x: int, m: int, s: int) -> None:
    exact = math.trunc(Fraction(x * m, 1 << s))
    result = requantize(array(x), array(m), array(s), Rounding.TRUNCATE)
    assert result.tolist() == [wrapped(exact)]


@pytest.mark.parametrize(
    ("x", "upward", "truncate"), [(5, 3, 2), (-5, -2, -2), (3, 2, 1), (-3, -1, -1), (4, 2, 2)]
)
def test_requantize_ties(x: int, upward: int, truncate: int) -> None:
    half = array(1), array(1)
    assert requantize(array(x), *half).tolist() == [upward]
    assert requantize(array(x), *half, Rounding.TRUNCATE).tolist() == [truncate]


def test_requantize_broadcasts_to_int32() -> None:
    result = requantize(np.ones((3, 4), np.int32), array(1, 2, 3, 4), array(1))
    assert result.dtype == np.int32
    assert result.tolist() == [[1, 1, 2, 2]] * 3


@given(st.integers(-(1 << 63), (1 << 63) - 1))
def test_wrap32(value: int) -> None:
    assert wrap32(array(value)).tolist() == [wrapped(value)]


@given(st.floats(min_value=1e-9, max_value=2.0**20))
def test_fixed_point_is_within_half_a_unit_of_31_bits(real: float) -> None:
    m, s = fixed_point(real)
    assert 1 << 30 <= m < 1 << 31
    error = abs(Fraction(real) - Fraction(m) / Fraction(2) ** s)
    assert error <= Fraction(1, 2) / Fraction(2) ** s


def test_fixed_point_of_special_values() -> None:
    assert fixed_point(0.0) == (0, 1)
    assert fixed_point(1.0) == (1 << 30, 30)
    assert fixed_point(math.nextafter(1.0, 0.0)) == (1 << 30, 30)


def test_fixed_points_are_the_fixed_points_of_each() -> None:
    reals = [0.0, 1e-9, 0.3, math.nextafter(1.0, 0.0), 1.0, 5e5]
    m, s = fixed_points(np.array(reals))
    assert list(zip(m.tolist(), s.tolist(), strict=True)) == [fixed_point(real) for real in reals]
    with pytest.raises(ValueError, match=r"not negative, got -0\.5"):
        fixed_points(np.array([1.0, -0.5]))


@pytest.mark.parametrize("real", [-1.0, math.nan, math.inf])
def test_fixed_point_refuses(real: float) -> None:
    with pytest.raises(ValueError, match="must be finite and not negative, got"):
        fixed_point(real)


@given(
    divisor=st.integers(1, 1 << 14),
    gain=st.integers(1, 64),
    limit=st.integers(1, 1 << 22),
    data=st.data(),
)
def test_divider_is_exact_up_to_its_limit(
    divisor: int, gain: int, limit: int, data: st.DataObject
) -> None:
    try:
        m, s = divider(divisor, gain, limit)
    except ValueError:
        assume(False)
    assert 0 <= m < 1 << 31
    assert 1 <= s <= MAX_SHIFT
    tested = data.draw(st.lists(st.integers(-limit, limit), max_size=8))
    tested += [limit, -limit, 0, divisor * (limit // divisor), divisor * (limit // divisor) - 1]
    for x in tested:
        exact = math.trunc(Fraction(x * gain, divisor))
        result = requantize(array(x), array(m), array(s), Rounding.TRUNCATE)
        assert result.tolist() == [wrapped(exact)], x


@pytest.mark.parametrize("window", [1, 2, 3, 4, 6, 7, 9, 12, 16, 25, 49, 64, 121, 225, 3136])
def test_divider_exists_for_every_pool_and_is_exhaustively_exact(window: int) -> None:
    limit = min(255 * window, 200_000)
    m, s = divider(window, 1, limit)
    x = np.arange(-limit, limit + 1)
    result = requantize(x, array(m), array(s), Rounding.TRUNCATE)
    assert (result == truncating_divide(x, window)).all()


def test_divider_refuses_what_has_no_reciprocal() -> None:
    with pytest.raises(ValueError, match="no exact reciprocal for 1/3 up to 4611686018427387904"):
        divider(3, 1, 1 << 62)


@given(x=INT32, divisor=st.integers(1, 1 << 31))
def test_truncating_divide(x: int, divisor: int) -> None:
    expected = math.trunc(Fraction(x, divisor))
    assert truncating_divide(array(x), divisor).tolist() == [expected]


@pytest.mark.parametrize(
    ("m", "bits"), [(0, 0), (1, 1), (2, 1), (3, 2), (6, 2), (5 << 20, 3), ((1 << 31) - 1, 31)]
)
def test_significant_bits(m: int, bits: int) -> None:
    assert significant_bits(m) == bits
