"""The configurations known by name: the presets of vta_config/ and the user's own."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from zebra.errors import ConfigError
from zebra.hw.config import HwConfig, read_config

DEFAULT = "zebra"

_registered: dict[str, HwConfig] = {}


def preset_directory() -> Path:
    """Where the presets are: inside the installed package, or vta_config/ of a source tree."""
    installed = Path(__file__).parent.parent / "vta_config"
    return installed if installed.is_dir() else Path(__file__).parents[3] / "vta_config"


@cache
def _presets() -> Mapping[str, HwConfig]:
    return {path.stem: read_config(path) for path in sorted(preset_directory().glob("*.json"))}


def available_configs() -> tuple[str, ...]:
    """Names of all presets and registered configurations, sorted."""
    return tuple(sorted({*_presets(), *_registered}))


def register(config: HwConfig) -> str:
    """Make ``config`` known by its name; ConfigError if the name means another one already."""
    known = _presets().get(config.name) or _registered.get(config.name)
    if known is not None and known.digest != config.digest:
        raise ConfigError(
            f"a different configuration named {config.name} is already known; rename the file"
        )
    _registered[config.name] = config
    return config.name


def find_config(name: str) -> HwConfig:
    """The configuration called ``name``; ConfigError lists the known ones."""
    config = _registered.get(name) or _presets().get(name)
    if config is None:
        raise ConfigError(
            f"no configuration is called {name}; known: {', '.join(available_configs())}"
        )
    return config
