"""``zebra quantize``: what int8 does to a network's values and answers, and what would help."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from zebra.cli import pipeline
from zebra.cli.choices import AsJson, Calibration, Model, Shape, Target, read_shapes
from zebra.cli.console import as_json as json_text
from zebra.cli.console import out, phases, print_json, step
from zebra.errors import InputError, ModelError, UsageError, ZebraWarning

if TYPE_CHECKING:
    from zebra.relay.quantizer import Ablation, QuantizationReport, ValueReport

LOWEST = 12
"""Values that the terminal lists."""
NAME = 52
"""Characters of a value's name in the terminal; its end tells more than its start."""
MEASURABLE = 5
"""Inputs of which one is held out."""
TOO_FEW = (
    "--ablation compares on held-out inputs; give a --calibration folder of at least "
    f"{MEASURABLE} files"
)
STYLES = {"good": "green", "look at it": "yellow", "poor": "red", "not measured": "dim"}


def quantize_model(
    model: Model,
    report: Annotated[
        list[Path] | None,
        typer.Option(help="Write a page (.html) or everything for programs (.json). Repeatable."),
    ] = None,
    ablation: Annotated[
        bool,
        typer.Option(
            "--ablation",
            help="Also quantize without each technique, one at a time, to see what it buys. "
            "Takes about as many times longer as there are techniques.",
        ),
    ] = False,
    as_json: AsJson = False,
    target: Target = "zebra",
    calibration: Calibration = None,
    shape: Shape = None,
) -> None:
    """Tell how good a network is in int8, and which of its values lose most.

    [bold]Examples[/bold]

        zebra quantize mobilenet.onnx --calibration photos/

        zebra quantize net.onnx --calibration photos/ --report report.html --ablation

        zebra quantize net.tflite --calibration arrays/ --json

    Every fifth calibration input is held out: it shapes nothing and compares the int8
    network with the float one (docs/quantization.md). No model is written: run and
    compile quantize a float network in the same way.
    """
    for path in report or ():
        _check_destination(path)
    chosen = pipeline.find_target(target)
    network = pipeline.open_network(model, read_shapes(shape))
    if network.quantized:
        raise UsageError(
            f"{model}: is quantized already, so nothing is left to quantize; run or compile it"
        )
    batches = pipeline.read_calibration(calibration, network, pipeline.preprocessing_of(network))
    if ablation and (batches is None or len(batches) < MEASURABLE):
        raise UsageError(TOO_FEW)
    with warnings.catch_warnings():
        # The verdict says it.
        warnings.filterwarnings("ignore", "quantization is poor", ZebraWarning)
        found = _quantize(network, chosen, batches)
        ablations = _ablate(network, chosen, batches, found) if ablation else []
    source = _source(batches, calibration, found)
    document = {
        "model": model,
        "target": chosen,
        "calibration": calibration,
        **found.to_dict(),
        "ablation": [each.to_dict() for each in ablations],
    }
    for path in report or ():
        _write(path, found, ablations, document, f"int8 for {chosen}; {source}")
    if as_json:
        print_json(document)
    else:
        _print(found, ablations, source, report or ())


def _check_destination(path: Path) -> None:
    if path.suffix not in (".html", ".json"):
        raise UsageError(f"--report {path}: the name must end in .html or .json")
    if not path.parent.is_dir():
        raise InputError(f"--report {path}: the folder {path.parent} does not exist; make it")


def _quantize(
    network: pipeline.Network, target: str, batches: pipeline.Inputs | None
) -> QuantizationReport:
    with phases("Quantizing to int8") as tell:
        found = pipeline.quantization(network, target, batches, tell)
    if found is None:
        raise ModelError(
            f"{network.info.origin}: nothing of it can be quantized, so there is nothing to "
            "report; zebra inspect says why"
        )
    return found


def _ablate(
    network: pipeline.Network,
    target: str,
    batches: pipeline.Inputs | None,
    full: QuantizationReport,
) -> list[Ablation]:
    from zebra.relay.quantizer import Ablation

    if full.comparison is None:
        raise UsageError(f"{TOO_FEW} that are not left out")
    found: list[Ablation] = []
    names = full.techniques.switched_on
    with phases("Ablation") as tell, warnings.catch_warnings():
        # The whole run gave them.
        warnings.simplefilter("ignore", ZebraWarning)
        for number, name in enumerate(names, 1):
            fewer = replace(full.techniques, **{name: False})
            less = pipeline.quantization(
                network, target, batches, _part(tell, f"{number} of {len(names)}"), fewer
            )
            assert less is not None
            assert less.comparison is not None
            found.append(Ablation(name, less.comparison))
    return found


def _part(tell: pipeline.Tell, where: str) -> pipeline.Tell:
    """Progress of one part of several."""
    return lambda phase, done, total: tell(f"{where}, {phase}", done, total)


def _source(
    batches: pipeline.Inputs | None, calibration: Path | None, found: QuantizationReport
) -> str:
    """Where the ranges come from, for people."""
    used = found.calibration_batches
    if batches is None:
        return f"ranges from {used} inputs that were made up"
    held = 0 if found.comparison is None else found.comparison.batches
    text = f"ranges from {used} of {len(batches)} inputs in {calibration}, {held} held out"
    spoilt = len(batches) - used - held
    return f"{text}, {spoilt} left out" if spoilt else text


def _write(
    path: Path,
    found: QuantizationReport,
    ablations: Sequence[Ablation],
    document: dict[str, Any],
    subtitle: str,
) -> None:
    from zebra.relay.quantizer.page import write_page
    from zebra.runtime.report.skeleton import write_whole

    with step(f"Writing {path}"):
        if path.suffix == ".json":
            write_whole(path, json_text(document) + "\n", "report")
        else:
            write_page(found, path, document["model"].name, subtitle, ablations)


def _print(
    found: QuantizationReport,
    ablations: Sequence[Ablation],
    source: str,
    written: Sequence[Path],
) -> None:
    from zebra.relay.quantizer import TITLES

    used = ", ".join(TITLES[name] for name in found.techniques.switched_on)
    style = STYLES[found.grade]
    reason = found.verdict().removeprefix(found.grade)
    out.print(f"[bold {style}]{found.grade}[/bold {style}]{escape(reason)}")
    out.print(f"[bold]calibration[/bold] {escape(source)}")
    out.print(f"[bold]techniques[/bold]  {used}")
    out.print(_values(found))
    if ablations:
        out.print(_ablations(found, ablations))
    if len(found.values) > LOWEST and not written:
        out.print(f"[dim]All {len(found.values)} values: --report report.html, or --json[/dim]")
    for path in written:
        out.print(f"wrote {escape(str(path))}")


def _table(title: str, left: str, *right: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    table.box, table.pad_edge, table.padding = SIMPLE_HEAD, False, (0, 0)
    table.add_column(left, no_wrap=True)
    for name in right:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _values(found: QuantizationReport) -> Table:
    """At most 80 columns wide."""
    table = _table("Lowest SQNR", "value", "SQNR dB", "low", "high")
    known = [value for value in found.values if value.sqnr_db is not None]
    for value in sorted(known, key=lambda value: value.sqnr_db or 0.0)[:LOWEST]:
        low, high = f"{value.low:.4g}", f"{value.high:.4g}"
        table.add_row(escape(_named(value)), f"{value.sqnr_db:.1f}", low, high)
    return table


def _named(value: ValueReport) -> str:
    name = value.name
    return name if len(name) <= NAME else f"\N{HORIZONTAL ELLIPSIS}{name[1 - NAME :]}"


def _ablations(found: QuantizationReport, ablations: Sequence[Ablation]) -> Table:
    from zebra.relay.quantizer.page import ablation_lines

    table = _table("Without each technique", "without", "SQNR", "change", "top-1", "change")
    assert found.comparison is not None
    for line in ablation_lines(found.comparison, ablations):
        table.add_row(*line)
    return table
