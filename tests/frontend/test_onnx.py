"""ONNX models give the results of ONNX Runtime, or are refused in words."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnx_files import Array, convolution, model, node

from zebra.errors import ModelError
from zebra.frontend import describe, load

pytestmark = pytest.mark.filterwarnings("ignore:::tvm")


def run(source: ModelProto, x: Array, shapes: dict[str, tuple[int, ...]] | None = None) -> Array:
    import tvm
    from tvm import relay

    module, params = load(source.SerializeToString(), shapes)
    executor = relay.create_executor(
        "graph", module, tvm.cpu(), "llvm", {key: value.numpy() for key, value in params.items()}
    )
    result: Array = executor.evaluate()(x).numpy()
    return result


def reference(source: ModelProto, x: Array) -> Array:
    session = onnxruntime.InferenceSession(source.SerializeToString())
    result: Array = session.run(None, {"x": x})[0]
    return result


def picture(*shape: int) -> Array:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


AXES = np.array([2, 3], np.int64)


@pytest.mark.parametrize(
    ("op", "opset", "constants", "attributes"),
    [
        pytest.param("ReduceMean", 13, {}, {"axes": [2, 3]}, id="mean-13-attribute"),
        pytest.param("ReduceMean", 18, {"a": AXES}, {}, id="mean-18-two-axes"),
        pytest.param("ReduceMean", 18, {"a": AXES}, {"keepdims": 0}, id="mean-18-flat"),
        pytest.param("ReduceMean", 18, {}, {}, id="mean-18-all-axes"),
        pytest.param("ReduceMean", 18, {}, {"noop_with_empty_axes": 1}, id="mean-18-noop"),
        pytest.param("ReduceSum", 13, {"a": AXES}, {}, id="sum-13-two-axes"),
        pytest.param("ReduceSum", 13, {"a": -AXES[:1]}, {}, id="sum-13-negative-axis"),
        pytest.param("ReduceMax", 18, {"a": AXES}, {}, id="max-18-two-axes"),
        pytest.param("ReduceMin", 20, {"a": AXES}, {}, id="min-20-two-axes"),
        pytest.param("ReduceL2", 18, {"a": AXES}, {}, id="l2-18-two-axes"),
        pytest.param("ReduceL1", 18, {"a": AXES}, {}, id="l1-18-two-axes"),
        pytest.param("ReduceSumSquare", 18, {"a": AXES}, {}, id="sum-square-18-two-axes"),
        pytest.param("ReduceLogSumExp", 18, {"a": AXES}, {}, id="log-sum-exp-18-two-axes"),
    ],
)
def test_reductions_take_every_axis(
    op: str, opset: int, constants: dict[str, Array], attributes: dict[str, object]
) -> None:
    source = model([node(op, "x", *constants, **attributes)], (1, 3, 4, 5), constants, opset)
    x = picture(1, 3, 4, 5)
    expected = reference(source, x)
    got = run(source, x)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("opset", [11, 13, 17, 18, 21, 24])
def test_a_convolution_equals_onnx_runtime_at_every_opset(opset: int) -> None:
    source = convolution()
    source.opset_import[0].version = opset
    source.ir_version = 10
    x = picture(1, 3, 8, 8)
    np.testing.assert_allclose(run(source, x), reference(source, x), rtol=1e-5, atol=1e-5)


def test_axes_from_a_constant_node_are_read() -> None:
    axes = helper.make_node("Constant", [], ["a"], value=numpy_helper.from_array(AXES))
    source = model([axes, node("ReduceSum", "x", "a", keepdims=0)], (1, 3, 4, 5), opset=18)
    x = picture(1, 3, 4, 5)
    np.testing.assert_allclose(run(source, x), reference(source, x), rtol=1e-5)


def test_the_callers_model_is_not_changed() -> None:
    source = model([node("ReduceSum", "x", "a")], (1, 3, 4, 5), {"a": AXES}, 18)
    before = source.SerializeToString()
    load(before)
    assert source.SerializeToString() == before


def test_conversion_leaves_onnx_as_it_was() -> None:
    load(convolution().SerializeToString())
    assert "onnx.mapping" not in sys.modules
    assert not hasattr(onnx, "mapping")


def test_an_open_batch_is_one() -> None:
    x = picture(1, 3, 8, 8)
    source = convolution(("batch", 3, 8, 8))
    np.testing.assert_allclose(run(source, x), reference(source, x), rtol=1e-5, atol=1e-5)


def test_given_shapes_settle_open_sizes() -> None:
    x = picture(2, 3, 6, 7)
    source = convolution(("batch", 3, "height", "width"))
    got = run(source, x, {"x": (2, 3, 6, 7)})
    np.testing.assert_allclose(got, reference(source, x), rtol=1e-5, atol=1e-5)


def test_describe_names_inputs_without_the_weights() -> None:
    source = convolution(("batch", 3, "height", 8))
    source.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, (4, 3, 3, 3)))
    info = describe(source.SerializeToString())
    assert [tensor.describe() for tensor in info.inputs] == ["x float32 [batch, 3, height, 8]"]
    assert [tensor.name for tensor in info.outputs] == ["y"]


def test_weights_in_another_file_are_read(tmp_path: Path) -> None:
    source, path = convolution(), tmp_path / "net.bin"
    x = picture(1, 3, 8, 8)
    onnx.save_model(source, path, save_as_external_data=True, location="weights", size_threshold=0)
    import tvm
    from tvm import relay

    module, _ = load(path)
    got = relay.create_executor("graph", module, tvm.cpu(), "llvm").evaluate()(x).numpy()
    np.testing.assert_allclose(got, reference(convolution(), x), rtol=1e-5, atol=1e-5)
    (tmp_path / "weights").unlink()
    with pytest.raises(ModelError, match=r"keeps its weights in other files.*beside the model"):
        load(path)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        pytest.param(
            model([node("Relu", "x")], opset=6), "opset 6 is older.*7..24", id="opset-old"
        ),
        pytest.param(
            model([node("Relu", "x")], opset=27), "opset 27 is newer.*7..24", id="opset-new"
        ),
        pytest.param(
            model([node("Frobnicate", "x", output="t"), node("Relu", "t")]),
            r"no reader for the operators Frobnicate \(x1, first Frobnicate_0\)",
            id="operator-unknown",
        ),
        pytest.param(
            model([node("Relu", "x", domain="my.shop")], domain="my.shop"),
            r"operators my.shop.Relu \(x1",
            id="operator-of-another-domain",
        ),
        pytest.param(
            model(
                [node("Resize", "x", "", "s", antialias=1, mode="linear")],
                constants={"s": np.array([1, 1, 0.5, 0.5], np.float32)},
                opset=18,
            ),
            "Resize Resize_0 uses antialias",
            id="resize-antialias",
        ),
        pytest.param(
            model(
                [node("Pad", "x", "p", "", "a")],
                constants={"p": np.array([1, 1], np.int64), "a": np.array([3], np.int64)},
                opset=18,
            ),
            "Pad Pad_0 names its axes",
            id="pad-axes",
        ),
        pytest.param(
            model([node("ReduceSum", "x", "a")], opset=13),
            "ReduceSum ReduceSum_0 computes its axes at run time",
            id="reduce-dynamic-axes",
        ),
        pytest.param(
            model([node("ReduceL2", "x", noop_with_empty_axes=1)], opset=18),
            "ReduceL2 ReduceL2_0 reduces nothing",
            id="reduce-noop",
        ),
        pytest.param(
            convolution(("n", 3, "h", "w")),
            r"input x float32 \[n, 3, h, w\] leaves sizes open.*--shape x=1,3,224,224",
            id="open-sizes",
        ),
        pytest.param(
            model([node("NonZero", "x")]),
            r"3 operators have shapes that are known at run time only.*argwhere",
            id="dynamic-result",
        ),
        pytest.param(
            convolution((1, 5, 8, 8)), "could not convert this ONNX model", id="contradiction"
        ),
    ],
)
def test_what_cannot_be_read_is_refused_in_words(source: ModelProto, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load(source.SerializeToString())


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        pytest.param({"z": (1,)}, "has no input named z; its inputs are: x", id="wrong-name"),
        pytest.param({"x": (1, 4, 8, 8)}, r"\[1, 4, 8, 8\] given for input x contradi", id="dim"),
        pytest.param({"x": (3, 8, 8)}, "contradicts the file, which declares x", id="rank"),
        pytest.param({"x": (1, 3, 0, 8)}, "has a size below 1", id="zero"),
    ],
)
def test_wrong_shapes_are_refused(shapes: dict[str, tuple[int, ...]], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load(convolution((1, 3, "h", 8)).SerializeToString(), shapes)
