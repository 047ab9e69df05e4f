"""The roofline (Williams, Waterman and Patterson, 2009) with every layer on it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from zebra.runtime.network import Profile
from zebra.runtime.profile import LayerProfile
from zebra.runtime.report.svg import COLOURS, element, picture, powers, short

WIDTH, HEIGHT = 1300, 500
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 20, 50


@dataclass(frozen=True, slots=True)
class _Axes:
    """Logarithmic axes: MACs per byte to the right, MACs per cycle upward."""

    x: tuple[float, float]
    y: tuple[float, float]

    def right(self, value: float) -> float:
        span = math.log(self.x[1] / self.x[0])
        return LEFT + (WIDTH - LEFT - RIGHT) * math.log(value / self.x[0]) / span

    def up(self, value: float) -> float:
        span = math.log(self.y[1] / self.y[0])
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * math.log(value / self.y[0]) / span


def roofline(profile: Profile) -> str:
    """SVG; of a chain its layers. Those without multiply-accumulates are not on it."""
    single = [row for row in profile.rows if not row.parts]
    layers = [layer for layer in single if layer.macs and layer.window]
    peak = profile.config.macs_per_cycle
    slope = profile.config["DRAM_BYTES_PER_CYCLE"]
    axes = _axes(layers, peak, slope)
    parts = [*_grid(axes), *_roof(axes, peak, slope)]
    # Small layers last: a dot hides what lies under it.
    for layer in sorted(layers, key=lambda each: -each.cycles):
        parts.append(_dot(axes, layer, profile.cycles))
    return picture(WIDTH, HEIGHT, parts, "roofline")


def _axes(layers: list[LayerProfile], peak: int, slope: int) -> _Axes:
    ridge = peak / slope
    across = [ridge, *(layer.macs_per_byte for layer in layers)]
    rates = [float(peak), *(layer.macs / layer.window for layer in layers)]
    return _Axes((min(across) / 2, max(across) * 3), (min(rates) / 2, peak * 2))


def _grid(axes: _Axes) -> list[str]:
    parts = []
    for value in powers(*axes.x):
        x = axes.right(value)
        parts.append(_line((x, TOP), (x, HEIGHT - BOTTOM), "grid"))
        parts.append(_text((x, HEIGHT - BOTTOM + 18), short(value), "middle"))
    for value in powers(*axes.y):
        y = axes.up(value)
        parts.append(_line((LEFT, y), (WIDTH - RIGHT, y), "grid"))
        parts.append(_text((LEFT - 8, y + 4), short(value), "end"))
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(_text((middle, HEIGHT - 10), "MACs per byte of DRAM the layer needs", "middle"))
    place = (16.0, (TOP + HEIGHT - BOTTOM) / 2)
    parts.append(
        element(
            "text",
            "MACs per cycle",
            x=place[0],
            y=place[1],
            text_anchor="middle",
            transform=f"rotate(-90 {place[0]} {place[1]})",
        )
    )
    return parts


def _roof(axes: _Axes, peak: int, slope: int) -> list[str]:
    ridge = (peak / slope, float(peak))
    low = max(axes.x[0], axes.y[0] / slope)
    left, top = (low, low * slope), (axes.x[1], float(peak))
    points = " ".join(f"{axes.right(x):.1f},{axes.up(y):.1f}" for x, y in (left, ridge, top))
    label = (axes.right(top[0]) - 6, TOP - 6.0)
    return [
        element("polyline", points=points, class_="roof"),
        _text(label, f"array: {peak} MACs per cycle; DRAM: {slope} bytes per cycle", "end"),
    ]


def _dot(axes: _Axes, layer: LayerProfile, cycles: int) -> str:
    rate = layer.macs / layer.window
    share = layer.cycles / cycles
    tip = (
        f"{layer.name} ({layer.origin})\n{rate:.4g} MACs per cycle, "
        f"{layer.mac_utilization:.1%} of the array\n"
        f"{layer.macs_per_byte:.4g} MACs per byte\n{share:.1%} of the time\n"
        f"limit: {layer.limit.text}"
    )
    return element(
        "circle",
        tip=tip,
        cx=axes.right(layer.macs_per_byte),
        cy=axes.up(rate),
        r=3 + 24 * share**0.5,
        fill=COLOURS[layer.limit.resource],
        class_="dot",
    )


def _line(start: tuple[float, float], end: tuple[float, float], kind: str) -> str:
    return element("line", x1=start[0], y1=start[1], x2=end[0], y2=end[1], class_=kind)


def _text(place: tuple[float, float], text: str, anchor: str) -> str:
    return element("text", text, x=place[0], y=place[1], text_anchor=anchor)
