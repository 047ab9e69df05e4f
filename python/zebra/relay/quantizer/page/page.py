"""The page: everything a quantization report says, in one HTML file that needs nothing else."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from html import escape
from pathlib import Path

from zebra.relay.quantizer.page.charts import (
    BAND,
    chart,
    colour_of,
    decibels,
    histogram,
    tip_of,
)
from zebra.relay.quantizer.report import Ablation, Comparison, QuantizationReport, ValueReport
from zebra.relay.quantizer.techniques import TITLES
from zebra.runtime.report.skeleton import document, shared, tiles_of, write_whole

HEADS = ("#", "value", "operator", "low", "high", "SQNR", "levels")


def write_page(
    report: QuantizationReport,
    path: str | os.PathLike[str],
    title: str,
    subtitle: str = "",
    ablations: Sequence[Ablation] = (),
) -> None:
    """Write the page; InputError if ``path`` cannot be written."""
    write_whole(path, page(report, title, subtitle, ablations), "page")


def page(
    report: QuantizationReport, title: str, subtitle: str, ablations: Sequence[Ablation]
) -> str:
    """The HTML document."""
    here = Path(__file__)
    fields = {
        "KIND": "quantization",
        "TITLE": escape(title),
        "STYLE": shared("page.css") + here.with_name("page.css").read_text(encoding="utf-8"),
        "SUBTITLE": escape(subtitle),
        "GRADE": report.grade.split()[0],
        "VERDICT": escape(report.verdict()),
        "TILES": tiles_of(_tiles(report)),
        "CHART": chart(report.values),
        "LEGEND": _legend(report),
        "TECHNIQUES": _techniques(report, ablations),
        "HEADS": "".join(f"<th{_aligned(head)}>{head}</th>" for head in HEADS),
        "ROWS": "".join(_row(place, value) for place, value in enumerate(report.values, 1)),
        "SCRIPT": shared("tips.js") + here.with_name("page.js").read_text(encoding="utf-8"),
    }
    return document(here.with_name("page.html"), fields)


def _tiles(report: QuantizationReport) -> dict[str, tuple[str, str]]:
    found = report.comparison
    held = "no input was held out" if found is None else f"on {found.batches} held-out inputs"
    known = [value for value in report.values if value.sqnr_db is not None]
    worst = min(known, key=lambda value: value.sqnr_db or 0.0, default=None)
    return {
        "output SQNR": ("not measured" if found is None else decibels(found.sqnr_db), held),
        "top-1 agreement": (agreement_of(found), "with the float network"),
        "inputs": (str(report.calibration_batches), "shaped the int8 network"),
        "lowest SQNR": (
            decibels(None if worst is None else worst.sqnr_db),
            "of no value" if worst is None else worst.name,
        ),
    }


def agreement_of(found: Comparison | None) -> str:
    """For people: top-1 agreement, if there is one."""
    if found is None:
        return "not measured"
    return "no classes" if found.agreement is None else f"{found.agreement:.1%}"


def _legend(report: QuantizationReport) -> str:
    seen = {colour_of(value.sqnr_db) for value in report.values}
    return "".join(
        f'<span><i style="background:{colour}"></i>{escape(text)}</span>'
        for colour, text in BAND.items()
        if colour in seen
    )


def _techniques(report: QuantizationReport, ablations: Sequence[Ablation]) -> str:
    used = [TITLES[name] for name in report.techniques.switched_on]
    text = f"<p>Used: {escape(', '.join(used) or 'none')}.</p>"
    full = report.comparison
    if full is None or not ablations:
        return text
    heads = ("without", "output SQNR", "change", "top-1 agreement", "change")
    head = "".join(f"<th{_aligned(name)}>{name}</th>" for name in heads)
    body = "".join(
        f'<tr><td class="left">{escape(line[0])}</td>'
        + "".join(f"<td>{escape(field)}</td>" for field in line[1:])
        + "</tr>"
        for line in ablation_lines(full, ablations)
    )
    return (
        f"{text}<p>The network quantized without one of them at a time, on the held-out inputs; "
        "where a change is positive, it is better without.</p>"
        f'<table class="narrow"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    )


Line = tuple[str, str, str, str, str]


def ablation_lines(full: Comparison, ablations: Sequence[Ablation]) -> list[Line]:
    """For people: what is left out; SQNR without it and its change; agreement and its change."""
    lines = [("nothing", decibels(full.sqnr_db), "", agreement_of(full), "")]
    for each in ablations:
        found, moved = each.without, ""
        if found.agreement is not None and full.agreement is not None:
            moved = _change(100 * (found.agreement - full.agreement), "points")
        change = _change(found.sqnr_db - full.sqnr_db, "dB")
        lines.append((each.title, decibels(found.sqnr_db), change, agreement_of(found), moved))
    return lines


def _change(amount: float, unit: str) -> str:
    # Adding 0.0 turns -0.0 into 0.0.
    return f"{round(amount, 1) + 0.0:+.1f} {unit}" if math.isfinite(amount) else ""


def _row(place: int, value: ValueReport) -> str:
    sqnr = value.sqnr_db
    dot = f'<i style="background:{colour_of(sqnr)}"></i>'
    cells = [
        ("", str(place), str(place)),
        ("left name", value.name, escape(value.name)),
        ("left", value.kind, escape(value.kind)),
        ("", str(value.low), f"{value.low:.4g}"),
        ("", str(value.high), f"{value.high:.4g}"),
        ("", "" if sqnr is None else str(sqnr), f"{dot}{decibels(sqnr)}"),
        ("", "", histogram(value)),
    ]
    fields = "".join(
        f'<td class="{kind}" data-key="{escape(key)}">{text}</td>' for kind, key, text in cells
    )
    return f'<tr data-tip="{escape(tip_of(value))}">{fields}</tr>'


def _aligned(head: str) -> str:
    return ' class="left"' if head in ("value", "operator", "without") else ""
