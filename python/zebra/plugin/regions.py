"""The accelerator's regions inside what TVM built or loaded, and what they did."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from zebra.artifact import Artifact


@dataclass(frozen=True, slots=True)
class Region:
    """One region of a library: ``name`` is its function's, ``module`` its runtime module."""

    name: str
    module: Any

    def artifact(self) -> Artifact:
        """What the region runs."""
        return Artifact.from_bytes(bytes(self.module["get_artifact"]()), self.name)

    def counters(self) -> dict[str, Any]:
        """Totals over all runs so far.

        ``calls``, ``seconds`` in the simulator, ``instructions`` and ``iterations`` of
        LOAD, GEMM, VEC and STORE, ``dram_read_bytes``, ``dram_written_bytes``, ``macs``.
        """
        totals: dict[str, Any] = json.loads(self.module["get_counters"]())
        return totals


def find_regions(library: Any) -> tuple[Region, ...]:
    """The regions of an executor factory, a VM executable or a runtime module, in order."""
    root = library.get_lib() if hasattr(library, "get_lib") else getattr(library, "mod", library)
    modules = (module for module in _walk(root) if module.type_key == "zebra")
    return tuple(Region(str(module["get_symbol"]()), module) for module in modules)


def _walk(module: Any) -> Iterator[Any]:
    yield module
    for child in module.imported_modules:
        yield from _walk(child)
