"""The accelerator's regions inside what TVM built or loaded, and what they did."""

from __future__ import annotations

import json
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
    """The regions of an executor factory, a VM executable or a runtime module, by name."""
    root = library.get_lib() if hasattr(library, "get_lib") else getattr(library, "mod", library)
    modules: dict[int, Any] = {}
    _collect(root, modules)
    found = (
        Region(str(module["get_symbol"]()), module)
        for module in modules.values()
        if module.type_key == "zebra"
    )
    # Names end in a counter: shorter ones are earlier.
    return tuple(sorted(found, key=lambda region: (len(region.name), region.name)))


def _collect(module: Any, found: dict[int, Any]) -> None:
    """Add a module and all it imports; several modules may import the same one."""
    if module.handle.value not in found:
        found[module.handle.value] = module
        for child in module.imported_modules:
            _collect(child, found)
