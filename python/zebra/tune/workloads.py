"""The distinct workloads of a network: what there is to tune."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zebra.codegen.constants import ConstantPool
from zebra.codegen.generate import prepare
from zebra.graph.nodes import Graph
from zebra.hw import HwConfig
from zebra.relay import lower, partition
from zebra.schedule.cost import best_gemm_tiling
from zebra.schedule.plan import plan
from zebra.schedule.tiling import GemmTiling, GemmWorkload


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A workload and the layers that have it."""

    work: GemmWorkload
    layers: tuple[str, ...]


def workloads_of(mod: Any, config: HwConfig) -> list[Occurrence]:
    """The distinct workloads of a quantized Relay module's regions, in the order they first run."""
    partitioned = partition(mod, config)
    layers: dict[GemmWorkload, list[str]] = {}
    for variable, function in partitioned.functions.items():
        if function.attrs is None or function.attrs.get("Compiler") != "zebra":
            continue
        for work, names in graph_workloads(lower(function, config), config).items():
            layers.setdefault(work, []).extend(f"{variable.name_hint}.{name}" for name in names)
    return [Occurrence(work, tuple(names)) for work, names in layers.items()]


def graph_workloads(graph: Graph, config: HwConfig) -> Mapping[GemmWorkload, list[str]]:
    """The names of the layers with each workload that the compiler asks a tiling for."""
    found: dict[GemmWorkload, list[str]] = {}
    for layer in plan(graph, config).layers:

        def note(work: GemmWorkload, config: HwConfig, name: str = layer.name) -> GemmTiling:
            found.setdefault(work, []).append(name)
            return best_gemm_tiling(work, config)

        prepare(layer, ConstantPool(), config, note)
    return found
