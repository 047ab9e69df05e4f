"""Which of the techniques of docs/quantization.md are used, and how strongly."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Techniques:
    """One switch per technique; ``PLAIN`` has them all off.

    ``margin``: how much more than calibration showed a channel may take before
    equalization lets the layer's clip cut it off. ``balance``: 1 equalizes the
    channels' ranges, 0 the weights that read them. ``damping``: of the second moments'
    diagonal, in rounding. ``headroom``: how much wider than calibration showed the ranges
    of layers and sums are made.
    """

    equalize: bool = True
    narrow_ranges: bool = True
    share_sums: bool = True
    compensate: bool = True
    correct_bias: bool = True
    margin: float = 2.0
    balance: float = 0.75
    damping: float = 0.01
    headroom: float = 1.0

    @property
    def sweep(self) -> bool:
        """Whether the layers are gone through once more, with the pictures."""
        return self.compensate or self.correct_bias

    @property
    def switched_on(self) -> tuple[str, ...]:
        """Names of the switches that are on."""
        return tuple(each.name for each in fields(self) if getattr(self, each.name) is True)


PLAIN = Techniques(
    equalize=False,
    narrow_ranges=False,
    share_sums=False,
    compensate=False,
    correct_bias=False,
)

TITLES = {
    "equalize": "equalization across layers",
    "narrow_ranges": "narrowed ranges",
    "share_sums": "scales shared by sums",
    "compensate": "error-compensated rounding",
    "correct_bias": "bias correction",
}
"""For people: each switch as docs/quantization.md calls it."""

DATA_FREE = Techniques(narrow_ranges=False, headroom=1.5)
"""All of them, for inputs that are made up: real ones reach further."""
