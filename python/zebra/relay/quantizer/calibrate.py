"""Pass: run the float network on the batches and note every value's range."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy.typing as npt
import tvm

from zebra.errors import QuantizationError
from zebra.relay.quantizer.forward import observe
from zebra.relay.quantizer.observers import Histogram, MinMax, Range
from zebra.relay.quantizer.ranges import narrowed
from zebra.relay.quantizer.recognize import recognize

RANGES = "zebra.ranges"


def calibrate_ranges(
    mod: tvm.IRModule,
    batches: Iterable[Mapping[str, npt.NDArray[Any]]],
    narrow: bool = False,
) -> tvm.IRModule:
    """The module with the ranges of ``recognize(mod).observed`` as its attribute RANGES.

    Everything seen, or with ``narrow`` the part of it that loses least (``ranges``).
    Raises CalibrationError for a bad batch, QuantizationError where the network
    itself gives NaN or infinities.
    """
    network = recognize(mod)
    values = network.observed
    if not values:
        return mod.with_attr(RANGES, "[]")
    if narrow:
        ranges = [narrowed(seen) for seen in observe(network, values, batches, Histogram)]
    else:
        ranges = [seen.range() for seen in observe(network, values, batches, MinMax)]
    return mod.with_attr(RANGES, json.dumps(ranges))


def read_ranges(mod: tvm.IRModule) -> list[Range]:
    """The ranges that ``calibrate_ranges`` left, in the order of ``observed``."""
    if mod.attrs is None or RANGES not in mod.attrs:
        raise QuantizationError("the module was not calibrated; run the calibrate pass first")
    return [(low, high) for low, high in json.loads(str(mod.attrs[RANGES]))]
