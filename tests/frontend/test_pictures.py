"""Photographs become the array a network was trained on; its outputs become answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from zebra.errors import InputError, UsageError
from zebra.frontend import Format, ModelInfo, TensorInfo
from zebra.frontend.pictures import Face, Preprocessing, find_faces, guess, load_arrays
from zebra.frontend.pictures.answers import Answer, answer, read_labels
from zebra.frontend.pictures.draw import check_destination, save_picture
from zebra.frontend.pictures.faces import _priors

Array = npt.NDArray[Any]


def info(
    *inputs: TensorInfo, form: Format = Format.ONNX, outputs: tuple[str, ...] = ("y",)
) -> ModelInfo:
    results = tuple(TensorInfo(name, None, "float32") for name in outputs)
    return ModelInfo("net", form, inputs, results)


def preprocessing(tensor: TensorInfo, form: Format = Format.ONNX) -> Preprocessing:
    return guess(info(tensor, form=form), tensor, tensor.dims)  # type: ignore[arg-type]


def grey(value: int, width: int = 8, height: int = 8) -> Image.Image:
    return Image.new("RGB", (width, height), (value, value, value))


def test_an_onnx_photograph_is_scaled_as_torchvision_does() -> None:
    array = preprocessing(TensorInfo("x", (1, 3, 8, 8), "float32"))(grey(255))
    assert array.shape == (1, 3, 8, 8)
    assert array.dtype == np.float32
    expected = (1 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    np.testing.assert_allclose(array[0, :, 4, 4], expected, rtol=1e-6)


def test_a_float_tflite_photograph_lies_in_minus_one_to_one() -> None:
    prepare = preprocessing(TensorInfo("x", (1, 8, 8, 3), "float32"), Format.TFLITE)
    np.testing.assert_allclose(prepare(grey(0)), -1)
    np.testing.assert_allclose(prepare(grey(255)), 1)


@pytest.mark.parametrize(
    ("dtype", "scale", "zero_point", "offset"),
    [
        pytest.param("uint8", 1 / 128, 128, 0, id="uint8-minus-one-to-one"),
        pytest.param("uint8", 0.007843137718737125, 127, 0, id="uint8-zero-127"),
        pytest.param("int8", 1 / 255, -128, -128, id="int8-zero-to-one"),
        pytest.param("int8", 1.0, -128, -128, id="int8-raw"),
    ],
)
def test_a_quantized_input_stores_the_pixels(
    dtype: str, scale: float, zero_point: int, offset: int
) -> None:
    prepare = preprocessing(TensorInfo("x", (1, 1, 256, 1), dtype, scale, zero_point))
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[np.newaxis])
    prepare = prepare.override(fit="stretch")
    np.testing.assert_array_equal(prepare(ramp).reshape(-1), np.arange(256) + offset)


def test_a_wide_picture_keeps_its_centre() -> None:
    picture = grey(0, 24, 8)
    picture.paste((255, 255, 255), (8, 0, 16, 8))
    prepare = preprocessing(TensorInfo("x", (1, 8, 8, 3), "float32"), Format.TFLITE)
    np.testing.assert_allclose(prepare(picture), 1)


def test_bgr_swaps_the_channels() -> None:
    prepare = preprocessing(TensorInfo("x", (1, 8, 8, 3), "float32"), Format.TFLITE)
    red = Image.new("RGB", (8, 8), (255, 0, 0))
    np.testing.assert_allclose(prepare(red)[0, 0, 0], [1, -1, -1])
    np.testing.assert_allclose(prepare.override(bgr=True)(red)[0, 0, 0], [-1, -1, 1])


def test_overrides_are_used_and_said() -> None:
    prepare = preprocessing(TensorInfo("x", (1, 3, 8, 8), "float32"))
    changed = prepare.override(mean=(1.0,), std=(2.0,), scale=1.0)
    np.testing.assert_allclose(changed(grey(11)), 5)
    assert "mean, std, scale as you said" in changed.describe()
    assert "guess: torchvision's" in prepare.describe()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"mean": (1.0, 2.0)}, "--mean has 2 values but .* 3 channels", id="mean"),
        pytest.param({"std": (1.0, 0.0, 1.0)}, "--std has a zero", id="zero"),
    ],
)
def test_impossible_overrides_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        preprocessing(TensorInfo("x", (1, 3, 8, 8), "float32")).override(**changes)


@pytest.mark.parametrize(
    "dims",
    [
        pytest.param((1, 10), id="vector"),
        pytest.param((2, 3, 8, 8), id="two-pictures"),
        pytest.param((1, 5, 8, 8), id="five-channels"),
    ],
)
def test_an_input_that_takes_no_picture_is_refused(dims: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"pass arrays as \.npy or \.npz"):
        preprocessing(TensorInfo("x", dims, "float32"))


X = TensorInfo("x", (1, 4), "float32")
B = TensorInfo("b", (1, 4), "float32")
Q = TensorInfo("x", (1, 4), "int8", 0.5, 0)
SHAPES = {"x": (1, 4), "b": (1, 4)}
ROW = np.arange(4, dtype=np.float32)


def test_arrays_pass_as_they_are(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", ROW)
    np.savez(tmp_path / "a.npz", x=ROW[np.newaxis], b=2 * ROW[np.newaxis])
    one = load_arrays(tmp_path / "a.npy", info(X), SHAPES, None)
    np.testing.assert_array_equal(one["x"], ROW[np.newaxis])
    two = load_arrays(tmp_path / "a.npz", info(X, B), SHAPES, None)
    np.testing.assert_array_equal(two["b"], 2 * ROW[np.newaxis])


@pytest.mark.parametrize(
    ("array", "model", "message"),
    [
        pytest.param(np.zeros(3), info(X), r"has shape \[3\]; the network takes \[1, 4\]", id="s"),
        pytest.param(ROW * np.nan, info(X), "values that are no numbers", id="nan"),
        pytest.param(np.array(list("abcd")), info(X), "values that are no numbers", id="text"),
        pytest.param(ROW + 0.5, info(Q), "is float32 and does not fit int8", id="fraction"),
        pytest.param(ROW * 100, info(Q), "does not fit int8", id="overflow"),
        pytest.param(ROW, info(X, B), "one array but the network has the inputs x, b", id="two"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    tmp_path: Path, array: Array, model: ModelInfo, message: str
) -> None:
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(InputError, match=message):
        load_arrays(tmp_path / "a.npy", model, SHAPES, None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"\x93NUMPY\x01", "not a readable NumPy file", id="npy-cut"),
        pytest.param(b"PK\x03\x04", "not a readable NumPy file", id="npz-cut"),
        pytest.param(b"\xff\xd8\xff\xe0", "neither a readable picture nor", id="jpeg-cut"),
        pytest.param(b"hello", "neither a readable picture nor", id="text"),
        pytest.param(None, "cannot be read", id="missing"),
    ],
)
def test_files_that_are_no_inputs_are_named(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    path = tmp_path / "in.jpg"
    if content is not None:
        path.write_bytes(content)
    tensor = TensorInfo("x", (1, 3, 8, 8), "float32")
    with pytest.raises(InputError, match=message):
        load_arrays(path, info(tensor), {"x": (1, 3, 8, 8)}, preprocessing(tensor))


def test_a_picture_for_a_network_that_takes_none_is_refused(tmp_path: Path) -> None:
    grey(3).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="does not take one picture"):
        load_arrays(tmp_path / "a.png", info(X), SHAPES, None)


def test_npz_names_must_be_the_networks(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", y=ROW)
    with pytest.raises(InputError, match=r"holds the arrays \['y'\] but .* inputs \['x'\]"):
        load_arrays(tmp_path / "a.npz", info(X), SHAPES, None)


Y = (TensorInfo("y", None, "float32"),)


@pytest.mark.parametrize(
    ("scores", "best"),
    [
        pytest.param([0.1, 0.7, 0.2], 0.7, id="probabilities"),
        pytest.param([0.0, np.log(3), 0.0], 0.6, id="logits"),
    ],
)
def test_the_best_class_comes_first(scores: list[float], best: float) -> None:
    found = answer([np.array([scores], np.float32)], Y, labels=["cat", "dog", "cow"])
    assert found.classes[0] == ("dog", pytest.approx(best, rel=1e-5))
    assert found.summary()["top"][0]["label"] == "dog"


def test_quantized_scores_are_read_in_their_scale() -> None:
    tensor = TensorInfo("y", None, "int8", 1 / 256, -128)
    found = answer([np.array([[-128, 64, -64]], np.int8)], (tensor,))
    assert found.classes[0] == ("1", 0.75)


@pytest.mark.parametrize(
    ("labels", "best"),
    [
        pytest.param(["background", "a", "b"], "b", id="background-too-many"),
        pytest.param(["b"], "b", id="background-missing"),
    ],
)
def test_a_background_label_may_be_too_many_or_missing(labels: list[str], best: str) -> None:
    found = answer([np.array([[0.2, 0.8]], np.float32)], Y, labels=labels)
    assert found.classes[0][0] == best


def test_labels_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="has 4 labels but the network has 2 classes"):
        answer([np.array([[0.2, 0.8]], np.float32)], Y, labels=list("abcd"))
    with pytest.raises(InputError, match="not one list of classes"):
        answer([np.zeros((1, 3, 4, 4), np.float32)], Y, labels=["a"])


def test_labels_are_one_a_line(tmp_path: Path) -> None:
    (tmp_path / "labels").write_text("cat\ndog \n\n")
    assert read_labels(tmp_path / "labels") == ("cat", "dog")
    with pytest.raises(InputError, match="cannot be read"):
        read_labels(tmp_path / "nothing")


def detector(*chosen: int) -> list[Array]:
    """Outputs that put a face with score 0.9, 0.8, ... exactly on the chosen priors."""
    count = len(_priors(64, 64))
    confidence = np.zeros((1, count, 2), np.float32)
    for rank, index in enumerate(chosen):
        confidence[0, index, 1] = 0.9 - rank / 10
    return [np.zeros((1, count, 4), np.float32), confidence, np.zeros((1, count, 10), np.float32)]


def test_a_face_on_a_prior_has_the_priors_box() -> None:
    faces = find_faces(detector(0), 64, 64)
    assert faces == [Face(pytest.approx(0.9), pytest.approx((-0.0625, -0.0625, 0.1875, 0.1875)))]


def test_overlapping_faces_are_one() -> None:
    overlapping, apart = find_faces(detector(1, 3), 64, 64), find_faces(detector(1, 31), 64, 64)
    assert overlapping is not None
    assert apart is not None
    assert [len(overlapping), len(apart)] == [1, 2]


def test_other_outputs_are_no_detector() -> None:
    assert find_faces(detector(0), 64, 96) is None
    assert find_faces([np.zeros((1, 10), np.float32)], 64, 64) is None


def test_boxes_are_drawn_where_the_faces_are(tmp_path: Path) -> None:
    source, target = tmp_path / "a.png", tmp_path / "b.png"
    grey(0, 200, 100).save(source)
    face = Answer({}, faces=(Face(0.9, (0.5, 0.5, 0.75, 0.9)),))
    save_picture(source, {"Zebra": face}, target)
    drawn = np.asarray(Image.open(target))
    assert drawn.shape == (100, 200, 3)
    orange = [255, 90, 31]
    assert drawn[50, 120].tolist() == orange
    assert drawn[70, 100].tolist() == orange
    assert drawn[70, 120].tolist() == [0, 0, 0]


def test_a_box_shows_on_both_sides_of_one_it_agrees_with(tmp_path: Path) -> None:
    source, target = tmp_path / "a.png", tmp_path / "b.png"
    grey(0, 200, 100).save(source)
    face = Answer({}, faces=(Face(0.9, (0.5, 0.5, 0.75, 0.9)),))
    save_picture(source, {"Zebra": face, "CPU": face}, target)
    drawn = np.asarray(Image.open(target))
    assert drawn[70, 100].tolist() == [255, 90, 31]
    assert drawn[70, 97].tolist() == [32, 192, 255]
    assert drawn[70, 102].tolist() == [32, 192, 255]


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        pytest.param("a.gif", UsageError, "must end in .png", id="suffix"),
        pytest.param("none/a.png", InputError, "none does not exist; make it", id="folder"),
    ],
)
def test_a_bad_destination_is_refused_early(
    tmp_path: Path, name: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        check_destination(tmp_path / name)
