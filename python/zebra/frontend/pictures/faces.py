"""RetinaFace's three outputs -> faces (priors, decoding, non-maximum suppression)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

_PRIORS = ((8, (16, 32)), (16, (64, 128)), (32, (256, 512)))
"""(stride, anchor sizes in pixels) of each pyramid level, biubug6/Pytorch_Retinaface."""
_CENTRE_VARIANCE, _SIZE_VARIANCE = 0.1, 0.2


@dataclass(frozen=True, slots=True)
class Face:
    """A face: score 0..1, box (left, top, right, bottom) as shares of width and height."""

    score: float
    box: tuple[float, float, float, float]


def find_faces(
    outputs: Sequence[Array], height: int, width: int, least: float = 0.5, overlap: float = 0.4
) -> list[Face] | None:
    """Faces with a score of at least ``least``, best first; None if these are no such outputs.

    ``outputs``: loc [1, N, 4], conf [1, N, 2] (softmax), landmarks [1, N, 10] for
    an input of [height, width] pixels. Faces that overlap a better one by more
    than ``overlap`` (intersection over union) are dropped.
    """
    priors = _priors(height, width)
    count = len(priors)
    if [array.shape for array in outputs] != [(1, count, 4), (1, count, 2), (1, count, 10)]:
        return None
    offsets, scores = outputs[0][0], outputs[1][0, :, 1]
    chosen = np.flatnonzero(scores >= least)
    chosen = chosen[np.argsort(-scores[chosen], kind="stable")]
    centre = priors[chosen, :2] + offsets[chosen, :2] * _CENTRE_VARIANCE * priors[chosen, 2:]
    half = priors[chosen, 2:] * np.exp(offsets[chosen, 2:] * _SIZE_VARIANCE) / 2
    boxes = np.concatenate([centre - half, centre + half], axis=1)
    return [
        Face(float(scores[chosen[index]]), _box(boxes[index])) for index in _best(boxes, overlap)
    ]


def _priors(height: int, width: int) -> Array:
    """[N, 4] anchors: centre x, centre y, width, height as shares of the picture."""
    rows = []
    for stride, sizes in _PRIORS:
        for y in range(math.ceil(height / stride)):
            for x in range(math.ceil(width / stride)):
                centre = ((x + 0.5) * stride / width, (y + 0.5) * stride / height)
                rows += [(*centre, size / width, size / height) for size in sizes]
    return np.array(rows)


def _best(boxes: Array, overlap: float) -> list[int]:
    """Indices of the boxes (best first) that no better kept one overlaps too much."""
    kept: list[int] = []
    for index, box in enumerate(boxes):
        if all(_intersection_over_union(box, boxes[other]) <= overlap for other in kept):
            kept.append(index)
    return kept


def _intersection_over_union(a: Array, b: Array) -> float:
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    common = float(np.prod(np.maximum(sides, 0)))
    union = float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2])) - common
    return common / union if union > 0 else 0.0


def _box(row: Array) -> tuple[float, float, float, float]:
    left, top, right, bottom = (float(value) for value in row)
    return left, top, right, bottom
