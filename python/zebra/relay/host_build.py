"""TVM's own compiler without work that it repeats for nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from tvm.relay.backend import te_compiler


@contextmanager
def quick_build() -> Iterator[None]:
    """A context in which TVM asks its library for its build options once.

    Outside it asks once per operator, which takes up to half of a build; the
    options of a loaded library do not change.
    """
    original = te_compiler.libinfo
    te_compiler.libinfo = cache(original)
    try:
        yield
    finally:
        te_compiler.libinfo = original
