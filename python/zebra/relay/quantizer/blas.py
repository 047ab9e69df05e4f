"""NumPy's matrix library held to one thread, where Python threads share the cores already.

Both at once wait for each other: several times as slow. One thread a product also
makes the sums, and with them the result, independent of the number of cores.
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
def one_thread() -> Iterator[None]:
    """One thread in OpenBLAS inside the context; nothing changes for another library."""
    library = _library()
    if library is None:
        yield
        return
    setter, getter = library
    before = int(getter())
    setter(1)
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
