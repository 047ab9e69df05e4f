"""libzebra_rt, the TVM runtime module "zebra": where it is and how it enters a process.

The library takes TVM's symbols from the process, so TVM must have been loaded
with RTLD_GLOBAL before; nothing here imports TVM.
"""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

from zebra.errors import EnvironmentMismatchError
from zebra.runtime.native import candidates, find_library

LIBRARY = "libzebra_rt.so"


def library_path() -> Path:
    """The file of libzebra_rt, for ``rpc_server --load-library``.

    EnvironmentMismatchError if Zebra was not built.
    """
    return find_library(LIBRARY)


def is_built() -> bool:
    """Whether libzebra_rt is there."""
    return any(path.is_file() for path in candidates(LIBRARY))


@cache
def load_library() -> ctypes.CDLL:
    """Load libzebra_rt into this process, once; TVM then has the module type "zebra"."""
    path = library_path()
    try:
        return ctypes.CDLL(str(path), ctypes.RTLD_GLOBAL)
    except OSError as error:
        raise EnvironmentMismatchError(
            f"{path} cannot be loaded beside this tvm ({error}); build Zebra again with the "
            "tvm it runs with"
        ) from None
