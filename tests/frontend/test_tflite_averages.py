"""Averages of int8 TFLite tensors are rounded, not truncated."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import tflite
import tvm
from tflite_files import Tensor, one_operator
from tvm import relay

from zebra.frontend import load
from zebra.frontend.tflite_averages import round_averages
from zebra.relay.reference import exact_reference

Array = npt.NDArray[np.generic]


def evaluate(module: tvm.IRModule, x: Array) -> Array:
    with tvm.transform.PassContext(opt_level=3), exact_reference():
        executor = relay.create_executor("graph", module, tvm.cpu(), "llvm")
        result: Array = executor.evaluate()(x).numpy()
    return result


def pool(padding: tuple[int, int, int, int]) -> tvm.IRModule:
    """As TVM's converter writes AVERAGE_POOL_2D, NHWC."""
    x = relay.var("x", shape=(1, 5, 5, 2), dtype="int8")
    wide = relay.cast(x, "int32")
    pooled = relay.nn.avg_pool2d(wide, (3, 3), padding=padding, layout="NHWC")
    return tvm.IRModule.from_expr(relay.Function([x], relay.cast(pooled, "int8")))


def window_means(x: Array, pads: tuple[int, int, int, int]) -> npt.NDArray[np.float64]:
    height, width = (5 + pads[0] + pads[2] - 2, 5 + pads[1] + pads[3] - 2)
    means = np.zeros((1, height, width, 2))
    for row in range(height):
        for column in range(width):
            top, left = row - pads[0], column - pads[1]
            window = x[:, max(top, 0) : top + 3, max(left, 0) : left + 3].astype(float)
            means[:, row, column] = window.mean((1, 2))
    return means


@pytest.mark.parametrize("pads", [(0, 0, 0, 0), (1, 1, 1, 1), (0, 1, 2, 0)])
def test_a_pool_rounds_to_nearest_and_ties_away_from_zero(pads: tuple[int, int, int, int]) -> None:
    x = np.random.default_rng(0).integers(-128, 128, (1, 5, 5, 2)).astype(np.int8)
    means = window_means(x, pads)
    expected = np.sign(means) * np.floor(np.abs(means) + 0.5)
    got = evaluate(round_averages(pool(pads)), x)
    np.testing.assert_array_equal(got, expected)
    assert np.any(evaluate(pool(pads), x) != expected)


def test_mean_rounds_once() -> None:
    kind = tflite.TensorType.INT8
    tensors = [
        Tensor("x", (1, 2, 3, 3), kind, 0, 0.5, 3),
        Tensor("axes", (2,), tflite.TensorType.INT32, 1),
        Tensor("y", (1, 3), kind, 0, 0.25, -7),
    ]
    source = one_operator(tflite.BuiltinOperator.MEAN, tensors, np.array([1, 2], np.int32))
    module, _ = load(source)
    x = np.random.default_rng(1).integers(-30, 30, (1, 2, 3, 3)).astype(np.int8)
    real = 0.5 * (x.astype(float) - 3).mean((1, 2))
    np.testing.assert_array_equal(evaluate(module, x), np.floor(real / 0.25 + 0.5) - 7)
