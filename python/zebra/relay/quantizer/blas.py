"""How many threads NumPy's matrix library takes.

One where Python threads share the cores already: both at once wait for each other and
are several times as slow.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

SET, GET = "openblas_set_num_threads", "openblas_get_num_threads"
SPELLINGS = ("scipy_{}64_", "scipy_{}", "{}64_", "{}")


@contextmanager
def blas_threads(count: int) -> Iterator[None]:
    """``count`` threads in OpenBLAS inside the context; nothing changes for another library."""
    library = _library()
    if library is None:
        yield
        return
    setter, getter = library
    before = int(getter())
    setter(count)
    try:
        yield
    finally:
        setter(before)


def _library() -> tuple[ctypes._NamedFuncPointer, ctypes._NamedFuncPointer] | None:
    """The functions that set and get the threads of the OpenBLAS in NumPy's wheel."""
    package = Path(np.__file__).parent
    for folder in (package.parent / "numpy.libs", package / ".dylibs"):
        for path in sorted(folder.glob("*openblas*")):
            library = ctypes.CDLL(str(path))
            for spelling in SPELLINGS:
                names = spelling.format(SET), spelling.format(GET)
                if all(hasattr(library, name) for name in names):
                    return getattr(library, names[0]), getattr(library, names[1])
    return None
