"""Calibration batches: checked one at a time, or made up where there are none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import tvm

from zebra.errors import CalibrationError
from zebra.relay.calibration import Batch
from zebra.relay.quantizer.synthetic import COUNT, synthetic_batches

Array = npt.NDArray[Any]


def checked_batches(
    main: tvm.relay.Function, calibration: Iterable[Batch] | None, made: int = COUNT
) -> Iterator[dict[str, Array]]:
    """{input name: array} per batch, with the network's shapes and dtypes.

    Where ``calibration`` is None, ``made`` of them are made up (``synthetic``).

    Raises CalibrationError that names the batch and the input for missing or
    unknown names, other shapes, values that are not finite, or no batch at all.
    """
    if calibration is None:
        yield from synthetic_batches(main, made)
        return
    if isinstance(calibration, (Mapping, np.ndarray, str)):
        raise CalibrationError(
            f"calibration is one {type(calibration).__name__}; give a list of batches, "
            "each an array or {input: array}"
        )
    count = 0
    for count, batch in enumerate(calibration, 1):
        yield _checked(main, batch, f"calibration batch {count - 1}")
    if count == 0:
        raise CalibrationError(
            "calibration is empty (or a generator that was used up); give at least one batch, "
            "or None to quantize without pictures"
        )


def _signature(param: tvm.relay.Var) -> tuple[tuple[int, ...], str]:
    kind = param.checked_type
    return tuple(int(extent) for extent in kind.shape), str(kind.dtype)


def _checked(main: tvm.relay.Function, batch: Batch, where: str) -> dict[str, Array]:
    names = [param.name_hint for param in main.params]
    if not isinstance(batch, Mapping):
        if len(names) != 1:
            raise CalibrationError(
                f"{where} is one array, but the network has the inputs {', '.join(names)}; "
                "give {input: array}"
            )
        batch = {names[0]: batch}
    unknown = [str(name) for name in batch if name not in names]
    if unknown:
        raise CalibrationError(
            f"{where} has no input of the network called {unknown[0]}; the inputs are "
            f"{', '.join(names)}"
        )
    missing = [name for name in names if name not in batch]
    if missing:
        raise CalibrationError(f"{where} lacks input {missing[0]}; give an array for every input")
    return {param.name_hint: _array(param, batch[param.name_hint], where) for param in main.params}


def _array(param: tvm.relay.Var, value: Any, where: str) -> Array:
    shape, dtype = _signature(param)
    array = value.numpy() if hasattr(value, "numpy") else np.asarray(value)
    place = f"{where}, input {param.name_hint}"
    if array.dtype.kind not in "fiub":
        raise CalibrationError(f"{place} holds {array.dtype}; give numbers ({dtype})")
    if array.shape != shape:
        raise CalibrationError(f"{place} has shape {array.shape}; the network takes {shape}")
    with np.errstate(over="ignore", invalid="ignore"):
        converted = np.ascontiguousarray(array, dtype)
    if not (np.isfinite(array).all() and np.isfinite(converted).all()):
        raise CalibrationError(
            f"{place} holds NaN or infinite values as {dtype}; leave that picture out"
        )
    return converted
