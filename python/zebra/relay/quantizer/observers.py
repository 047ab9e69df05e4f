"""How a value's range is found from the tensors it takes during calibration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from zebra.relay.quantizer.rewriting import FloatArray

Range = tuple[float, float]


class Observer(Protocol):
    """Sees one value's tensor once per batch; keeps bounded memory."""

    def update(self, tensor: FloatArray) -> None:
        """Take note of one finite float32 tensor (any shape)."""

    def range(self) -> Range:
        """(low, high) of what was seen."""


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

    def range(self) -> Range:
        """(low, high); (0, 0) if nothing was seen."""
        return (self.low, self.high) if self.low <= self.high else (0.0, 0.0)
