"""How a value's range is found from the tensors it takes during calibration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from zebra.relay.quantizer.rewriting import FloatArray

Range = tuple[float, float]


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
