"""Calibration data given around a call, for doors that have no argument for it.

``with calibrate(batches): relay.build(mod, target="zebra")`` quantizes with
``batches``, without changing the signature of ``relay.build``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy.typing as npt

Batch = npt.NDArray[Any] | Mapping[str, npt.NDArray[Any]]
"""One calibration input: an array (networks with one input) or {input name: array}."""

_current: ContextVar[Iterable[Batch] | None] = ContextVar("zebra_calibration", default=None)


@contextmanager
def calibrate(batches: Iterable[Batch]) -> Iterator[None]:
    """Quantize float networks built inside this context with ``batches``."""
    token = _current.set(batches)
    try:
        yield
    finally:
        _current.reset(token)


def current_calibration() -> Iterable[Batch] | None:
    """The batches of the innermost ``calibrate`` context, or None outside of any."""
    return _current.get()
