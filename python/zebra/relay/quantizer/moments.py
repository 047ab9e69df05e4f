"""First and second moments of what a layer's weights are multiplied with.

Two versions of each input are seen side by side: x of the float network and z of the
quantized one. For group g of a convolution (one for dense) with T taps per output:
mean x, mean z [G, T], and the covariance of z [G, T, T].
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from zebra.relay.quantizer.evaluate import Array
from zebra.relay.quantizer.integer_layer import groups_of
from zebra.relay.quantizer.steps import Linear
from zebra.relay.quantizer.windows import geometry, windows

NOISE = 1e-5
"""A variance below this share of the mean square is rounding."""
LOOKED_AT = 256
"""Output pixels of one batch that are looked at, evenly spread."""


@dataclass
class Moments:
    """Sums over samples, added up in float64."""

    count: int
    x: Array
    z: Array
    zz: Array

    def __iadd__(self, other: Moments) -> Moments:
        self.count += other.count
        self.x += other.x
        self.z += other.z
        self.zz += other.zz
        return self

    def means(self) -> tuple[Array, Array]:
        """Mean x and mean z, [G, T]."""
        return self.x / self.count, self.z / self.count

    def covariance(self) -> Array:
        """Of z, [G, T, T]."""
        z = self.z / self.count
        covariance = self.zz / self.count
        squares = np.einsum("gtt->gt", covariance).copy()
        covariance -= z[:, :, None] * z[:, None, :]
        # Sums of float32 products: what varies less than this was seen to be constant.
        constant = np.einsum("gtt->gt", covariance) <= NOISE * squares
        for group, taps in enumerate(constant):
            covariance[group, taps] = covariance[group, :, taps] = 0
        return covariance


def moments_of(step: Linear, seen: Iterable[tuple[int, Array, Array]]) -> Moments:
    """Of some batches' (number, x, z); ``number`` moves the pixels that are looked at."""
    pairs = [(samples(step, x, number), samples(step, z, number)) for number, x, z in seen]
    a, b = (np.concatenate(side, axis=2) for side in zip(*pairs, strict=True))
    return Moments(
        a.shape[2],
        a.sum(axis=2, dtype=np.float64),
        b.sum(axis=2, dtype=np.float64),
        np.matmul(b, b.swapaxes(1, 2)),
    )


def samples(step: Linear, data: Array, number: int) -> Array:
    """float32 [G, T, M]: what the taps of each group see at M output pixels."""
    if geometry(step).operator == "nn.dense":
        return np.ascontiguousarray(data.T)[None]
    view = windows(step, data)
    stride = max(1, math.isqrt(view.shape[2] * view.shape[3] // LOOKED_AT))
    first = number % stride
    view = view[:, :, first::stride, first::stride]
    groups = groups_of(step)
    count, channels, rows, columns, height, width = view.shape
    ordered = view.transpose(1, 4, 5, 0, 2, 3)
    return ordered.reshape(groups, channels // groups * height * width, count * rows * columns)
