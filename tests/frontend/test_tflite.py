"""TFLite models, float and int8."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import tflite
from tflite_files import (
    INPUT_SCALE,
    INPUT_ZERO,
    OUTPUT_SCALE,
    OUTPUT_ZERO,
    WEIGHT_SCALE,
    WEIGHTS,
    Tensor,
    fully_connected,
    one_operator,
)

from zebra.errors import ModelError
from zebra.frontend import describe, load

Array = npt.NDArray[np.generic]


def run(source: bytes, x: Array) -> Array:
    import tvm
    from tvm import relay

    module, params = load(source)
    bound = relay.build_module.bind_params_by_name(module["main"], params)
    executor = relay.create_executor("graph", tvm.IRModule.from_expr(bound), tvm.cpu(), "llvm")
    result: Array = executor.evaluate()(x).numpy()
    return result


def test_float_equals_numpy() -> None:
    x = np.array([[1.0, 2.0, -3.0, 0.5]], np.float32)
    np.testing.assert_allclose(run(fully_connected(quantized=False), x), x @ WEIGHTS.T)


def test_int8_equals_integer_arithmetic() -> None:
    x = np.array([[9, -3, 20, 7]], np.int8)
    real = INPUT_SCALE * WEIGHT_SCALE * ((x.astype(int) - INPUT_ZERO) @ WEIGHTS.T.astype(int))
    expected = np.floor(real / OUTPUT_SCALE + 0.5) + OUTPUT_ZERO
    got = run(fully_connected(quantized=True), x)
    assert got.dtype == np.int8
    np.testing.assert_array_equal(got, expected)


def test_describe_tells_the_quantization() -> None:
    info = describe(fully_connected(quantized=True))
    (source,), (result,) = info.inputs, info.outputs
    assert source.describe() == "x int8 [1, 4]"
    assert (source.scale, source.zero_point) == (INPUT_SCALE, INPUT_ZERO)
    assert (result.scale, result.zero_point) == (OUTPUT_SCALE, OUTPUT_ZERO)
    assert describe(fully_connected(quantized=False)).inputs[0].scale is None


def test_an_unknown_operator_is_named() -> None:
    kind = tflite.TensorType.FLOAT32
    tensors = [Tensor("x", (1, 4), kind), Tensor("y", (1, 4), kind)]
    source = one_operator(tflite.BuiltinOperator.STABLEHLO_LOGISTIC, tensors, WEIGHTS)
    with pytest.raises(ModelError, match=r"could not convert this TFLite model .*LOGISTIC"):
        load(source)


def test_a_wrong_input_name_lists_the_inputs() -> None:
    with pytest.raises(ModelError, match="has no input named image; its inputs are: x"):
        load(fully_connected(quantized=False), {"image": (1, 4)})
