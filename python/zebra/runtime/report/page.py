"""The page: everything a profile says, in one HTML file that needs nothing else."""

from __future__ import annotations

import json
import os
from html import escape
from pathlib import Path
from typing import Any

from zebra.isa.insns import Engine
from zebra.runtime.cycle import Spent
from zebra.runtime.limits import WORDS
from zebra.runtime.network import Profile
from zebra.runtime.profile import LayerProfile, RegionProfile
from zebra.runtime.report.bars import bars
from zebra.runtime.report.memory_map import memory_map
from zebra.runtime.report.roofline import roofline
from zebra.runtime.report.skeleton import document, shared, tiles_of, write_whole
from zebra.runtime.report.slices import NO_LAYER, merged_slices
from zebra.runtime.report.svg import COLOURS, seconds, short

SLICES = 40_000
"""Slices in the page's timeline; the trace has every instruction."""


def write_page(profile: Profile, path: str | os.PathLike[str], title: str) -> None:
    """Write the page; InputError if ``path`` cannot be written."""
    write_whole(path, page(profile, title), "page")


def page(profile: Profile, title: str) -> str:
    """The HTML document."""
    return document(Path(__file__).with_name("page.html"), _fields(profile, title))


def _fields(profile: Profile, title: str) -> dict[str, str]:
    data = json.dumps(_data(profile), separators=(",", ":")).replace("</", "<\\/")
    return {
        "KIND": "profile",
        "GRADE": "",
        "TITLE": escape(title),
        "STYLE": shared("page.css"),
        "SUBTITLE": escape(_subtitle(profile)),
        "VERDICT": escape(profile.verdict()),
        "TILES": _tiles(profile),
        "BARS": bars(profile),
        "ROOFLINE": roofline(profile),
        "LIMITS": _limits(),
        "MEMORY": "".join(_memory(region) for region in profile.regions),
        "SCRIPT": f"const DATA = {data};\n" + shared("tips.js") + shared("page.js"),
    }


def _subtitle(profile: Profile) -> str:
    config, count = profile.config, len(profile.regions)
    return (
        f"{config.name}: {config.rows} x {config.block} x {config.block} array, "
        f"{config['CLOCK_MHZ']} MHz, DRAM {config['DRAM_BYTES_PER_CYCLE']} bytes per cycle; "
        f"{count} {'region' if count == 1 else 'regions'}, {len(profile.layers)} layers, "
        f"{profile.code_bytes // 64} instructions"
    )


def _tiles(profile: Profile) -> str:
    host = "not measured" if profile.host_seconds is None else seconds(profile.host_seconds)
    return tiles_of(
        {
            "on the accelerator": (seconds(profile.seconds), f"{profile.cycles:,} cycles"),
            "MAC utilization": (
                f"{profile.mac_utilization:.1%}",
                f"{profile.bound:.1%} if every layer ran at its roofline",
            ),
            "multiply-accumulates": (short(profile.macs), "of the network's own layers"),
            "DRAM traffic": (
                short(profile.dram_bytes, "B"),
                f"at least {short(profile.dram_bytes_min, 'B')}",
            ),
            "on this CPU": (host, "host part of a run"),
        }
    )


def _limits() -> str:
    return "".join(
        f'<span><i style="background:{colour}"></i>limited by {escape(kind.value)}</span>'
        for kind, colour in COLOURS.items()
    )


def _memory(region: RegionProfile) -> str:
    program = region.artifact.compiled.program
    text = (
        f"{region.name}: {short(program.dram_bytes, 'B')}, of which "
        f"{short(program.constant_bytes, 'B')} constants; "
        f"{short(region.code_bytes, 'B')} of instructions beside them"
    )
    return f"<p>{escape(text)}</p>{memory_map(region)}"


def _data(profile: Profile) -> dict[str, Any]:
    """What page.js draws: times of all regions on one axis.

    ``layers`` are the rows: the layers, and behind a chain its own, which name it by its place.
    """
    layers: list[dict[str, Any]] = []
    slices: list[list[list[int]]] = [[] for _ in Engine]
    offset = closed = 0
    for region in profile.regions:
        found, gap = merged_slices(region, SLICES // len(profile.regions))
        closed = max(closed, gap)
        for each in found:
            layer = each.layer + len(layers) if each.layer >= 0 else NO_LAYER
            start, took = each.start + offset, each.end - each.start
            slices[each.engine].append([start, took, layer, each.first, each.count])
        for whole in region.layers:
            chain = len(layers)
            layers.append(_layer(whole, region, offset, profile) | {"chain": -1})
            for part in whole.parts:
                # Parts run at the same time; they are shown where their chain is.
                own = _layer(part, region, offset, profile) | {"chain": chain}
                layers.append(own | {key: layers[chain][key] for key in ("start", "end")})
        offset += region.cycles
    return {
        "cycles": profile.cycles,
        "clock": profile.config["CLOCK_MHZ"],
        "gap": closed,
        "engines": [engine.name for engine in Engine],
        "slices": slices,
        "layers": layers,
    }


def _layer(
    layer: LayerProfile, region: RegionProfile, offset: int, profile: Profile
) -> dict[str, Any]:
    worker = layer.engines["GEMM" if layer.engines["GEMM"].busy else "VEC"]
    total = max(worker.cycles, 1)
    named = sorted(worker.stalled.items(), key=lambda part: -part[1])[:3]
    return {
        "name": layer.name,
        "region": region.name,
        "origin": layer.origin,
        "start": layer.end - layer.cycles + offset,
        "end": layer.end + offset,
        "cycles": layer.cycles,
        "share": layer.cycles / max(profile.cycles, 1),
        "window": layer.window,
        "macs": layer.macs,
        "utilization": layer.mac_utilization,
        "bound": layer.bound_cycles,
        "boundBy": layer.bound.value,
        "busy": [layer.engines[name].busy for name in ("GEMM", "VEC")],
        "limit": layer.limit.text,
        "colour": COLOURS[layer.limit.resource],
        "moved": layer.dram_bytes,
        "least": layer.least_bytes,
        "padding": layer.array.padding / max(layer.engines["GEMM"].busy, 1),
        "rows": layer.array.rows / max(layer.engines["GEMM"].busy, 1),
        "stalls": [[WORDS[Spent[name]], cycles / total] for name, cycles in named if cycles],
    }
