"""``zebra compile``: a model file becomes a shared library."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zebra.cli import pipeline
from zebra.cli.choices import Calibration, Model, Shape, Target, read_shapes
from zebra.cli.console import out, step
from zebra.errors import InputError, UsageError


def compile_model(
    model: Model,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The library to write; ends in .so or .tar.")
    ],
    target: Target = "zebra",
    calibration: Calibration = None,
    shape: Shape = None,
    tuned: Annotated[
        Path | None, typer.Option(help="A log of zebra tune, whose best tilings are taken.")
    ] = None,
) -> None:
    """Compile a network once, to deploy it.

    [bold]Examples[/bold]

        zebra compile mobilenet.onnx -o mobilenet.so

        zebra compile net.onnx -o net.so --target zebra/ultra96 --calibration photos/

        zebra compile net.onnx -o net.so --tuned net.log

    A program loads the library with tvm.runtime.load_module, after import zebra.
    """
    if output.suffix not in (".so", ".tar"):
        raise UsageError(f"-o {output}: the name must end in .so or .tar")
    if not output.parent.is_dir():
        raise InputError(f"-o {output}: the folder {output.parent} does not exist; make it")
    chosen = pipeline.find_target(target)
    network = pipeline.open_network(model, read_shapes(shape))
    batches = pipeline.read_calibration(calibration, network, pipeline.preprocessing_of(network))
    module = pipeline.quantize(network, chosen, batches)
    with pipeline.tuned_by(tuned):
        library = pipeline.compile_network(network, module, chosen)
    with step(f"Writing {output}"):
        library.export_library(str(output))
    regions = len(pipeline.regions(library))
    out.print(
        f"{output}: {output.stat().st_size} bytes, {regions} "
        f"{'region' if regions == 1 else 'regions'} for {chosen}"
    )
