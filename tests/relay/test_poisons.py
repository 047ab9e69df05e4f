"""Damaged networks and bad calibration pictures: no loss, a warning in words or a refusal."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import tvm
from tests.support.quantizing import Array, fast_builds, module
from tvm import relay

from zebra.errors import CalibrationError, QuantizationError, ZebraWarning
from zebra.relay.quantizer import QuantizationReport, quantize
from zebra.relay.quantizer.screening import is_still, outlying


@pytest.fixture(autouse=True)
def _fast_builds() -> Iterator[None]:
    with fast_builds():
        yield


SHAPE = (1, 3, 8, 8)
CHANNELS = 8


def pictures(count: int = 10) -> list[Array]:
    """Normalised pictures: noise about a colour."""
    rng = np.random.default_rng(5)
    colours = rng.normal(0, 0.5, (count, 1, 3, 1, 1))
    return list((colours + rng.normal(0, 1, (count, *SHAPE))).astype(np.float32))


def network(**changed: Any) -> tvm.IRModule:
    """Convolution, batch norm, ReLU, convolution, mean, dense: a classifier of 10 classes.

    The batch norm has the statistics that ``pictures`` give. ``changed``: vectors of it,
    by name, for their first element; ``read``: the weights that read its first channel
    times this; ``grown``: the weights that make it times this; ``epsilon``;
    ``silent``: the second channel is always zero.
    """
    rng = np.random.default_rng(7)
    x = relay.var("x", shape=SHAPE)
    weight = rng.normal(0, 0.2, (CHANNELS, 3, 3, 3)).astype(np.float32)
    vectors = {
        "gamma": rng.uniform(0.5, 1.5, CHANNELS),
        "beta": rng.normal(0, 0.5, CHANNELS),
        "mean": np.zeros(CHANNELS),
        "variance": np.square(weight).sum(axis=(1, 2, 3)),
    }
    for name in vectors.keys() & changed.keys():
        vectors[name][0] = changed[name]
    vectors["beta"][1] -= 100 * changed.get("silent", False)
    weight[0] *= changed.get("grown", 1.0)
    reader = rng.normal(0, 0.2, (CHANNELS, CHANNELS, 3, 3)).astype(np.float32)
    reader[:, 0] *= changed.get("read", 1.0)
    last = rng.normal(0, 1, (10, CHANNELS)).astype(np.float32)
    y = relay.nn.conv2d(x, relay.const(weight), padding=(1, 1))
    constants = [relay.const(vector.astype(np.float32)) for vector in vectors.values()]
    y = relay.nn.batch_norm(y, *constants, epsilon=changed.get("epsilon", 1e-5))[0]
    y = relay.nn.conv2d(relay.nn.relu(y), relay.const(reader), padding=(1, 1))
    y = relay.nn.batch_flatten(relay.nn.global_avg_pool2d(relay.nn.relu(y)))
    return module(relay.nn.dense(y, relay.const(last)))


def sqnr(mod: tvm.IRModule, calibration: list[Array]) -> float:
    """Of the outputs on the held-out pictures, in dB."""
    reports: list[QuantizationReport] = []
    quantize(mod, calibration=calibration, tell=reports.append)
    assert reports[0].comparison is not None
    return reports[0].comparison.sqnr_db


def said(mod: tvm.IRModule, calibration: list[Array]) -> list[str]:
    """The warnings of Zebra."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        quantize(mod, calibration=calibration)
    return [str(each.message) for each in caught if issubclass(each.category, ZebraWarning)]


def test_nothing_is_said_of_a_sound_network_and_sound_pictures() -> None:
    assert said(network(), pictures()) == []
    assert sqnr(network(), pictures()) > 24


SMALL = 1e-12
POISONED = {
    "channel 100 times as large, undone": network(grown=100, read=0.01),
    "channel 100 times as large": network(grown=100),
    "channel a million times as large, undone": network(grown=1e6, read=1e-6),
    "variance 0": network(variance=0),
    "variance 0, unread": network(variance=0, read=0),
    "variance 1e-12, undone": network(variance=SMALL, epsilon=0.0, read=SMALL**0.5),
    "variance 1e-12, undone, another silent": network(
        variance=SMALL, epsilon=0.0, read=SMALL**0.5, silent=True
    ),
    "variance 1e-12, unread": network(variance=SMALL, epsilon=0.0, read=0),
}


@pytest.mark.parametrize("mod", POISONED.values(), ids=POISONED)
def test_one_huge_channel_costs_nothing(mod: tvm.IRModule) -> None:
    assert sqnr(mod, pictures()) > 24


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        pytest.param({"gamma": np.nan}, "gamma nan of channel 0 of a batch norm of", id="gamma"),
        pytest.param({"mean": -np.inf}, "mean -inf of channel 0", id="mean"),
        pytest.param({"variance": np.inf}, "variance inf of channel 0", id="variance"),
        pytest.param({"variance": -1.0}, r"variance -1 .*\(epsilon 1e-05\)", id="negative"),
        pytest.param({"variance": 0, "epsilon": 0.0}, r"variance 0 .*\(epsilon 0\)", id="zero"),
    ],
)
def test_a_batch_norm_that_gives_nothing_finite_is_refused(
    changed: dict[str, float], message: str
) -> None:
    with pytest.raises(QuantizationError, match=f"{message}.* the model file is damaged"):
        quantize(network(**changed), calibration=pictures())


def with_one(value: float, number: int = 4) -> list[Array]:
    """Pictures of which one is multiplied."""
    return [x * np.float32(value) if i == number else x for i, x in enumerate(pictures())]


@pytest.mark.parametrize("number", [3, 4], ids=["calibration", "held out"])
def test_an_outlier_is_left_out_with_a_warning(number: int) -> None:
    poisoned = with_one(1000, number)
    assert [message.split(" reaches")[0] for message in said(network(), poisoned)] == [
        f"calibration batch {number}: input x"
    ]
    with pytest.warns(ZebraWarning, match=r"stay within [\d.]+, so it is left out; check how"):
        found = quantize(network(), calibration=poisoned)
    kept = [x for i, x in enumerate(pictures()) if i != number]
    assert tvm.ir.structural_equal(found, quantize(network(), calibration=kept))


def test_pictures_of_different_brightness_are_no_outliers() -> None:
    assert outlying([float(np.abs(x).max()) for x in with_one(5)]) == []
    assert outlying([1, 2, 4, 8, 16, 32, 64]) == []
    assert outlying([1, 1000]) == []
    assert outlying([0, 0, 0, 1]) == []


def colour(x: Array) -> Array:
    return np.broadcast_to(x.mean(axis=(2, 3), keepdims=True), x.shape)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(np.zeros_like, "input x is the same everywhere .* in 10 of 10", id="zero"),
        pytest.param(colour, "input x is the same everywhere .* in 10 of 10", id="colour"),
        pytest.param(lambda _: pictures()[0], "shows one input, 10 times, so", id="repeated"),
        pytest.param(
            lambda x: x * 58 + 120, r"varies \d\d times as much as its batch norm", id="too large"
        ),
        pytest.param(lambda x: x / 58, r"varies 0.01\d times as much as its", id="too small"),
    ],
)
def test_pictures_that_teach_nothing_are_warned_of(
    change: Callable[[Array], Array], message: str
) -> None:
    with pytest.warns(ZebraWarning, match=message):
        quantize(network(), calibration=[change(x) for x in pictures()])


def raw(x: Array) -> Array:
    return np.clip(x * 58 + 120, 0, 255)


def test_pixels_for_a_network_of_normalised_pictures_are_warned_of_without_a_batch_norm() -> None:
    folded = quantize(network(), stop_after="fold-affine")
    assert not any("first convolution" in each for each in said(folded, pictures()))
    with pytest.warns(ZebraWarning, match=r"varies [\d.e+]+ times as much as its bias suggests"):
        quantize(folded, calibration=[raw(x) for x in pictures()])


def test_a_single_picture_is_warned_of() -> None:
    assert said(network(), pictures(1)) == [
        "calibration shows one input, so values of others may not fit the ranges found; "
        "give some tens of different typical ones"
    ]


@pytest.mark.parametrize(
    ("array", "still"),
    [
        (np.ones((1, 2, 4, 4)), True),
        (np.arange(2.0).reshape(1, 2, 1, 1) * np.ones((1, 2, 4, 4)), True),
        (np.arange(2.0) * np.ones((1, 4, 4, 2)), True),
        (np.arange(4.0) * np.ones((1, 2, 4, 4)), False),
        (np.zeros((1, 1)), False),
        (np.zeros((0, 4)), False),
        (np.zeros((1, 4)), True),
    ],
    ids=["one value", "NCHW", "NHWC", "varying", "single", "empty", "vector"],
)
def test_what_is_still(array: Array, still: bool) -> None:
    assert is_still(array) is still


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300], ids=str)
def test_a_picture_that_is_not_finite_in_float32_is_refused(value: float) -> None:
    bad = pictures()[0].astype(np.float64)
    bad[0, 0, 0, 0] = value
    with pytest.raises(CalibrationError, match="batch 2, input x holds NaN or infinite values as"):
        quantize(network(), calibration=[*pictures(2), bad])
