"""libzebra_sim through ctypes: where it is, its structs and its functions."""

from __future__ import annotations

import ctypes
import importlib.metadata
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from zebra.errors import (
    AddressError,
    ArtifactError,
    DriverError,
    EncodingError,
    EnvironmentMismatchError,
    OperandError,
    TokenError,
    UninitializedError,
    ZebraError,
)

DISTRIBUTION = "tvm-zebra"
LIBRARY = "libzebra_sim.so"
ABI_VERSION = 2
ERROR_BYTES = 1024

STATUS: dict[int, type[ZebraError]] = {
    1: EncodingError,
    2: OperandError,
    3: TokenError,
    4: AddressError,
    5: UninitializedError,
    6: ArtifactError,
    7: DriverError,
}
"""The error class of every status code of include/zebra/c_api.h but 0."""

KERNELS = {"auto": 0, "portable": 1, "avx2": 2, "avx512_vnni": 3}
"""ZEBRA_KERNEL_... by name."""


class HwSizes(ctypes.Structure):
    """ZebraHwSizes: entries of the memories."""

    _fields_ = [
        (name, ctypes.c_uint32)
        for name in ("rows", "block", "act", "wgt", "acc", "par", "tab", "mult_width")
    ]


class NativeSpan(ctypes.Structure):
    """ZebraSpan: bytes of DRAM."""

    _fields_ = [("start", ctypes.c_uint64), ("size", ctypes.c_uint64)]


class Job(ctypes.Structure):
    """ZebraJob: one run. It borrows every pointer."""

    _fields_ = [
        ("sizes", HwSizes),
        ("threads", ctypes.c_uint32),
        ("kernel", ctypes.c_uint32),
        ("code", ctypes.c_char_p),
        ("code_bytes", ctypes.c_uint64),
        ("dram", ctypes.c_void_p),
        ("dram_bytes", ctypes.c_uint64),
        ("constant_bytes", ctypes.c_uint64),
        ("inputs", ctypes.POINTER(NativeSpan)),
        ("input_count", ctypes.c_uint64),
        ("outputs", ctypes.POINTER(NativeSpan)),
        ("output_count", ctypes.c_uint64),
    ]


class NativeCounters(ctypes.Structure):
    """ZebraCounters: what the engines did."""

    _fields_ = [
        ("instructions", ctypes.c_uint64 * 4),
        ("iterations", ctypes.c_uint64 * 4),
        ("dram_read_bytes", ctypes.c_uint64),
        ("dram_written_bytes", ctypes.c_uint64),
        ("macs", ctypes.c_uint64),
    ]


def candidates(name: str) -> Iterator[Path]:
    """Where a native library may be: the installed distribution, then beside the package."""
    try:
        distribution = importlib.metadata.distribution(DISTRIBUTION)
        yield Path(str(distribution.locate_file(f"zebra/_native/{name}")))
    except importlib.metadata.PackageNotFoundError:
        pass
    yield Path(__file__).parent.parent / "_native" / name


def find_library(name: str = LIBRARY) -> Path:
    """The first candidate that exists; EnvironmentMismatchError says where it was looked for."""
    places = list(candidates(name))
    for path in places:
        if path.is_file():
            return path
    looked = " or ".join(str(path.parent) for path in places)
    raise EnvironmentMismatchError(
        f"the native library {name} is not in {looked}; install the {DISTRIBUTION} package or "
        "build it with cmake"
    )


def is_built() -> bool:
    """Whether libzebra_sim is there."""
    return any(path.is_file() for path in candidates(LIBRARY))


@cache
def load_simulator() -> ctypes.CDLL:
    """libzebra_sim with typed functions.

    EnvironmentMismatchError if it is missing, cannot be loaded or is of another version.
    """
    path = find_library()
    try:
        library = ctypes.CDLL(str(path))
        version = int(library.zebra_sim_abi_version())
    except (OSError, AttributeError) as error:
        raise EnvironmentMismatchError(
            f"{path} cannot be used ({error}); install the {DISTRIBUTION} package again"
        ) from None
    if version != ABI_VERSION:
        raise EnvironmentMismatchError(
            f"{path} has ABI version {version}, this package needs {ABI_VERSION}; install the "
            f"{DISTRIBUTION} package again"
        )
    library.zebra_sim_kernel_available.argtypes = [ctypes.c_uint32]
    library.zebra_sim_kernel_available.restype = ctypes.c_int
    library.zebra_sim_run.argtypes = [
        ctypes.POINTER(Job),
        ctypes.POINTER(NativeCounters),
        ctypes.c_char_p,
        ctypes.c_size_t,
    ]
    library.zebra_sim_run.restype = ctypes.c_int
    library.zebra_verify.argtypes = [ctypes.POINTER(Job), ctypes.c_char_p, ctypes.c_size_t]
    library.zebra_verify.restype = ctypes.c_int
    return library


def available_kernels() -> tuple[str, ...]:
    """The kernels this CPU can run, "auto" first."""
    library = load_simulator()
    return tuple(name for name, code in KERNELS.items() if library.zebra_sim_kernel_available(code))


def run_job(job: Job) -> NativeCounters:
    """Run ``job``; raise the error class of its status with the library's sentence."""
    counters = NativeCounters()
    text = ctypes.create_string_buffer(ERROR_BYTES)
    status = load_simulator().zebra_sim_run(
        ctypes.byref(job), ctypes.byref(counters), text, ERROR_BYTES
    )
    _raise(status, text.value)
    return counters


def verify_job(job: Job) -> None:
    """Judge ``job``'s program; raise the error class of its status with the library's sentence."""
    text = ctypes.create_string_buffer(ERROR_BYTES)
    _raise(load_simulator().zebra_verify(ctypes.byref(job), text, ERROR_BYTES), text.value)


def _raise(status: int, text: bytes) -> None:
    if status:
        raise STATUS[status](text.decode("utf-8", "replace"))
