"""Inputs made up where there is no calibration data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tvm
from tests.support.quantizing import Array, module
from tvm import relay

from zebra.errors import ZebraWarning
from zebra.relay.quantizer import DATA_FREE, quantize
from zebra.relay.quantizer.calibrate import read_ranges
from zebra.relay.quantizer.pictures import picture
from zebra.relay.quantizer.synthetic import synthetic_batches

RNG = np.random.default_rng(3)
NCHW, NHWC = (1, 3, 16, 16), (1, 16, 16, 3)
WEIGHT = RNG.standard_normal((8, 3, 3, 3)).astype(np.float32)


def image(shape: tuple[int, ...] = NCHW, dtype: str = "float32") -> relay.Var:
    return relay.var("x", shape=shape, dtype=dtype)


def conv(x: Any) -> Any:
    return relay.nn.conv2d(x, relay.const(WEIGHT), padding=(1, 1))


def conv_nhwc(x: Any) -> Any:
    weight = relay.const(WEIGHT.transpose(2, 3, 1, 0))
    return relay.nn.conv2d(
        x, weight, padding=(1, 1), data_layout="NHWC", kernel_layout="HWIO", channels=8
    )


def biased(y: Any, size: float, axis: int = 1) -> Any:
    return relay.nn.bias_add(y, relay.const(np.full(8, size, np.float32)), axis=axis)


def made(mod: tvm.IRModule, count: int = 6) -> list[dict[str, Array]]:
    with pytest.warns(ZebraWarning, match="no calibration data"):
        return list(synthetic_batches(mod["main"], count))


def test_pictures_are_seeded_and_differ() -> None:
    first, again, other = (picture(np.random.default_rng(n), 3, 24, 40) for n in (1, 1, 2))
    assert first.shape == (3, 24, 40)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).mean() > 0.05
    assert first.min() >= 0.0
    assert first.max() <= 1.0


def test_pictures_have_the_spectrum_of_photographs() -> None:
    """Neighbours are alike, colours go together, and there are edges."""
    drawn = np.stack([picture(np.random.default_rng(n), 3, 64, 64) for n in range(20)])
    centred = drawn - drawn.mean(axis=(2, 3), keepdims=True)
    near = (centred[..., 1:] * centred[..., :-1]).mean() / (centred**2).mean()
    far = (centred[..., 16:] * centred[..., :-16]).mean() / (centred**2).mean()
    colour = np.corrcoef(centred.transpose(1, 0, 2, 3).reshape(3, -1))[0, 1]
    assert near > 0.6
    assert far < 0.6 * near
    assert 0.5 < colour < 0.98
    assert np.abs(np.diff(drawn, axis=3)).max() > 0.5


@pytest.mark.parametrize(
    ("body", "low", "high"),
    [
        pytest.param(biased(conv(image()), 2.0), -2.12, 2.64, id="bias of normalised pictures"),
        pytest.param(biased(conv(image()), 300.0), 0.0, 255.0, id="bias of 0 .. 255"),
        pytest.param(
            biased(conv_nhwc(image(NHWC)), 300.0, axis=3), 0.0, 255.0, id="channels last, 0 .. 255"
        ),
        pytest.param(conv(image()), -2.12, 2.64, id="no bias"),
        pytest.param(conv(image((2, 3, 16, 16))), -2.12, 2.64, id="two at once"),
        pytest.param(
            biased(conv(relay.cast(image(dtype="uint8"), "float32")), 1.0), 0, 255, id="uint8"
        ),
        pytest.param(
            biased(conv(image() * relay.const(1 / 255)), 1.0), 0.0, 255.0, id="divided by 255"
        ),
    ],
)
def test_pictures_have_the_values_that_the_network_takes(
    body: Any, low: float, high: float
) -> None:
    mod = module(body)
    (param,) = mod["main"].params
    batches = made(mod)
    for batch in batches:
        assert batch["x"].shape == tuple(map(int, param.checked_type.shape))
        assert batch["x"].dtype == param.checked_type.dtype
    everything = np.stack([batch["x"] for batch in batches])
    assert everything.min() == pytest.approx(low, abs=0.05 * (high - low))
    assert everything.max() == pytest.approx(high, abs=0.05 * (high - low))
    for batch, again in zip(batches, made(mod)):
        np.testing.assert_array_equal(batch["x"], again["x"])


def test_batch_norm_statistics_give_mean_and_contrast() -> None:
    """Statistics of pictures of mean (10, 20, -5) and deviation near 40 are recognised."""
    drawn = np.stack([picture(np.random.default_rng(n), 3, 16, 16) for n in range(100, 140)])
    wanted = (drawn - drawn.mean(axis=(0, 2, 3), keepdims=True)) / drawn.std() * 40
    wanted += np.array([10.0, 20.0, -5.0]).reshape(1, 3, 1, 1)
    x = image((40, 3, 16, 16))
    function = relay.build_module.create_executor(
        "graph", tvm.IRModule.from_expr(relay.Function([x], conv(x))), tvm.cpu(), "llvm"
    ).evaluate()
    outputs = function(wanted.astype(np.float32)).numpy().astype(np.float64)
    ones, zeros = np.ones(8, np.float32), np.zeros(8, np.float32)
    mean, variance = outputs.mean(axis=(0, 2, 3)), outputs.var(axis=(0, 2, 3))
    statistics = [ones, zeros, mean.astype(np.float32), variance.astype(np.float32)]
    normed = relay.nn.batch_norm(conv(image()), *map(relay.const, statistics))[0]
    found = np.stack([batch["x"][0] for batch in made(module(normed), 32)])
    np.testing.assert_allclose(found.mean(axis=(0, 2, 3)), [10.0, 20.0, -5.0], atol=8.0)
    assert found.std() == pytest.approx(wanted.std(), rel=0.25)


@pytest.mark.parametrize(
    ("shape", "dtype", "deviation"),
    [
        pytest.param((4, 100), "float32", 1.0, id="vectors"),
        pytest.param((1, 1, 400), "float32", 1.0, id="a sequence"),
        pytest.param((1, 3, 20, 20), "float32", 1.0, id="no convolution reads it"),
        pytest.param((4, 100), "int32", 0.0, id="integers"),
    ],
)
def test_other_inputs_are_noise(shape: tuple[int, ...], dtype: str, deviation: float) -> None:
    with pytest.warns(ZebraWarning, match="from 2 batches of Gaussian noise, .* give some tens"):
        batches = list(synthetic_batches(module(relay.abs(image(shape, dtype)))["main"], 2))
    assert [batch["x"].shape for batch in batches] == [shape, shape]
    assert batches[0]["x"].dtype == dtype
    assert batches[0]["x"].std() == pytest.approx(deviation, abs=0.2)


def test_the_warning_says_what_was_used_and_what_to_do() -> None:
    mod = module(relay.nn.relu(biased(conv(image()), 1.0)))
    with pytest.warns(
        ZebraWarning, match=r"no calibration data: .* 32 drawn pictures .* calibration=\[picture"
    ):
        quantized = quantize(mod)
    assert "qnn.conv2d" in str(quantized)


def test_layers_have_headroom_within_their_clips() -> None:
    """A ReLU6 stays at 6 at most; the input keeps the range of the pictures."""
    free = relay.nn.relu(biased(conv(image()), 1.0))
    batches = [{"x": RNG.standard_normal(NCHW).astype(np.float32)}]
    plain = read_ranges(quantize(module(free), None, batches, stop_after="calibrate"))
    wide = read_ranges(
        quantize(module(free), None, batches, stop_after="calibrate", techniques=DATA_FREE)
    )
    clipped = relay.clip(biased(conv(image()), 1.0), 0.0, 6.0)
    six = read_ranges(
        quantize(module(clipped), None, batches, stop_after="calibrate", techniques=DATA_FREE)
    )
    assert wide[0] == plain[0]
    assert wide[1] == (0.0, pytest.approx(DATA_FREE.headroom * plain[1][1]))
    assert six[1] == (0.0, 6.0)
