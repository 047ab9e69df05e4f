"""Stacked bars: what the array and each engine did with their cycles."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from zebra.runtime.cycle import Spent
from zebra.runtime.limits import WORDS
from zebra.runtime.network import Profile
from zebra.runtime.report.svg import short

USEFUL, PADDING, ROWS = "network's own work", "padding lanes", "idle rows"
COLOURS = {
    USEFUL: "#2a9d6f",
    PADDING: "#a9c94b",
    ROWS: "#6f9c3d",
    WORDS[Spent.BUSY]: "#2a9d6f",
    WORDS[Spent.WAIT_LOAD]: "#4a90d9",
    WORDS[Spent.WAIT_GEMM]: "#7fc7b0",
    WORDS[Spent.WAIT_VEC]: "#9b7fe0",
    WORDS[Spent.WAIT_STORE]: "#e3a9c3",
    WORDS[Spent.FETCH]: "#c0392b",
    WORDS[Spent.QUEUES]: "#d8707a",
    WORDS[Spent.DRAM_LATENCY]: "#e0591e",
    WORDS[Spent.DRAM_BANDWIDTH]: "#e9a13b",
    WORDS[Spent.REQUESTS]: "#b8741a",
    WORDS[Spent.BANKS]: "#8d6e63",
    WORDS[Spent.HAZARD]: "#5d4037",
    WORDS[Spent.PARAMETERS]: "#607d8b",
    WORDS[Spent.PIPELINE]: "#90a4ae",
    WORDS[Spent.FINISHED]: "#dfe4e8",
}


def bars(profile: Profile) -> str:
    """HTML: the array's bar, one per engine, and the legend of what occurs in them."""
    rows = {"array": {USEFUL: profile.array.useful} | profile.array.losses()}
    for name, time in profile.engines.items():
        parts = {WORDS[Spent[kind]]: float(cycles) for kind, cycles in time.stalled.items()}
        lost = sorted(parts.items(), key=lambda part: -part[1])
        rows[name] = {WORDS[Spent.BUSY]: float(time.busy), **dict(lost)}
    lines = "".join(_bar(name, parts, profile.cycles) for name, parts in rows.items())
    seen = {name for parts in rows.values() for name, cycles in parts.items() if cycles}
    # "at work" has the array's colour for its own work: one entry says both.
    legend = "".join(
        f'<span><i style="background:{colour}"></i>{escape(name)}</span>'
        for name, colour in COLOURS.items()
        if name in seen and name != USEFUL
    )
    return f'<div class="bars">{lines}</div><div class="legend">{legend}</div>'


def _bar(name: str, parts: Mapping[str, float], cycles: int) -> str:
    pieces = []
    for what, amount in parts.items():
        if not amount:
            continue
        share = amount / cycles
        tip = f"{name}: {what}\n{share:.1%}, {short(amount)} cycles"
        text = f"{share:.0%}" if share > 0.04 else ""
        pieces.append(
            f'<b style="width:{100 * share:.3f}%;background:{COLOURS[what]}" '
            f'data-tip="{escape(tip)}">{text}</b>'
        )
    return f"<em>{escape(name)}</em><div>{''.join(pieces)}</div>"
