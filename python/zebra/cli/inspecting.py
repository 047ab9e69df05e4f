"""``zebra inspect`` and ``zebra disasm``: what runs where and why, and the instructions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zebra.cli import pipeline
from zebra.cli.choices import Shape, Target, read_shapes

if TYPE_CHECKING:
    from zebra.artifact import Artifact


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
    library = pipeline.compile_network(network, chosen, None)
    return [region.artifact() for region in pipeline.regions(library)]


def _listing(artifact: Artifact) -> Iterator[str]:
    from zebra.isa.asm import disassemble

    compiled = artifact.compiled
    starts = {layer.first: layer for layer in compiled.layers}
    yield f"; {compiled.name} for {artifact.config.name}"
    for index, line in enumerate(disassemble(compiled.program.code)):
        if index in starts:
            layer = starts[index]
            yield f"; {layer.name}: {layer.origin}" if layer.origin else f"; {layer.name}"
        yield line
