"""Pictures of a quantization report: SQNR along the network, and histograms."""

from __future__ import annotations

import math
from collections.abc import Sequence

from zebra.relay.quantizer.report import BINS, GOOD_SQNR_DB, POOR_SQNR_DB, ValueReport
from zebra.runtime.report.svg import element, picture

WIDTH, HEIGHT = 1300, 340
LEFT, RIGHT, TOP, BOTTOM = 60, 20, 16, 16
GAP = 0.2
"""Share of a bar's place that stays empty."""
STEP_DB = 10

GOOD, LOOK, POOR, EXACT = "#2a9d6f", "#e08a1e", "#d0454f", "#cfd6dc"
BAND = {
    GOOD: f"{GOOD_SQNR_DB:.0f} dB or more",
    LOOK: f"{POOR_SQNR_DB:.0f} to {GOOD_SQNR_DB:.0f} dB",
    POOR: f"less than {POOR_SQNR_DB:.0f} dB",
    EXACT: "exact, or always zero",
}
"""What each colour means."""


def colour_of(sqnr_db: float | None) -> str:
    """The colour of a value with this SQNR."""
    if sqnr_db is None:
        return EXACT
    if sqnr_db >= GOOD_SQNR_DB:
        return GOOD
    return LOOK if sqnr_db >= POOR_SQNR_DB else POOR


def chart(values: Sequence[ValueReport]) -> str:
    """SVG: one bar per value, in order; an exact one is as high as the axis."""
    known = [value.sqnr_db for value in values if value.sqnr_db is not None]
    low = STEP_DB * math.floor(min([0.0, *known]) / STEP_DB)
    high = STEP_DB * math.ceil(max([GOOD_SQNR_DB, *known]) / STEP_DB)

    def up(decibels: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (decibels - low) / (high - low)

    parts = []
    for tick in range(low, high + 1, STEP_DB):
        parts.append(_line(up(tick), "grid"))
        label = f"{tick} dB"
        parts.append(element("text", label, x=LEFT - 8, y=up(tick) + 4, text_anchor="end"))
    place = (WIDTH - LEFT - RIGHT) / max(len(values), 1)
    for number, value in enumerate(values):
        end = up(high if value.sqnr_db is None else value.sqnr_db)
        parts.append(
            element(
                "rect",
                tip=tip_of(value),
                x=LEFT + place * (number + GAP / 2),
                y=min(end, up(0)),
                width=place * (1 - GAP),
                height=max(abs(end - up(0)), 1.0),
                fill=colour_of(value.sqnr_db),
                class_="bar",
            )
        )
    parts.append(_line(up(0), "zero"))
    parts += [_line(up(limit), "limit") for limit in (GOOD_SQNR_DB, POOR_SQNR_DB)]
    return picture(WIDTH, HEIGHT, parts, "SQNR along the network")


def histogram(value: ValueReport) -> str:
    """SVG of the counts' square roots, the lowest levels on the left."""
    most = max(value.histogram, default=0)
    parts = []
    for place, count in enumerate(value.histogram):
        if count:
            height = max(24 * math.sqrt(count / most), 1.0)
            parts.append(element("rect", x=4 * place, y=24 - height, width=3, height=height))
    return picture(4 * BINS, 24, parts, f"histogram of {value.name}")


def tip_of(value: ValueReport) -> str:
    """What the page says of a value under the pointer."""
    lines = [f"{value.name} ({value.kind})", f"SQNR {decibels(value.sqnr_db)}"]
    lines.append(f"{value.low:.4g} .. {value.high:.4g}")
    if value.alone_db is not None:
        lines.append(f"output SQNR with this layer alone in int8: {value.alone_db:.1f} dB")
    if value.in_float:
        lines.append("stays float on the host")
    return "\n".join(lines)


def decibels(value: float | None) -> str:
    """For people."""
    if value is None:
        return "exact"
    return f"{value:.1f} dB" if math.isfinite(value) else ("exact" if value > 0 else "all lost")


def _line(y: float, kind: str) -> str:
    return element("line", x1=LEFT, y1=y, x2=WIDTH - RIGHT, y2=y, class_=kind)
