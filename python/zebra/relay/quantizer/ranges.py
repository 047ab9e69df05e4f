"""The range of a value that loses least to rounding and clipping.

For a step D and a range [a, b], an element inside loses D^2 / 12 on average, one
outside its squared distance from the range: E = D^2 / 12 * P(inside) + E[distance^2].
The minimum is looked for among ranges shrunk on either side (Sung et al. 2015,
arXiv 1511.06488, for the criterion), over the histogram of calibration.
"""

from __future__ import annotations

import numpy as np

from zebra.relay.quantizer.observers import Histogram, Range
from zebra.relay.quantizer.rewriting import FloatArray

SHRINKS = np.linspace(0.2, 1.0, 41)
LEVELS = 255


def narrowed(seen: Histogram) -> Range:
    """The best range within what was seen, which it is if nothing else is better."""
    low, high = seen.extremes.range()
    low, high = min(low, 0.0), max(high, 0.0)
    if high - low <= 0.0:
        return seen.extremes.range()
    centres, counts = seen.centres(), seen.counts.astype(np.float64)
    below, above = _tail(-centres[::-1], counts[::-1], -low), _tail(centres, counts, high)
    lows, highs = low * SHRINKS, high * SHRINKS
    width = highs[None, :] - lows[:, None]
    loss = (width / LEVELS) ** 2 / 12 * counts.sum() + below[:, None] + above[None, :]
    row, column = np.unravel_index(int(loss.argmin()), loss.shape)
    return float(lows[row]), float(highs[column])


def _tail(centres: FloatArray, counts: FloatArray, end: float) -> FloatArray:
    """Summed squared distance beyond each of ``end * SHRINKS``; zero if end is zero."""
    if end <= 0.0:
        return np.zeros_like(SHRINKS)
    beyond = np.maximum(centres[None, :] - (end * SHRINKS)[:, None], 0.0)
    return np.asarray((beyond**2 * counts).sum(axis=1))
