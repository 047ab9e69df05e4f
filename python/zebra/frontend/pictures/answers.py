"""What a network's outputs say: classes, faces, or plain numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zebra.errors import InputError
from zebra.frontend.model import TensorInfo
from zebra.frontend.pictures.faces import Face, find_faces

Array = npt.NDArray[Any]
BEST = 5


@dataclass(frozen=True, slots=True)
class Answer:
    """``classes``: (label, probability), best first. ``faces``: best first. Else: the numbers."""

    outputs: Mapping[str, Array]
    classes: tuple[tuple[str, float], ...] = ()
    faces: tuple[Face, ...] | None = None

    def summary(self) -> dict[str, Any]:
        """For JSON: the answer, and shape, dtype, range and mean of every output."""
        result: dict[str, Any] = {
            "outputs": {name: statistics(array) for name, array in self.outputs.items()}
        }
        if self.classes:
            result["top"] = [{"label": label, "score": score} for label, score in self.classes]
        if self.faces is not None:
            result["faces"] = [{"score": each.score, "box": each.box} for each in self.faces]
        return result


def answer(
    outputs: Sequence[Array],
    tensors: Sequence[TensorInfo],
    picture: tuple[int, int] | None = None,
    labels: Sequence[str] | None = None,
) -> Answer:
    """Read ``outputs``; ``picture`` is the input's (height, width) where it was a picture."""
    real = [_real(array, tensor) for array, tensor in zip(outputs, tensors)]
    named = {tensor.name: array for tensor, array in zip(tensors, real)}
    if picture is not None and len(real) == 3:
        faces = find_faces(real, *picture)
        if faces is not None:
            return Answer(named, faces=tuple(faces))
    scores = real[0].reshape(-1) if len(real) == 1 else np.empty(0)
    if scores.size >= 2 and scores.size == max(real[0].shape, default=0):
        return Answer(named, _classes(_probabilities(scores, tensors[0]), labels))
    if labels is not None:
        raise InputError("--labels: the network's output is not one list of classes; leave it out")
    return Answer(named)


def read_labels(path: Path) -> tuple[str, ...]:
    """One label a line; InputError if the file cannot be read."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not UTF-8 text; give one label a line") from None
    return tuple(line.strip() for line in lines if line.strip())


def statistics(array: Array) -> dict[str, Any]:
    """Shape, dtype, least, greatest and mean of an array."""
    least, greatest, mean = (float(each) for each in (array.min(), array.max(), array.mean()))
    return {
        "shape": list(array.shape),
        "dtype": str(array.dtype),
        "min": least,
        "max": greatest,
        "mean": mean,
    }


def _real(array: Array, tensor: TensorInfo) -> Array:
    if tensor.scale is None:
        return array
    return (array.astype(np.float64) - tensor.zero_point) * tensor.scale


def _probabilities(scores: Array, tensor: TensorInfo) -> Array:
    """``scores`` if they are probabilities, else (a network without softmax) their softmax.

    A quantized softmax has the scale 1/256 in TFLite, and its rounded sum is not 1.
    """
    probabilities = scores.astype(np.float64)
    within = probabilities.min() >= 0 and probabilities.max() <= 1
    if within and (tensor.scale == 1 / 256 or 0.9 < probabilities.sum() < 1.1):
        return probabilities
    powers = np.exp(probabilities - probabilities.max())
    return np.asarray(powers / powers.sum())


def _classes(probabilities: Array, labels: Sequence[str] | None) -> tuple[tuple[str, float], ...]:
    names = (
        _fitting(labels, probabilities.size) if labels is not None else range(probabilities.size)
    )
    best = np.argsort(-probabilities, kind="stable")[:BEST]
    return tuple((str(names[index]), float(probabilities[index])) for index in best)


def _fitting(labels: Sequence[str], classes: int) -> Sequence[str]:
    """The labels with or without a leading "background", as the number of classes asks."""
    if len(labels) == classes:
        return labels
    if len(labels) == classes + 1 and labels[0].lower() == "background":
        return labels[1:]
    if len(labels) == classes - 1:
        return ("background", *labels)
    raise InputError(f"--labels has {len(labels)} labels but the network has {classes} classes")
