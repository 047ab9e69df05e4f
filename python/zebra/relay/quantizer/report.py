"""What quantization did to a network, and whether that is good enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from zebra.relay.quantizer.techniques import TITLES, Techniques

GOOD_AGREEMENT, POOR_AGREEMENT = 0.98, 0.95
GOOD_SQNR_DB, POOR_SQNR_DB = 15.0, 10.0
BINS = 32
"""Bins of a value's histogram: eight neighbouring int8 levels each."""

REMEDY = (
    "calibrate with more typical inputs, preprocessed as in use, or keep the network in float "
    "on the host"
)


@dataclass(frozen=True)
class ValueReport:
    """One value: its range [low, high] in int8, SQNR and counts of levels.

    ``name`` is the model's own for the operator that makes it, where Relay's spans have it,
    and ``kind`` Relay's. ``sqnr_db`` is None where the value is exact or always zero.
    ``histogram`` has BINS counts of evenly spread elements, from the lowest levels to the
    highest. ``alone_db``: the output's SQNR with only this layer in int8, None where it was
    not asked for.
    ``in_float``: the layer stays float on the host.
    """

    name: str
    kind: str
    low: float
    high: float
    sqnr_db: float | None
    histogram: tuple[int, ...]
    alone_db: float | None = None
    in_float: bool = False


@dataclass(frozen=True)
class Comparison:
    """The float network beside the quantized one on ``batches`` held-out batches.

    ``agreement``: share of equal top-1, None where the output is no vector of classes;
    ``differ``: how many are not equal. ``sqnr_db``: infinite where the outputs are equal.
    """

    batches: int
    sqnr_db: float
    agreement: float | None
    differ: int = 0

    @property
    def poor(self) -> bool:
        """Whether the user must be warned: one input of few that differs says too little."""
        agrees = self.agreement is None or self.agreement >= POOR_AGREEMENT or self.differ <= 1
        return not agrees or self.sqnr_db < POOR_SQNR_DB

    @property
    def good(self) -> bool:
        """Whether nothing needs to be looked at."""
        agrees = self.agreement is None or self.agreement >= GOOD_AGREEMENT
        return agrees and self.sqnr_db >= GOOD_SQNR_DB

    @property
    def score(self) -> float:
        """1 if nothing is lost: agreement, or 1 - noise / power where there are no classes."""
        return 1.0 - 10 ** (-self.sqnr_db / 10) if self.agreement is None else self.agreement

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it; an infinite SQNR is None."""
        return asdict(self) | ({"sqnr_db": None} if np.isinf(self.sqnr_db) else {})

    def describe(self) -> str:
        """For people: the numbers."""
        numbers = f"output SQNR {self.sqnr_db:.1f} dB"
        if self.agreement is not None:
            numbers += f", top-1 agreement {self.agreement:.1%}"
        count = f"{self.batches} held-out {'batch' if self.batches == 1 else 'batches'}"
        return f"{numbers} with the float network on {count}"


@dataclass(frozen=True)
class QuantizationReport:
    """All of it; ``comparison`` is None where no batch was held out."""

    techniques: Techniques
    calibration_batches: int
    values: tuple[ValueReport, ...]
    comparison: Comparison | None

    @property
    def grade(self) -> str:
        """The verdict's first words: good, look at it, poor or not measured."""
        if self.comparison is None:
            return "not measured"
        if self.comparison.good:
            return "good"
        return "poor" if self.comparison.poor else "look at it"

    def verdict(self) -> str:
        """One sentence: the grade, with the number and the remedy."""
        if self.comparison is None:
            reason = "give at least five calibration batches, of which one is held out"
        else:
            reason = self.comparison.describe()
            reason += "" if self.comparison.good else f"; {REMEDY}"
        return f"{self.grade}: {reason}"

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it; an infinite SQNR is None."""
        found = None if self.comparison is None else self.comparison.to_dict()
        return {"verdict": self.verdict(), **asdict(self), "comparison": found}


@dataclass(frozen=True)
class Ablation:
    """What is left without one technique: a switch of Techniques, and the comparison."""

    technique: str
    without: Comparison

    @property
    def title(self) -> str:
        """For people: the technique's name."""
        return TITLES[self.technique]

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"technique": self.technique, "without": self.without.to_dict()}


def compare(real: Sequence[Any], quantized: Sequence[Any]) -> Comparison | None:
    """Outputs (arrays or tuples of them) of the two networks, by held-out batch."""
    if not real:
        return None
    power = sum(map(energy, real))
    error = sum(map(energy, quantized, real))
    sqnr = float("inf") if error == 0.0 else -float("inf")
    if error > 0.0 and power > 0.0:
        sqnr = float(10 * np.log10(power / error))
    agreement, differ = None, 0
    if all(isinstance(x, np.ndarray) and x.ndim == 2 and x.shape[1] > 1 for x in real):
        same = np.concatenate(
            [x.argmax(axis=1) == z.argmax(axis=1) for x, z in zip(real, quantized)]
        )
        agreement, differ = float(same.mean()), int((~same).sum())
    return Comparison(len(real), sqnr, agreement, differ)


def energy(value: Any, other: Any = None) -> float:
    """Summed squares of an array (or of a tuple of them), or of its difference to another."""
    parts = value if isinstance(value, tuple) else (value,)
    others = other if isinstance(other, tuple) else (other,) * len(parts)
    total = 0.0
    for part, against in zip(parts, others, strict=True):
        off = np.asarray(part, np.float64)
        total += float(np.square(off if against is None else off - against).sum())
    return total
