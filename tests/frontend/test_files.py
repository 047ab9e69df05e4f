"""Model files are recognised by content; what is no model is said to be what it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from onnx_files import convolution
from tflite_files import fully_connected

from zebra.errors import ModelError
from zebra.frontend import Format, describe, load

ONNX = convolution().SerializeToString()
TFLITE = fully_connected(quantized=True)


@pytest.mark.parametrize(
    ("content", "form"),
    [
        pytest.param(ONNX, Format.ONNX, id="onnx"),
        pytest.param(TFLITE, Format.TFLITE, id="tflite"),
    ],
)
def test_the_name_does_not_matter(tmp_path: Path, content: bytes, form: Format) -> None:
    path = tmp_path / "model.jpg"
    path.write_bytes(content)
    assert describe(path).format is form
    assert describe(str(path)).origin == str(path)


def test_onnx_with_its_fields_in_another_order_is_recognised() -> None:
    assert ONNX[:2] == b"\x08\x08"
    assert describe(ONNX[2:] + ONNX[:2]).format is Format.ONNX


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"\xff\xd8\xff\xe0JFIF", "is a JPEG picture, not a model", id="jpeg"),
        pytest.param(b"\x89PNG\r\n\x1a\n", "is a PNG picture, not a model", id="png"),
        pytest.param(b"PK\x03\x04rest", "zip archive .*export the network to ONNX", id="zip"),
        pytest.param(b"\x89HDF\r\n", "HDF5 file .*convert it to TFLite", id="keras"),
        pytest.param(b"\x7fELF", "shared library", id="library"),
        pytest.param(b"n01440764 tench", "not a model of a known format.*ONNX, TFLite", id="text"),
        pytest.param(b"", "the file is empty", id="empty"),
        pytest.param(ONNX[: len(ONNX) // 2], "truncated or damaged", id="onnx-half"),
        pytest.param(ONNX[:20], "truncated or", id="onnx-head"),
        pytest.param(TFLITE[: len(TFLITE) // 2], "truncated or damaged", id="tflite-half"),
        pytest.param(TFLITE[:8], "truncated or damaged", id="tflite-head"),
        pytest.param(b'#[version = "0.0.5"]\ndef @main(', "Relay module .*is not one", id="relay"),
        pytest.param(b'{"root": 1, "nodes": []}', "Relay module .*is not one", id="relay-json"),
    ],
)
def test_what_is_no_model_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=message) as caught:
        load(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nowhere\.onnx: there is no such file"):
        load(tmp_path / "nowhere.onnx")


def test_a_directory_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        load(tmp_path)


@pytest.mark.parametrize("size", range(8, len(TFLITE), 37))
def test_a_cut_tflite_file_is_never_read_as_another_model(size: int) -> None:
    try:
        load(TFLITE[:size])
    except ModelError:
        return
    pytest.fail(f"a TFLite model cut to {size} of {len(TFLITE)} bytes was loaded")


def test_relay_text_and_json_give_the_module_back(tmp_path: Path) -> None:
    import tvm
    from tvm import relay

    x = relay.var("x", shape=(1, 4))
    module = relay.transform.InferType()(tvm.IRModule.from_expr(relay.nn.relu(x)))
    for text in (module.astext(), tvm.ir.save_json(module)):
        path = tmp_path / "model"
        path.write_text(text)
        loaded, params = load(path)
        assert tvm.ir.structural_equal(loaded, module)
        assert params == {}
        assert [tensor.describe() for tensor in describe(path).inputs] == ["x float32 [1, 4]"]
