"""The accelerator's description."""

from zebra.hw.config import KEYS, HwConfig, Key, read_config
from zebra.hw.registry import DEFAULT, available_configs, find_config, register

__all__ = [
    "DEFAULT",
    "KEYS",
    "HwConfig",
    "Key",
    "available_configs",
    "find_config",
    "read_config",
    "register",
]
