"""The profile of a whole network: its regions one after the other, and the host's part."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from zebra.hw import HwConfig
from zebra.runtime.limits import EngineTime, Stalls
from zebra.runtime.profile import ENGINES, ArrayUse, LayerProfile, RegionProfile

NAMED_LOSSES = 4
"""Losses that the verdict names."""


@dataclass(frozen=True)
class Profile:
    """One inference on one accelerator: the sum of its regions, which run one after the other.

    ``host_seconds``: measured time of what runs on this CPU in one inference (quantize
    and dequantize, operators off the accelerator, moving tensors in and out), without
    the simulator; None where it was not measured.
    """

    config: HwConfig
    regions: tuple[RegionProfile, ...]
    host_seconds: float | None

    @property
    def cycles(self) -> int:
        """Of the accelerator, weights coming from DRAM."""
        return sum(region.cycles for region in self.regions)

    @property
    def seconds(self) -> float:
        """``cycles`` at the configuration's clock."""
        return self.cycles / (self.config["CLOCK_MHZ"] * 1e6)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the convolutions and dense layers on the accelerator."""
        return sum(region.macs for region in self.regions)

    @property
    def mac_utilization(self) -> float:
        """``macs`` per cycle and multiplier of the array, 0..1."""
        peak = self.cycles * self.config.macs_per_cycle
        return self.macs / peak if peak else 0.0

    @property
    def bound_cycles(self) -> float:
        """What the layers would take one by one at their rooflines."""
        return sum(layer.bound_cycles for layer in self.layers)

    @property
    def bound(self) -> float:
        """The ``mac_utilization`` at ``bound_cycles``."""
        peak = self.bound_cycles * self.config.macs_per_cycle
        return self.macs / peak if peak else 0.0

    @property
    def dram_bytes(self) -> int:
        """All that moves over the DRAM's bus, in whole bursts, instructions included."""
        return sum(region.dram_bytes for region in self.regions)

    @property
    def dram_bytes_min(self) -> int:
        """Constants, inputs, outputs and instructions of every region, each once."""
        return sum(region.dram_bytes_min for region in self.regions)

    @property
    def weight_bytes(self) -> int:
        """Packed weights, parameters and tables."""
        return sum(region.weight_bytes for region in self.regions)

    @property
    def code_bytes(self) -> int:
        """Instructions."""
        return sum(region.code_bytes for region in self.regions)

    @cached_property
    def layers(self) -> tuple[LayerProfile, ...]:
        """Of all regions, in order; ``begin`` and ``end`` count from the region's start."""
        return tuple(layer for region in self.regions for layer in region.layers)

    @cached_property
    def rows(self) -> tuple[LayerProfile, ...]:
        """The layers, those of a chain behind the chain itself."""
        return tuple(row for region in self.regions for row in region.rows)

    @cached_property
    def engines(self) -> dict[str, EngineTime]:
        """By "LOAD", "GEMM", "VEC", "STORE"; each one's times sum to ``cycles``."""
        parts = [region.engines for region in self.regions]
        return {
            name: EngineTime(
                sum(part[name].busy for part in parts),
                _sum(part[name].stalled for part in parts),
            )
            for name in ENGINES
        }

    @cached_property
    def array(self) -> ArrayUse:
        """What became of every cycle of the array."""
        parts = [region.array for region in self.regions]
        return ArrayUse(
            sum(part.useful for part in parts),
            sum(part.padding for part in parts),
            sum(part.rows for part in parts),
            _sum(part.stalled for part in parts),
        )

    def verdict(self) -> str:
        """One sentence: how busy the array is, and what is lost to what."""
        if not self.cycles:
            return f"Nothing of this network runs on {self.config.name}."
        busy = self.engines["GEMM"].busy / self.cycles
        shares = {name: cycles / self.cycles for name, cycles in self.array.losses().items()}
        named = [f"{name} {share:.1%}" for name, share in shares.items() if share >= 0.001]
        lost = ", ".join(named[:NAMED_LOSSES])
        if len(named) > NAMED_LOSSES:
            lost += f", others {sum(list(shares.values())[NAMED_LOSSES:]):.1%}"
        return (
            f"GEMM is busy {busy:.0%} of the time and {self.array.useful / self.cycles:.1%} of "
            f"the array's cycles are the network's own work; what is lost: {lost or 'nothing'}."
        )

    def to_dict(self) -> dict[str, Any]:
        """The profile for JSON."""
        return {
            "config": self.config.name,
            "cycles": self.cycles,
            "seconds": self.seconds,
            "macs": self.macs,
            "mac_utilization": self.mac_utilization,
            "bound": self.bound,
            "bound_cycles": self.bound_cycles,
            "dram_bytes": self.dram_bytes,
            "dram_bytes_min": self.dram_bytes_min,
            "weight_bytes": self.weight_bytes,
            "code_bytes": self.code_bytes,
            "host_seconds": self.host_seconds,
            "verdict": self.verdict(),
            "array": _array(self.array),
            "engines": _engines(self.engines),
            "regions": [_region(region) for region in self.regions],
        }


def _sum(parts: Iterable[Stalls]) -> dict[str, int]:
    total: dict[str, int] = {}
    for part in parts:
        for name, value in part.items():
            total[name] = total.get(name, 0) + value
    return total


def _region(region: RegionProfile) -> dict[str, Any]:
    return {
        "name": region.name,
        "cycles": region.cycles,
        "macs": region.macs,
        "dram_bytes": region.dram_bytes,
        "dram_bytes_min": region.dram_bytes_min,
        "engines": _engines(region.engines),
        "layers": [_layer(layer) for layer in region.layers],
    }


def _layer(layer: LayerProfile) -> dict[str, Any]:
    return {
        "name": layer.name,
        "origin": layer.origin,
        "macs": layer.macs,
        "cycles": layer.cycles,
        "begin": layer.begin,
        "end": layer.end,
        "window": layer.window,
        "mac_utilization": layer.mac_utilization,
        "bound_cycles": layer.bound_cycles,
        "bound": layer.bound.value,
        "limit": layer.limit.resource.value,
        "limit_share": layer.limit.share,
        "limit_text": layer.limit.text,
        "read_bytes": layer.read_bytes,
        "written_bytes": layer.written_bytes,
        "code_bytes": layer.code_bytes,
        "least_bytes": layer.least_bytes,
        "array": _array(layer.array),
        "engines": _engines(layer.engines),
        "layers": [_layer(part) for part in layer.parts],
    }


def _array(array: ArrayUse) -> dict[str, float]:
    return {
        "useful": array.useful,
        "padding": array.padding,
        "rows": array.rows,
        "stalled": sum(array.stalled.values()),
    }


def _engines(engines: Mapping[str, EngineTime]) -> dict[str, Any]:
    return {
        name: {"busy": time.busy, "stalled": {k: v for k, v in time.stalled.items() if v}}
        for name, time in engines.items()
    }
