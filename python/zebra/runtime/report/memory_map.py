"""Which DRAM each layer reads and writes: addresses upward, time to the right."""

from __future__ import annotations

from zebra.isa.program import Span
from zebra.runtime.profile import LayerProfile, RegionProfile
from zebra.runtime.report.svg import element, picture, short
from zebra.runtime.transfers import Intervals, length, merge

WIDTH, HEIGHT = 1300, 340
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 12, 30
STEPS = 300
"""Gaps smaller than this part of the DRAM are closed: nobody could see them."""
EDGE = 120
"""Inputs are marked in this part of the time at its begin, outputs at its end."""


def memory_map(region: RegionProfile) -> str:
    """SVG of one region's DRAM."""
    program = region.artifact.compiled.program
    size = max(program.dram_bytes, 1)
    whole, edge = (0, region.cycles), region.cycles // EDGE
    constants = Span(0, program.constant_bytes)
    parts = [_band(constants, whole, size, "constants", "constants", region)]
    for layer in region.layers:
        if layer.cycles:
            parts += _boxes(layer, layer.dram.read, size, "read", region)
            parts += _boxes(layer, layer.dram.written, size, "written", region)
    for span in program.inputs:
        parts.append(_band(span, (0, edge), size, "port", "input", region))
    for span in program.outputs:
        time = (region.cycles - edge, region.cycles)
        parts.append(_band(span, time, size, "port", "output", region))
    for quarter in range(5):
        at = size * quarter // 4
        y = _up(at, size)
        parts.append(element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_="grid"))
        parts.append(element("text", short(at, "B"), x=LEFT - 8, y=y + 4, text_anchor="end"))
    caption = f"0 .. {short(region.cycles)} cycles"
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(element("text", caption, x=middle, y=HEIGHT - 8, text_anchor="middle"))
    return picture(WIDTH, HEIGHT, parts, f"memory map of {region.name}")


def _band(
    span: Span, time: tuple[int, int], size: int, kind: str, what: str, region: RegionProfile
) -> str:
    tip = f"{what}: {short(span.size, 'B')} at {span.start}"
    return _box(time, (span.start, span.stop), size, kind, tip, region)


def _boxes(
    layer: LayerProfile, intervals: Intervals, size: int, kind: str, region: RegionProfile
) -> list[str]:
    tip = f"{layer.name} {'reads' if kind == 'read' else 'writes'} {short(length(intervals), 'B')}"
    time = (layer.end - layer.cycles, layer.end)
    return [
        _box(time, (int(start), int(stop)), size, kind, tip, region)
        for start, stop in merge(intervals, size // STEPS)
    ]


def _box(
    time: tuple[int, int],
    place: tuple[int, int],
    size: int,
    kind: str,
    tip: str,
    region: RegionProfile,
) -> str:
    scale = (WIDTH - LEFT - RIGHT) / max(region.cycles, 1)
    top, bottom = _up(place[1], size), _up(place[0], size)
    return element(
        "rect",
        tip=tip,
        x=LEFT + time[0] * scale,
        y=top,
        width=max((time[1] - time[0]) * scale, 0.5),
        height=max(bottom - top, 0.75),
        class_=kind,
    )


def _up(address: int, size: int) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * address / size
