"""Pass: run the float network on the batches and note every value's range."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import tvm

from zebra.errors import QuantizationError
from zebra.relay.calibration import Batch
from zebra.relay.quantizer.batches import checked_batches
from zebra.relay.quantizer.observers import MinMax, Observer, Range
from zebra.relay.quantizer.recognize import recognize
from zebra.relay.quantizer.rewriting import Expr, op_name
from zebra.relay.quantizer.running import FloatRunner, host_target

RANGES = "zebra.ranges"


def calibrate_ranges(
    mod: tvm.IRModule,
    calibration: Iterable[Batch] | None,
    observer: Callable[[], Observer] = MinMax,
) -> tvm.IRModule:
    """The module with the ranges of ``recognize(mod).observed`` as its attribute RANGES.

    Batches are run one at a time and none is kept. Raises CalibrationError for a
    bad batch, QuantizationError where the network itself gives NaN or infinities.
    """
    values = recognize(mod).observed
    if not values:
        return mod.with_attr(RANGES, "[]")
    main = mod["main"]
    observers = [observer() for _ in values]
    runner: FloatRunner | None = None
    for number, batch in enumerate(checked_batches(main, calibration)):
        runner = runner or _compile(main, values)
        for value, watcher, tensor in zip(values, observers, runner.run(batch)):
            if not np.isfinite(tensor).all():
                raise QuantizationError(
                    f"the float network gives NaN or infinite values at {_describe(value)} for "
                    f"calibration batch {number}; check the model and how its input is scaled"
                )
            watcher.update(tensor)
    return mod.with_attr(RANGES, json.dumps([watcher.range() for watcher in observers]))


def _compile(main: tvm.relay.Function, values: Sequence[Expr]) -> FloatRunner:
    try:
        return FloatRunner(main.params, values, host_target(), fuse=False)
    except tvm.TVMError as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise QuantizationError(
            f"TVM cannot compile the float network, so it cannot be calibrated ({reason}); "
            "check that relay.build(mod, target='llvm') works"
        ) from error


def read_ranges(mod: tvm.IRModule) -> list[Range]:
    """The ranges that ``calibrate_ranges`` left, in the order of ``observed``."""
    if mod.attrs is None or RANGES not in mod.attrs:
        raise QuantizationError("the module was not calibrated; run the calibrate pass first")
    return [(low, high) for low, high in json.loads(str(mod.attrs[RANGES]))]


def _describe(value: Expr) -> str:
    if isinstance(value, tvm.relay.Var):
        return f"input {value.name_hint}"
    return f"an operator {op_name(value)} of type {value.checked_type}"
