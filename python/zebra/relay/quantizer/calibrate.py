"""Pass: run the float network on the batches and note every value's range."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy.typing as npt
import tvm

from zebra.errors import QuantizationError
from zebra.relay.quantizer.forward import observe
from zebra.relay.quantizer.observers import MinMax, Range
from zebra.relay.quantizer.recognize import recognize
from zebra.relay.quantizer.steps import Binary, Linear, Step

RANGES = "zebra.ranges"


def calibrate_ranges(
    mod: tvm.IRModule,
    batches: Iterable[Mapping[str, npt.NDArray[Any]]],
    headroom: float = 1.0,
) -> tvm.IRModule:
    """The module with the ranges of ``recognize(mod).observed`` as its attribute RANGES.

    Everything seen; those of layers and sums widened ``headroom`` times, within their clips.
    Raises CalibrationError for a bad batch, QuantizationError where the network
    itself gives NaN or infinities.
    """
    network = recognize(mod)
    values = network.observed
    if not values:
        return mod.with_attr(RANGES, "[]")
    ranges = [seen.range() for seen in observe(network, values, batches, MinMax)]
    steps = {step.expr: step for step in network.steps}
    wide = [_wider(steps[value], found, headroom) for value, found in zip(values, ranges)]
    return mod.with_attr(RANGES, json.dumps(wide))


def _wider(step: Step, found: Range, headroom: float) -> Range:
    """A layer's or a sum's range times ``headroom``, within its clip; others as they are."""
    if not isinstance(step, (Linear, Binary)):
        return found
    low, high = step.clip or (-math.inf, math.inf)
    return max(min(found[0] * headroom, found[0]), low), min(
        max(found[1] * headroom, found[1]), high
    )


def read_ranges(mod: tvm.IRModule) -> list[Range]:
    """The ranges that ``calibrate_ranges`` left, in the order of ``observed``."""
    if mod.attrs is None or RANGES not in mod.attrs:
        raise QuantizationError("the module was not calibrated; run the calibrate pass first")
    return [(low, high) for low, high in json.loads(str(mod.attrs[RANGES]))]
