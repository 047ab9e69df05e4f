"""The targets "zebra" and "zebra/<config>": TVM target tags of plain llvm.

Plain llvm, because host code for a named CPU is not exact on int8 (AVX2 and
AVX-512 schedules saturate in int16). TVM forgets a tag's name once it is a
Target, so the configuration's name travels in ``model``.
"""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import Any

from tvm.target import Target
from tvm.target.tag import register_tag

from zebra.errors import UsageError
from zebra.hw import DEFAULT, HwConfig, available_configs, find_config, read_config, register

KEY = "zebra"


def register_targets() -> None:
    """Register the tag of every known configuration, and "zebra" for the default one."""
    _register("zebra", DEFAULT)
    for name in available_configs():
        _register(f"zebra/{name}", name)


def register_config(path: str | PathLike[str]) -> str:
    """Make the accelerator described in a JSON file a target; returns its name.

    ``register_config("mine.json")`` gives "zebra/mine". ConfigError says what
    is wrong with the file, or that the name means another configuration already.
    """
    name = register(read_config(Path(path)))
    _register(f"zebra/{name}", name)
    return f"zebra/{name}"


def is_zebra(target: Target) -> bool:
    """Whether a TVM target is one of ours."""
    return KEY in target.keys


def config_of(target: Target) -> HwConfig:
    """The configuration of a zebra target; ConfigError if its model names none."""
    return find_config(str(target.attrs.get("model", DEFAULT)))


def find_zebra(targets: Iterable[Target]) -> Target | None:
    """The one zebra target among ``targets``, or None; UsageError if there are several."""
    found = [target for target in targets if is_zebra(target)]
    if len(found) > 1:
        names = ", ".join(str(target.attrs.get("model", "")) for target in found)
        raise UsageError(f"a build takes one zebra target, and {len(found)} were given: {names}")
    return found[0] if found else None


def _register(tag: str, config: str) -> None:
    settings: dict[str, Any] = {
        "kind": "llvm",
        "keys": [KEY, "cpu"],
        "device": KEY,
        "model": config,
    }
    register_tag(tag, settings, override=True)
