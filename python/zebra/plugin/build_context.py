"""What relay.ext.zebra must know of the build it is part of.

TVM hands the code generator a function and nothing else, so the wrapped build
leaves the rest here while it runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from zebra.hw import HwConfig


@dataclass(frozen=True, slots=True)
class BuildContext:
    """The configuration to compile for, and whether the host part is an AOT program.

    ``regions`` are the Relay functions that stubs of these symbols stand for.
    """

    config: HwConfig
    aot: bool = False
    regions: Mapping[str, Any] = field(default_factory=dict)


_current: ContextVar[BuildContext | None] = ContextVar("zebra_build", default=None)


@contextmanager
def building(context: BuildContext) -> Iterator[None]:
    """Compile regions for ``context`` inside."""
    token = _current.set(context)
    try:
        yield
    finally:
        _current.reset(token)


def current_build() -> BuildContext | None:
    """The innermost build for a zebra target, or None."""
    return _current.get()
