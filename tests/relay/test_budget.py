"""Layers that stay float until the network is as accurate as was asked for."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import tvm
from tests.support.quantizing import Weights, module, operators, pictures, run
from tvm import relay

from zebra.errors import CalibrationError, UsageError, ZebraWarning
from zebra.relay.quantizer import PLAIN, QuantizationReport, quantize

LAYERS = 5
SPOILED = 2


def network(spoiled: bool = True) -> tvm.IRModule:
    """Convolutions in a row; in one, a channel of weights 3000 times the others' counts for little.

    Sigmoids stand between them, so that no pass can move a factor elsewhere.
    """
    weights = Weights()
    value = relay.var("x", shape=(1, 8, 8, 8))
    for layer in range(LAYERS):
        kernel = weights.rng.uniform(-1, 1, (8, 8, 3, 3)).astype(np.float32)
        if spoiled and layer == SPOILED:
            value = relay.multiply(value, relay.const(spread()))
            kernel /= spread()[None]
        value = relay.nn.conv2d(value, relay.const(kernel), padding=(1, 1))
        value = relay.sigmoid(relay.multiply(value, relay.const(np.float32(0.3))))
    return module(value)


def spread() -> np.ndarray:
    factors = np.ones((8, 1, 1), np.float32)
    factors[3] = 3000.0
    return factors


def quantized(mod: tvm.IRModule, **how: Any) -> tuple[tvm.IRModule, QuantizationReport]:
    found: list[QuantizationReport] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ZebraWarning)
        result = quantize(
            mod, calibration=pictures(mod, 10), techniques=PLAIN, tell=found.append, **how
        )
    return result, found[0]


def test_the_spoiled_layer_and_the_one_that_spoils_it_stay_float() -> None:
    mod = network()
    _, before = quantized(mod, sensitivity=True)
    alone = {value.name: value.alone_db for value in before.values if value.alone_db is not None}
    assert len(alone) == LAYERS + 1, "a multiply per channel is a depthwise convolution"
    result, after = quantized(mod, accuracy=0.9999)
    assert before.comparison is not None
    assert after.comparison is not None
    assert before.comparison.score < 0.9999 <= after.comparison.score
    floats = [value.name for value in after.values if value.in_float and value.name in alone]
    assert sorted(floats) == sorted(sorted(alone, key=alone.__getitem__)[:2])
    assert operators(result).count("nn.conv2d") == 2
    assert operators(result).count("qnn.conv2d") == LAYERS - 1


def test_the_module_computes_what_the_report_promises() -> None:
    mod = network()
    result, report = quantized(mod, accuracy=0.9999)
    held_out = pictures(mod, 10)[4::5]
    real, found = (np.array(run(each, held_out)) for each in (mod, result))
    noise, power = np.square(found - real).sum(), np.square(real).sum()
    assert report.comparison is not None
    assert 10 * np.log10(power / noise) == pytest.approx(report.comparison.sqnr_db, abs=0.2)


def test_what_is_accurate_enough_stays_as_it_is() -> None:
    mod = network(spoiled=False)
    plain, _ = quantized(mod)
    budgeted, report = quantized(mod, accuracy=0.99)
    assert tvm.ir.structural_equal(plain, budgeted)
    assert not any(value.in_float for value in report.values)


def test_every_layer_stays_float_before_a_budget_is_missed() -> None:
    result, report = quantized(network(), accuracy=1.0)
    assert "qnn.conv2d" not in operators(result)
    assert report.comparison is not None
    assert report.comparison.score > 0.9999999


@pytest.mark.parametrize("accuracy", [0.0, -1.0, 1.5])
def test_a_budget_is_a_share(accuracy: float) -> None:
    with pytest.raises(UsageError, match=r"accuracy .* is not in 0 to 1; give 0.99"):
        quantized(network(), accuracy=accuracy)


def test_a_budget_needs_inputs_to_be_checked_with() -> None:
    mod = network()
    with pytest.raises(CalibrationError, match="give at least five calibration batches"):
        quantize(mod, calibration=pictures(mod, 3), accuracy=0.9)
