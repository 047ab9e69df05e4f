"""``zebra inspect`` and ``zebra disasm``: what runs where and why, and the instructions."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zebra.cli import pipeline
from zebra.cli.choices import AsJson, Model, Shape, Target, read_shapes
from zebra.cli.console import print_json
from zebra.errors import ZebraWarning

if TYPE_CHECKING:
    from zebra.artifact import Artifact
    from zebra.codegen.compiled import LayerSpan


def inspect_model(
    model: Model, target: Target = "zebra", shape: Shape = None, as_json: AsJson = False
) -> None:
    """Tell what runs on the accelerator and why the rest stays on this CPU.

    [bold]Examples[/bold]

        zebra inspect mobilenet.onnx

        zebra inspect net.tflite --target zebra/ultra96 --json

    Every operator on the host is listed with the rule that keeps it there, the value
    seen and the limit.
    """
    chosen = pipeline.find_target(target)
    network = pipeline.open_network(model, read_shapes(shape))
    report = pipeline.inspect(network, quantize_quietly(network, chosen), chosen)
    if as_json:
        print_json(report.to_dict())
    else:
        print(report)


def quantize_quietly(network: pipeline.Network, target: str) -> Any:
    """The int8 module without calibration: what is printed does not depend on the ranges."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ZebraWarning)
        return pipeline.quantize(network, target, None, plain=True)


def disasm(
    file: Annotated[
        Path,
        typer.Argument(help="A Zebra artifact, a compiled .so, or a model.", show_default=False),
    ],
    target: Target = "zebra",
    shape: Shape = None,
) -> None:
    """Print the accelerator's instructions, layer by layer.

    [bold]Examples[/bold]

        zebra disasm mobilenet.onnx --target zebra/pynq | less

        zebra disasm mobilenet.so
    """
    for artifact in _artifacts(file, target, shape):
        for line in _listing(artifact):
            print(line)


def _artifacts(file: Path, target: str, shape: list[str] | None) -> list[Artifact]:
    from zebra.artifact import Artifact

    start = pipeline.first_bytes(file)
    if start.startswith(b"ZEBRAART"):
        return [Artifact.load(file)]
    if start.startswith(b"\x7fELF"):
        return [region.artifact() for region in pipeline.regions(pipeline.load_library(file))]
    chosen = pipeline.find_target(target)
    network = pipeline.open_network(file, read_shapes(shape))
    library = pipeline.compile_network(network, quantize_quietly(network, chosen), chosen)
    return [region.artifact() for region in pipeline.regions(library)]


def _listing(artifact: Artifact) -> Iterator[str]:
    from zebra.isa.asm import disassemble

    compiled = artifact.compiled
    heads = _heads(compiled.layers)
    yield f"; {compiled.name} for {artifact.config.name}"
    for index, line in enumerate(disassemble(compiled.program.code)):
        yield from heads.get(index, ())
        yield line


def _heads(layers: Iterable[LayerSpan]) -> dict[int, list[str]]:
    """Lines in front of an instruction: the layer that begins, and the part of a chain."""
    heads: dict[int, list[str]] = {}
    for layer in layers:
        head = f"; {layer.name}: {layer.origin}" if layer.origin else f"; {layer.name}"
        heads[layer.first] = [head]
        before = None
        for index, owner in enumerate(layer.owners, layer.first):
            if owner != before:
                heads.setdefault(index, []).append(f";   {layer.parts[owner].name}")
            before = owner
    return heads
