"""Ranges are made smaller where the output gains by it, and only there."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from tests.support.quantizing import Weights, module, pictures
from tvm import relay

from zebra.relay.quantizer import QuantizationReport, Techniques, quantize

OUTLIER = 40.0


def network(used: float) -> tvm.IRModule:
    """A layer whose first channel is OUTLIER times the others, and is read with weight ``used``.

    Its own result is read by a sigmoid too, so that no pass can make the channels alike.
    """
    weights = Weights()
    x = relay.var("x", shape=(1, 4, 8, 8))
    first = weights.rng.uniform(-1, 1, (8, 4, 1, 1)).astype(np.float32)
    first[0] *= OUTLIER
    second = weights.rng.uniform(-1, 1, (6, 8, 1, 1)).astype(np.float32)
    second[:, 0] *= used
    value = relay.nn.conv2d(x, relay.const(first))
    read = relay.nn.conv2d(value, relay.const(second))
    return module(relay.nn.global_avg_pool2d(relay.concatenate([read, relay.sigmoid(value)], 1)))


def report(mod: tvm.IRModule, narrow: bool) -> QuantizationReport:
    found: list[QuantizationReport] = []
    how = Techniques(equalize=False, narrow_ranges=narrow)
    quantize(mod, calibration=pictures(mod, 20), techniques=how, tell=found.append)
    return found[0]


def widest(found: QuantizationReport) -> float:
    return max(value.high - value.low for value in found.values)


def sqnr(found: QuantizationReport) -> float:
    assert found.comparison is not None
    return found.comparison.sqnr_db


def test_a_channel_that_counts_for_nothing_is_cut_off() -> None:
    whole, narrow = (report(network(used=0.0), how) for how in (False, True))
    assert widest(narrow) < 0.7 * widest(whole)
    assert sqnr(narrow) > sqnr(whole) + 2.0


def test_a_channel_that_counts_keeps_its_range() -> None:
    whole, narrow = (report(network(used=1.0), how) for how in (False, True))
    assert widest(narrow) == pytest.approx(widest(whole))


def test_zeros_are_no_reason_to_narrow() -> None:
    mod = network(used=1.0)
    zeros = [{"x": np.zeros((1, 4, 8, 8), np.float32)}] * 6
    found: list[QuantizationReport] = []
    quantize(mod, calibration=zeros, tell=found.append)
    assert found
