"""How a value's range is found from the tensors it takes during calibration."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from zebra.relay.quantizer.rewriting import FloatArray

Range = tuple[float, float]
Counts = npt.NDArray[np.int64]

BINS = 8192
LOOKED_AT = 1 << 16
"""Elements of one tensor that a histogram counts; the extremes are those of all."""


class Observer(Protocol):
    """Sees one value's tensor once per batch; keeps bounded memory."""

    def update(self, tensor: FloatArray) -> None:
        """Take note of one finite float32 tensor (any shape)."""

    def merge(self, other: Any) -> None:
        """Take note of what another observer of the same kind saw."""


@dataclass
class MinMax:
    """The smallest and the largest element seen."""

    low: float = float("inf")
    high: float = float("-inf")

    def update(self, tensor: FloatArray) -> None:
        """Widen to this tensor's extremes; an empty tensor changes nothing."""
        if tensor.size:
            self.low = min(self.low, float(tensor.min()))
            self.high = max(self.high, float(tensor.max()))

    def merge(self, other: MinMax) -> None:
        """Widen to the other's extremes."""
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)

    def range(self) -> Range:
        """(low, high); (0, 0) if nothing was seen."""
        return (self.low, self.high) if self.low <= self.high else (0.0, 0.0)


@dataclass
class ChannelPeaks:
    """The largest magnitude in each channel (axis 1), float32 [C]."""

    peaks: FloatArray | None = None

    def update(self, tensor: FloatArray) -> None:
        """Widen to this tensor's peaks."""
        axes = tuple(axis for axis in range(tensor.ndim) if axis != 1)
        self._widen(np.maximum(tensor.max(axis=axes), -tensor.min(axis=axes)))

    def merge(self, other: ChannelPeaks) -> None:
        """Widen to the other's peaks."""
        if other.peaks is not None:
            self._widen(other.peaks)

    def float64(self) -> FloatArray:
        """The peaks seen, float64 [C]."""
        assert self.peaks is not None
        return self.peaks.astype(np.float64)

    def _widen(self, peaks: FloatArray) -> None:
        self.peaks = peaks if self.peaks is None else np.maximum(self.peaks, peaks)


@dataclass
class Histogram:
    """Extremes, and counts in BINS equal bins over [-reach, reach); reach is a power of two.

    What is counted does not depend on the order of the tensors.
    """

    extremes: MinMax = field(default_factory=MinMax)
    exponent: int | None = None
    counts: Counts = field(default_factory=lambda: np.zeros(BINS, np.int64))

    def update(self, tensor: FloatArray) -> None:
        """Count evenly spread elements of the tensor; widen to its extremes."""
        own = MinMax()
        own.update(tensor)
        self.extremes.merge(own)
        peak = max(-own.low, own.high) if tensor.size else 0.0
        if peak <= 0.0:
            return
        self._widen(math.frexp(peak)[1])
        assert self.exponent is not None
        flat = tensor.reshape(-1)[:: max(1, tensor.size // LOOKED_AT)]
        places = np.floor(flat * np.float32(0.5 * BINS / 2.0**self.exponent)).astype(np.int32)
        self.counts += np.bincount(np.clip(places + BINS // 2, 0, BINS - 1), minlength=BINS)

    def merge(self, other: Histogram) -> None:
        """Add the other's counts."""
        self.extremes.merge(other.extremes)
        if other.exponent is not None:
            self._widen(other.exponent)
            assert self.exponent is not None
            self.counts += _coarser(other.counts, self.exponent - other.exponent)

    def centres(self) -> FloatArray:
        """The middle of each bin, float64 [BINS]."""
        reach = 2.0 ** (self.exponent or 0)
        return (np.arange(BINS) + 0.5) * (2 * reach / BINS) - reach

    def _widen(self, exponent: int) -> None:
        if self.exponent is not None and exponent > self.exponent:
            self.counts = _coarser(self.counts, exponent - self.exponent)
        self.exponent = exponent if self.exponent is None else max(self.exponent, exponent)


def _coarser(counts: Counts, doublings: int) -> Counts:
    """The same counts in bins 2**doublings times as wide."""
    for _ in range(min(doublings, BINS.bit_length())):
        pairs = counts.reshape(-1, 2).sum(axis=1)
        counts = np.pad(pairs, BINS // 4)
    return counts
