"""Pieces of SVG, and numbers for people."""

from __future__ import annotations

import math
from collections.abc import Iterator
from html import escape

from zebra.runtime.limits import Resource

COLOURS = {
    Resource.ARRAY: "#2a9d6f",
    Resource.VEC: "#7c5cd6",
    Resource.DRAM: "#e08a1e",
    Resource.STALLS: "#d0454f",
}
"""By what limits a layer."""


def element(tag: str, text: str = "", tip: str = "", **attributes: object) -> str:
    """One element; ``tip`` is what the page shows under the pointer; ``_`` becomes ``-``."""
    if tip:
        attributes["data_tip"] = tip
    fields = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(_number(value))}"'
        for name, value in attributes.items()
    )
    return f"<{tag}{fields}>{escape(text)}</{tag}>"


def picture(width: int, height: int, parts: list[str], label: str) -> str:
    """An SVG picture that scales with its column."""
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">'
        + "".join(parts)
        + "</svg>"
    )


def _number(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def short(value: float, unit: str = "") -> str:
    """1234567 as "1.23 M"; with a unit, "1.23 MB"."""
    for size, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g} {prefix}{unit}"
    return f"{value:.3g} {unit}".rstrip()


def seconds(value: float) -> str:
    """0.00412 as "4.12 ms"."""
    for size, unit in ((1.0, "s"), (1e-3, "ms")):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value * 1e6:.3g} µs"


def powers(low: float, high: float) -> Iterator[float]:
    """1, 10, 100 ... (and fractions) within low..high."""
    for exponent in range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1):
        yield 10.0**exponent
