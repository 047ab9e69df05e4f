"""What is wrong with calibration batches that are right in shape and finite.

Every batch is looked at once, as it is read:

- a float input whose peak is more than OUTLIER times what three quarters of the batches
  stay within would make every scale behind it as much coarser: the batch is left out;
- an input that does not vary within half of the batches, or a single batch shown once or
  again and again, says little about the values that other inputs give;
- a batch norm behind the first convolution says what that gave in training: inputs with
  which it varies MISMATCH times as much, or as little, are preprocessed otherwise. A bias,
  a folded batch norm's, says less: it is about as large as what it is added to varies
  (0.5 to 1.4 times was seen, 38 to 75 with pixels of 0 .. 255 for normalised pictures), so
  only pixels of 0 .. 255 are held against it.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import relay

from zebra.relay.quantizer.synthetic import first_convolution, moments_of

OUTLIER = 10.0
USUAL = 0.75
FEWEST = 3
"""Of fewer batches none is an outlier."""
MISMATCH = 10.0
"""0 .. 255 for normalised pictures is about 60 times as much; 0 .. 1 for them is not noticed."""
LOOKED_AT = 4
"""Batches that go through the first convolution."""

Array = npt.NDArray[Any]
Batch = Mapping[str, Array]


@dataclass
class _Seen:
    """One input over the batches."""

    peaks: list[float] = field(default_factory=list)
    still: list[bool] = field(default_factory=list)
    first: list[Array] = field(default_factory=list)


class Screening:
    """Looks at the batches of ``main`` as they are read, and judges them when all are."""

    def __init__(self, main: relay.Function) -> None:
        self._params = {param.name_hint: param for param in main.params}
        self._main = main
        self._inputs = {name: _Seen() for name in self._params}
        self._sums: list[int] = []

    def watch(self, batches: Iterable[dict[str, Array]]) -> Iterator[dict[str, Array]]:
        """The batches, each looked at on its way."""
        for batch in batches:
            checksum = 0
            for name, array in batch.items():
                seen = self._inputs[name]
                seen.peaks.append(peak_of(array))
                seen.still.append(is_still(array))
                seen.first += [array] if len(seen.first) < LOOKED_AT else []
                checksum = zlib.crc32(np.ascontiguousarray(array).tobytes(), checksum)
            self._sums.append(checksum)
            yield batch

    def outliers(self) -> frozenset[int]:
        """Numbers of the batches to leave out."""
        return frozenset(n for seen in self._inputs.values() for n in outlying(seen.peaks))

    def warnings(self) -> list[str]:
        """One sentence for each thing that is wrong; none before the batches were read."""
        found = [sentence for name in self._inputs for sentence in self._about(name)]
        alone = all(shape[:1] in ((), (1,)) for shape in map(self._shape, self._inputs))
        if self._sums and len(set(self._sums)) == 1 and alone:
            count = len(self._sums)
            shown = "one input" if count == 1 else f"one input, {count} times"
            found.append(
                f"calibration shows {shown}, so values of others may not fit the ranges found; "
                "give some tens of different typical ones"
            )
        return found

    def _shape(self, name: str) -> tuple[int, ...]:
        return tuple(int(extent) for extent in self._params[name].checked_type.shape)

    def _about(self, name: str) -> Iterator[str]:
        seen = self._inputs[name]
        if bad := outlying(seen.peaks):
            which = ", ".join(str(number) for number in bad)
            largest = max(seen.peaks[number] for number in bad)
            yield (
                f"calibration batch {which}: input {name} reaches {largest:g} where most batches "
                f"stay within {_usual(seen.peaks):.3g}, so it is left out; check how it was "
                "preprocessed"
            )
        if seen.still and 2 * sum(seen.still) >= len(seen.still):
            yield (
                f"input {name} is the same everywhere (zero, or one colour) in {sum(seen.still)} "
                f"of {len(seen.still)} calibration batches, from which no ranges can be learned; "
                "calibrate with typical inputs"
            )
        elif seen.first:
            yield from self._level(name, seen.first)

    def _level(self, name: str, pictures: Sequence[Array]) -> Iterator[str]:
        first = first_convolution(self._main, self._params[name])
        if first is None:
            return
        trained = None if first.variance is None else np.sqrt(first.variance)
        if trained is None and first.bias is not None and all(map(is_raw, pictures)):
            trained = np.abs(first.bias)
        if trained is None or not (trained > 0).any():
            return
        live, moments = trained > 0, moments_of(first, self._params[name])
        found = [np.sqrt(moments([x])[1][live]) / trained[live] for x in pictures]
        ratio = float(np.median(found))
        if 1 / MISMATCH < ratio < MISMATCH:
            return
        told = "its bias suggests" if first.variance is None else "its batch norm saw in training"
        yield (
            f"with the calibration batches of input {name}, the first convolution varies "
            f"{ratio:.2g} times as much as {told}; unless that is how the network was trained, "
            "preprocess calibration inputs as in training (0 .. 255, or normalised)"
        )


def is_raw(array: Array) -> bool:
    """Whether they can be pixels of 0 .. 255."""
    return array.size > 0 and bool(array.min() >= 0 and 16 < array.max() <= 255)


def peak_of(array: Array) -> float:
    """The largest magnitude; 0 for integers, which have no scale to spoil."""
    return float(np.abs(array).max()) if array.size and array.dtype.kind == "f" else 0.0


def is_still(array: Array) -> bool:
    """Whether it is one value again and again, or (of rank 4) one per item and channel."""
    if array.ndim == 4:
        spatial = (1, 2) if array.shape[3] < array.shape[1] else (2, 3)
        if math.prod(array.shape[axis] for axis in spatial) > 1:
            return bool(np.ptp(array, axis=spatial).max() == 0)
    return array.size > 1 and bool(np.ptp(array) == 0)


def outlying(peaks: Sequence[float]) -> list[int]:
    """Numbers of the batches whose peak is OUTLIER times the usual one."""
    usual = _usual(peaks)
    if len(peaks) < FEWEST or usual <= 0:
        return []
    return [number for number, peak in enumerate(peaks) if peak > OUTLIER * usual]


def _usual(peaks: Sequence[float]) -> float:
    return sorted(peaks)[int(USUAL * (len(peaks) - 1))] if peaks else 0.0
