"""Errors of the native library come back as the classes of zebra.errors."""

from __future__ import annotations

from collections.abc import Callable

from tvm._ffi.base import register_error

from zebra import errors
from zebra.errors import ZebraError

_PREFIX = "zebra."


def register_errors() -> None:
    """Teach TVM's FFI that "zebra.<class>: <sentence>" is zebra.errors.<class>(sentence)."""
    for name, value in vars(errors).items():
        if isinstance(value, type) and issubclass(value, ZebraError):
            register_error(_PREFIX + name, _maker(value))


def _maker(cls: type[ZebraError]) -> Callable[[str], ZebraError]:
    return lambda message: cls(message.removeprefix(f"{_PREFIX}{cls.__name__}: "))
