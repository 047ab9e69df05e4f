"""Calibration: ranges, and what is said about bad batches, weights and inputs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tvm
from tests.support.quantizing import Array, Weights, module, pictures
from tvm import relay

from zebra.errors import CalibrationError, InputError, QuantizationError, ZebraWarning
from zebra.relay.calibration import calibrate, current_calibration
from zebra.relay.quantizer import quantize
from zebra.relay.quantizer.batches import checked_batches
from zebra.relay.quantizer.calibrate import RANGES, read_ranges
from zebra.relay.quantizer.observers import MinMax
from zebra.relay.quantizer.recognize import recognize

SHAPE = (2, 3)
X = relay.var("x", shape=SHAPE)
TWO = module(X + relay.var("y", shape=SHAPE))
ONE = module(relay.nn.relu(X))
ZEROS = np.zeros(SHAPE, np.float32)
NAN = np.full(SHAPE, np.nan, np.float32)


def test_ranges_span_all_batches() -> None:
    batches = [np.full(SHAPE, value, np.float32) for value in (-2.0, 0.5, 3.0)]
    mod = quantize(ONE, calibration=batches, stop_after="calibrate")
    assert json.loads(str(mod.attrs[RANGES])) == [[-2.0, 3.0], [0.0, 3.0]]


def test_batches_are_taken_one_at_a_time() -> None:
    taken: list[int] = []

    def source() -> Iterator[Array]:
        for number in range(3):
            taken.append(number)
            yield ZEROS

    checked = checked_batches(ONE["main"], source())
    next(checked)
    assert taken == [0]
    assert len(list(checked)) == 2


def test_an_observer_that_saw_nothing_has_an_empty_range() -> None:
    observer = MinMax()
    observer.update(np.zeros((0, 4), np.float32))
    assert observer.range() == (0.0, 0.0)


@pytest.mark.parametrize(
    ("calibration", "message"),
    [
        pytest.param([], "calibration is empty", id="empty"),
        pytest.param(iter(()), "calibration is empty", id="used up"),
        pytest.param(ZEROS, "calibration is one ndarray; give a list", id="one array"),
        pytest.param({"x": ZEROS}, "calibration is one dict; give a list", id="one batch"),
        pytest.param(
            [ZEROS], r"batch 0 is one array, but the network has the inputs x, y", id="one of two"
        ),
        pytest.param([{"x": ZEROS}], "calibration batch 0 lacks input y", id="missing"),
        pytest.param(
            [{"x": ZEROS, "y": ZEROS, "z": ZEROS}],
            "batch 0 has no input of the network called z; the inputs are x, y",
            id="unknown",
        ),
        pytest.param(
            [{"x": ZEROS, "y": ZEROS}, {"x": ZEROS, "y": ZEROS[:1]}],
            r"calibration batch 1, input y has shape \(1, 3\); the network takes \(2, 3\)",
            id="shape",
        ),
        pytest.param(
            [{"x": ZEROS, "y": NAN}],
            "calibration batch 0, input y holds NaN or infinite values",
            id="nan",
        ),
        pytest.param(
            [{"x": ZEROS, "y": ZEROS - np.inf}],
            "calibration batch 0, input y holds NaN or infinite values",
            id="infinite",
        ),
        pytest.param(
            [{"x": ZEROS, "y": ZEROS.astype(str)}],
            "calibration batch 0, input y holds <U32; give numbers",
            id="text",
        ),
    ],
)
def test_bad_batches_are_named(calibration: Any, message: str) -> None:
    with pytest.raises(CalibrationError, match=message) as caught:
        list(checked_batches(TWO["main"], calibration))
    assert isinstance(caught.value, InputError)
    assert isinstance(caught.value, QuantizationError)


def test_other_number_types_are_converted() -> None:
    (batch,) = checked_batches(ONE["main"], [ZEROS.astype(np.uint8)])
    assert batch["x"].dtype == np.float32


def test_a_network_that_overflows_is_named() -> None:
    mod = module(relay.exp(X))
    with pytest.raises(QuantizationError, match="NaN or infinite values at an operator exp of"):
        quantize(mod, calibration=[ZEROS + 1000])


def test_a_weight_that_is_not_finite_is_named() -> None:
    mod = module(relay.nn.dense(X, relay.var("fc", shape=(4, 3))))
    weight = np.zeros((4, 3), np.float32)
    weight[1, 1] = np.inf
    with pytest.raises(QuantizationError, match="weight fc holds NaN or infinite values"):
        quantize(mod, {"fc": weight}, [ZEROS])
    embedded = module(relay.nn.dense(X, relay.const(weight)))
    with pytest.raises(QuantizationError, match=r"the weight of a nn.dense of \(4, 3\) is NaN or"):
        quantize(embedded, calibration=[ZEROS])


def test_an_infinite_bound_is_no_weight() -> None:
    bound = relay.var("bound", shape=())
    mod = module(relay.minimum(relay.nn.relu(X), bound))
    quantized = quantize(mod, {"bound": np.float32(np.inf)}, pictures(module(X)))
    assert len(quantized["main"].params) == 1


def test_an_unknown_parameter_is_named() -> None:
    with pytest.raises(QuantizationError, match='parameter v is not an argument of "main"'):
        quantize(ONE, {"v": ZEROS})


def test_a_dynamic_shape_is_refused_in_words() -> None:
    mod = module(relay.nn.relu(relay.var("x", shape=(relay.Any(), 3))))
    with pytest.raises(QuantizationError, match=r"input x has the dynamic type .* fixed shape"):
        quantize(mod, calibration=[ZEROS])


def test_a_branch_stays_on_the_host_with_a_warning() -> None:
    condition = relay.var("c", shape=(), dtype="bool")
    mod = module(relay.If(condition, relay.nn.relu(X), relay.tanh(X)))
    with pytest.warns(ZebraWarning, match="branches or calls functions"):
        assert "qnn." not in str(quantize(mod))


def test_a_module_that_was_not_calibrated_is_refused() -> None:
    with pytest.raises(QuantizationError, match="was not calibrated; run the calibrate pass"):
        read_ranges(ONE)


def test_an_absurd_range_is_refused() -> None:
    mod = module(relay.nn.dense(X, Weights()(4, 3, low=1e20, high=2e20)))
    tiny = quantize(mod, calibration=[ZEROS + 1e-3], stop_after="calibrate")
    narrow = tiny.with_attr(RANGES, json.dumps([[0.0, 1.0], [0.0, 1e-9]]))
    from zebra.relay.quantizer.assign import assign_qparams, value_groups
    from zebra.relay.quantizer.emit import emit
    from zebra.relay.quantizer.recognize import recognize

    network = recognize(narrow)
    params = assign_qparams(value_groups(network, read_ranges(narrow)))
    with pytest.raises(QuantizationError, match="binary digits away from its input"):
        emit(narrow["main"], network, params, 16)


def test_calibration_contexts_nest() -> None:
    assert current_calibration() is None
    outer, inner = [ZEROS], [NAN]
    with calibrate(outer):
        with calibrate(inner):
            assert current_calibration() is inner
        assert current_calibration() is outer
    assert current_calibration() is None


def test_a_network_that_tvm_cannot_compile_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise tvm.TVMError("Traceback:\n  TVMError: no strategy for this operator")

    monkeypatch.setattr("zebra.relay.quantizer.evaluate.FloatRunner", fail)
    with pytest.raises(QuantizationError, match=r"cannot compile .* \(TVMError: no strategy for"):
        quantize(ONE, calibration=[ZEROS])


def test_shapes_known_only_at_run_time_stay_on_the_host() -> None:
    doubled = relay.cast(relay.argwhere(X), "float32") * relay.const(2.0)
    assert recognize(quantize(module(doubled), stop_after="fold-affine")).observed == ()


def test_a_result_without_elements_is_refused() -> None:
    x = relay.var("x", shape=(1, 2, 4, 1))
    weight = relay.const(np.ones((2, 3, 3, 2), np.float32))
    empty = relay.nn.conv2d_transpose(
        x, weight, channels=3, kernel_size=(3, 2), padding=(0, 1, 0, 1)
    )
    with pytest.raises(QuantizationError, match="conv2d_transpose makes a tensor without elem"):
        quantize(module(empty), calibration=[np.zeros((1, 2, 4, 1), np.float32)])
