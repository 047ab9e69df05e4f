"""Zebra runs neural networks, quantized to int8, on an FPGA accelerator.

Importing it adds the targets "zebra" and "zebra/<config>" to TVM 0.19, so that
``relay.build(mod, target="zebra", params=params)`` compiles for the
accelerator. All else is loaded when first used.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from zebra.errors import (
    AddressError,
    ArtifactError,
    CalibrationError,
    ConfigError,
    DriverError,
    EncodingError,
    EnvironmentMismatchError,
    InputError,
    ModelError,
    OperandError,
    ProgramError,
    QuantizationError,
    TokenError,
    TuningLogError,
    UninitializedError,
    UnsupportedError,
    UsageError,
    ZebraError,
    ZebraWarning,
)
from zebra.plugin import install
from zebra.version import VERSION

if TYPE_CHECKING:
    from zebra.frontend import load
    from zebra.plugin.device import device
    from zebra.plugin.profiling import profile
    from zebra.plugin.regions import find_regions
    from zebra.plugin.targets import register_config
    from zebra.relay import inspect, quantize
    from zebra.relay.calibration import calibrate
    from zebra.relay.reference import exact_reference
    from zebra.runtime.tvm_module import library_path

__version__ = VERSION

_LAZY = {
    "calibrate": "zebra.relay.calibration",
    "device": "zebra.plugin.device",
    "exact_reference": "zebra.relay.reference",
    "find_regions": "zebra.plugin.regions",
    "inspect": "zebra.relay",
    "library_path": "zebra.runtime.tvm_module",
    "load": "zebra.frontend",
    "profile": "zebra.plugin.profiling",
    "quantize": "zebra.relay",
    "register_config": "zebra.plugin.targets",
}

__all__ = [
    "AddressError",
    "ArtifactError",
    "CalibrationError",
    "ConfigError",
    "DriverError",
    "EncodingError",
    "EnvironmentMismatchError",
    "InputError",
    "ModelError",
    "OperandError",
    "ProgramError",
    "QuantizationError",
    "TokenError",
    "TuningLogError",
    "UninitializedError",
    "UnsupportedError",
    "UsageError",
    "ZebraError",
    "ZebraWarning",
    "__version__",
    "calibrate",
    "device",
    "exact_reference",
    "find_regions",
    "inspect",
    "library_path",
    "load",
    "profile",
    "quantize",
    "register_config",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'zebra' has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})


# The command line calls it when a command needs TVM: zebra --help is quick.
if "zebra_command" not in sys.modules:
    install()
