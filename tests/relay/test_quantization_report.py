"""What quantization says of its own result, on inputs it was not calibrated with."""

from __future__ import annotations

import warnings
from dataclasses import fields
from itertools import groupby
from operator import itemgetter

import numpy as np
import pytest
import tvm
from tests.support.quantizing import Weights, module, pictures
from tvm import relay

from zebra.errors import ZebraWarning
from zebra.relay.quantizer import PLAIN, TITLES, Ablation, QuantizationReport, Techniques, quantize
from zebra.relay.quantizer.report import compare


def network(first: float = 1.0) -> tvm.IRModule:
    """A classifier whose first input channel's result is ``first`` times the others, then undone.

    A scale per tensor then leaves the other channels no levels.
    """
    weights = Weights()
    x = relay.var("x", shape=(1, 4, 8, 8))
    grow = np.ones((4, 1, 1), np.float32)
    grow[0] = first
    # The sigmoid stands between, so that no pass can move the factor elsewhere.
    grown = relay.multiply(relay.sigmoid(x), relay.const(grow))
    flat = relay.nn.batch_flatten(grown)
    matrix = weights.rng.uniform(-1, 1, (10, 4, 64)).astype(np.float32)
    matrix[:, 0] /= first
    return module(relay.nn.dense(flat, relay.const(matrix.reshape(10, 256))))


def told(mod: tvm.IRModule, count: int, how: Techniques) -> QuantizationReport:
    found: list[QuantizationReport] = []
    quantize(mod, calibration=pictures(mod, count), techniques=how, tell=found.append)
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize("how", [PLAIN, Techniques()], ids=["plain", "all"])
def test_a_good_network_gives_no_warning(how: Techniques) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", ZebraWarning)
        report = told(network(), 10, how)
    assert report.verdict().startswith("good: output SQNR ")
    assert report.calibration_batches == 8
    assert report.comparison is not None
    assert report.comparison.batches == 2
    assert all(sum(value.histogram) > 0 and value.low < value.high for value in report.values)


def test_a_poisoned_network_warns_once_with_a_number_and_a_remedy() -> None:
    with pytest.warns(ZebraWarning, match=r"poor: output SQNR -?[\d.]+ dB.*; calibrate") as seen:
        told(network(first=1000.0), 10, PLAIN)
    assert len([w for w in seen if issubclass(w.category, ZebraWarning)]) == 1


def test_fewer_than_five_batches_are_all_calibrated_with() -> None:
    report = told(network(), 4, Techniques())
    assert (report.calibration_batches, report.comparison) == (4, None)
    assert report.verdict().startswith("not measured: give at least five")


def test_held_out_batches_do_not_shape_the_network() -> None:
    inputs = pictures(network(), 5)
    one = quantize(network(), calibration=inputs)
    other = quantize(network(), calibration=[*inputs[:4], inputs[0]])
    assert tvm.ir.structural_equal(one, other)


def test_progress_counts_batches_and_layers() -> None:
    mod = network()
    heard: list[tuple[str, int, int]] = []
    quantize(mod, calibration=pictures(mod, 5), progress=lambda *told: heard.append(told))
    phases = [list(of) for _, of in groupby(heard, key=itemgetter(0))]
    assert [phase[0][0] for phase in phases] == ["ranges", "narrowing ranges", "layers"]
    assert phases[0] == [("ranges", number, 4) for number in range(1, 5)]
    assert phases[1][-1][1] == phases[1][-1][2] > 0
    assert phases[2] == [("layers", 1, 2), ("layers", 2, 2)]


def test_an_exact_network_has_no_number_that_json_lacks() -> None:
    real = [np.ones((1, 4), np.float32)]
    found = compare(real, real)
    assert found is not None
    report = QuantizationReport(PLAIN, 4, (), found)
    expected = {"batches": 1, "sqnr_db": None, "agreement": 1.0, "differ": 0}
    assert report.to_dict()["comparison"] == expected
    assert Ablation("equalize", found).to_dict() == {"technique": "equalize", "without": expected}


def test_every_switch_has_a_title_and_can_be_ablated() -> None:
    switches = [each.name for each in fields(Techniques) if each.type == "bool"]
    assert list(TITLES) == switches
    assert Techniques().switched_on == tuple(switches)
    assert Techniques(share_sums=False).switched_on == (*switches[:2], *switches[3:])
    assert PLAIN.switched_on == ()


def test_agreement_is_the_share_of_equal_top_classes() -> None:
    real = [np.eye(4, dtype=np.float32)[[i]] for i in range(4)]
    found = compare(real, [real[0], real[1], real[2], real[0]])
    assert found is not None
    assert found.agreement == 0.75
    assert found.poor


def test_one_input_that_differs_is_no_reason_to_warn_but_two_of_few_are() -> None:
    real = [np.eye(10, dtype=np.float32)[[0]]] * 10
    other = real[0] + np.eye(10, dtype=np.float32)[[1]] * 1.01
    for wrong, poor in ((0, False), (1, False), (2, True)):
        found = compare(real, [other] * wrong + real[wrong:])
        assert found is not None
        assert found.differ == wrong
        assert (found.agreement, found.poor) == (1 - wrong / 10, poor or found.sqnr_db < 10)
