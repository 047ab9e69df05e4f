"""``zebra profile``: how long an inference takes on the accelerator, and where the time goes."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from zebra.cli import pipeline
from zebra.cli.choices import AsJson, Calibration, Shape, Target, read_shapes
from zebra.cli.console import out, print_json, step
from zebra.errors import ZebraWarning

if TYPE_CHECKING:
    from zebra.runtime.network import Profile
    from zebra.runtime.profile import LayerProfile

LONGEST = 12
"""Layers that the terminal lists."""


def profile_model(
    model: Annotated[
        Path,
        typer.Argument(
            help="An ONNX or TFLite file, a library of zebra compile, or an artifact.",
            metavar="MODEL",
            show_default=False,
        ),
    ],
    html: Annotated[
        Path | None, typer.Option(help="Write a page with timeline, roofline and memory map.")
    ] = None,
    trace: Annotated[
        Path | None, typer.Option(help="Write every instruction, to open in ui.perfetto.dev.")
    ] = None,
    as_json: AsJson = False,
    target: Target = "zebra",
    calibration: Calibration = None,
    shape: Shape = None,
    host: Annotated[
        bool, typer.Option("--host/--no-host", help="Also measure the part that this CPU does.")
    ] = True,
) -> None:
    """Tell how long an inference takes and what limits each layer.

    [bold]Examples[/bold]

        zebra profile mobilenet.onnx --target zebra/kv260

        zebra profile mobilenet.onnx --html report.html --trace trace.json

        zebra profile mobilenet.so --json                      [dim]for what it was compiled[/dim]

    The accelerator's time is that of the cycle model (docs/cycle_model.md), at batch 1
    with weights coming from DRAM; the host's is measured on this CPU.
    """
    found = _profile(model, target, calibration, shape, host)
    _write(found, model.name, html, trace)
    if as_json:
        print_json({"model": model, **found.to_dict()})
    else:
        _print(found, html, trace)


def _profile(
    model: Path, target: str, calibration: Path | None, shape: list[str] | None, host: bool
) -> Profile:
    start = pipeline.first_bytes(model)
    if start.startswith(b"ZEBRAART"):
        return _artifact(model)
    if start.startswith(b"\x7fELF") or model.suffix == ".tar":
        library = pipeline.load_library(model)
    else:
        library = _compile(model, target, calibration, shape)
    found: Profile = pipeline.profile(library, host)
    return found


def _artifact(file: Path) -> Profile:
    from zebra.artifact import Artifact
    from zebra.runtime.network import Profile
    from zebra.runtime.profile import profile_region

    artifact = Artifact.load(file)
    return Profile(artifact.config, (profile_region(artifact),), None)


def _compile(model: Path, target: str, calibration: Path | None, shape: list[str] | None) -> Any:
    chosen = pipeline.find_target(target)
    network = pipeline.open_network(model, read_shapes(shape))
    batches = pipeline.read_calibration(calibration, network, pipeline.preprocessing_of(network))
    with warnings.catch_warnings():
        # How long a network takes hardly depends on its ranges.
        warnings.filterwarnings("ignore", "no calibration data", ZebraWarning)
        module = pipeline.quantize(network, chosen, batches, plain=batches is None)
    return pipeline.compile_network(network, module, chosen)


def _write(found: Profile, title: str, html: Path | None, trace: Path | None) -> None:
    from zebra.runtime.report import write_page, write_trace

    if html is not None:
        with step(f"Writing {html}"):
            write_page(found, html, title)
    if trace is not None:
        with step(f"Writing {trace}"):
            write_trace(found, trace)


def _print(found: Profile, html: Path | None, trace: Path | None) -> None:
    host = "not measured"
    if found.host_seconds is not None:
        host = f"{1000 * found.host_seconds:.2f} ms on this CPU"
    lines = {
        found.config.name: f"{found.cycles} cycles, {1000 * found.seconds:.2f} ms",
        "utilization": f"{found.mac_utilization:.1%} of the array's multipliers "
        f"({found.bound:.1%} at the layers' rooflines)",
        "DRAM": f"{found.dram_bytes} bytes, at least {found.dram_bytes_min}",
        "host": host,
    }
    for name, text in lines.items():
        out.print(f"[bold]{name:<12}[/bold] {text}")
    out.print(found.verdict())
    out.print(_table(found))
    if len(found.layers) > LONGEST and html is None:
        out.print(f"[dim]All {len(found.layers)} layers: --html report.html, or --json[/dim]")
    for path in (html, trace):
        if path is not None:
            out.print(f"wrote {path}")


def _table(found: Profile) -> Table:
    """At most 80 columns wide, as long as names are short."""
    table = Table(title="Longest layers", title_justify="left", title_style="bold")
    table.box, table.pad_edge, table.padding = SIMPLE_HEAD, False, (0, 0)
    table.add_column("layer", no_wrap=True)
    for name in ("cycles", "of all", "used", "array", "VEC", "DRAM kB"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("limit")
    longest = sorted(found.layers, key=lambda layer: -layer.cycles)[:LONGEST]
    for layer in longest:
        table.add_row(*_row(layer, layer, found.cycles))
        for part in layer.parts:
            table.add_row(*_row(part, layer, found.cycles), style="dim")
    return table


def _row(layer: LayerProfile, whole: LayerProfile, cycles: int) -> tuple[str, ...]:
    """``whole``: the layer itself, or its chain."""
    busy = [layer.engines[name].busy / max(whole.window, 1) for name in ("GEMM", "VEC")]
    return (
        layer.name if layer is whole else f"  {layer.name}",
        str(layer.cycles),
        f"{layer.cycles / max(cycles, 1):.1%}",
        f"{layer.mac_utilization:.1%}" if layer.macs else "",
        *(f"{share:.0%}" if share else "" for share in busy),
        f"{layer.dram_bytes / 1000:.0f}",
        layer.limit.text,
    )
