"""``zebra run``: pictures or arrays through a network."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

import zebra
from zebra.cli import pipeline
from zebra.cli.choices import AsJson, Calibration, Model, Shape, Target, read_numbers, read_shapes
from zebra.cli.console import each, out, print_json
from zebra.errors import UsageError
from zebra.frontend import ModelInfo, describe
from zebra.frontend.pictures import Preprocessing, load_arrays
from zebra.frontend.pictures.answers import Answer, answer, read_labels
from zebra.frontend.pictures.draw import check_destination, save_picture

ZEBRA = "Zebra (int8)"


@dataclass(frozen=True, slots=True)
class Result:
    """One input file and what each device answered."""

    file: Path
    answers: dict[str, Answer]


def run(
    model: Model,
    input: Annotated[  # noqa: A002 - it is the option's name
        list[Path],
        typer.Option("--input", "-i", help="A picture, .npy or .npz file. Repeatable."),
    ],
    labels: Annotated[
        Path | None, typer.Option("--labels", "-l", help="Text file, one class name a line.")
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", "-c", help="Also run it on this CPU without Zebra.")
    ] = False,
    save_image: Annotated[
        Path | None, typer.Option(help="Write the first picture with the answer drawn into it.")
    ] = None,
    as_json: AsJson = False,
    target: Target = "zebra",
    calibration: Calibration = None,
    shape: Shape = None,
    size: Annotated[
        str | None, typer.Option(help="Picture size HxW where the model leaves it open.")
    ] = None,
    mean: Annotated[str | None, typer.Option(help="Value subtracted, one or per channel.")] = None,
    std: Annotated[str | None, typer.Option(help="Value divided by, one or per channel.")] = None,
    scale: Annotated[
        float | None, typer.Option(help="Factor of a pixel 0..255 before mean and std.")
    ] = None,
    fit: Annotated[
        str | None, typer.Option(help="crop (short side fitted, centre cut) or stretch.")
    ] = None,
    bgr: Annotated[
        bool | None, typer.Option("--bgr/--rgb", help="Channel order.", show_default=False)
    ] = None,
) -> None:
    """Run a network on pictures or arrays and print what it says.

    [bold]Examples[/bold]

        zebra run mobilenet.onnx --input cat.jpg --labels imagenet.txt

        zebra run net.tflite -i a.png -i b.png --compare

        zebra run face.onnx -i group.jpg --size 640x640 --save-image faces.png

        zebra run net.onnx -i inputs.npz --target zebra/ultra96 --json

    A picture is resized and scaled as the network's family usually wants it; the
    choice is printed and --mean --std --scale --fit --bgr change it.
    """
    if fit not in (None, "crop", "stretch"):
        raise UsageError(f"--fit {fit} is unknown; give crop or stretch")
    if save_image is not None:
        check_destination(save_image)
    names = read_labels(labels) if labels is not None else None
    chosen = pipeline.find_target(target)
    network = pipeline.open_network(model, picture_shapes(model, read_shapes(shape), size))
    preparation = pipeline.preprocessing_of(network)
    if preparation is not None:
        preparation = preparation.override(
            read_numbers("--mean", mean), read_numbers("--std", std), scale, fit, bgr
        )
    files = [(file, load_arrays(file, network.info, network.shapes, preparation)) for file in input]
    # Ranges from what the network is about to see are better than from random data.
    batches = pipeline.read_calibration(calibration, network, preparation) or [
        arrays for _, arrays in files
    ]
    module = pipeline.quantize(network, chosen, batches)
    library = pipeline.compile_network(network, module, chosen)
    runners = {ZEBRA: pipeline.Runner(library, zebra.device())}
    if compare:
        runners[_cpu_name(network)] = pipeline.build_for_cpu(network)
    inspected = pipeline.inspect(network, module, chosen)
    results = [
        Result(file, _answers(runners, arrays, network.info, preparation, names))
        for file, arrays in each(files, "Running")
    ]
    if save_image is not None:
        _save(results[0], preparation, save_image)
    report = print_report if not as_json else print_json_report
    report(network.info, preparation, inspected, results, runners)


def picture_shapes(
    model: Path, shapes: Mapping[str, Sequence[int]], size: str | None
) -> dict[str, Sequence[int]]:
    """``shapes``, with --size put where the model's one input leaves height and width open."""
    result = dict(shapes)
    if size is None:
        return result
    parts = size.lower().split("x")
    if len(parts) != 2 or not all(part.isdigit() for part in parts):
        raise UsageError(f"--size {size}: give height x width, as in --size 640x480")
    info = describe(model)
    if len(info.inputs) != 1 or info.inputs[0].dims is None or len(info.inputs[0].dims) != 4:
        raise UsageError("--size fits networks with one input of four dimensions; use --shape")
    tensor = info.inputs[0]
    last = tensor.dims is not None and tensor.dims[3] in (1, 3)
    sizes = [dim if isinstance(dim, int) else 1 for dim in tensor.dims or ()]
    sizes[1 if last else 2], sizes[2 if last else 3] = int(parts[0]), int(parts[1])
    result[tensor.name] = sizes
    return result


def _cpu_name(network: pipeline.Network) -> str:
    return "CPU (exact int8)" if network.quantized else "CPU (float)"


def _answers(
    runners: Mapping[str, pipeline.Runner],
    arrays: Mapping[str, Any],
    info: ModelInfo,
    preparation: Preprocessing | None,
    labels: Sequence[str] | None,
) -> dict[str, Answer]:
    picture = (preparation.height, preparation.width) if preparation is not None else None
    return {
        name: answer(runner(arrays), info.outputs, picture, labels)
        for name, runner in runners.items()
    }


def _save(result: Result, preparation: Preprocessing | None, path: Path) -> None:
    faces = any(each.faces is not None for each in result.answers.values())
    if faces and preparation is not None and preparation.fit != "stretch":
        raise UsageError(
            "--save-image: boxes can be drawn with --fit stretch only; leave --fit out"
        )
    save_picture(result.file, result.answers, path)


def print_json_report(
    info: ModelInfo,
    preparation: Preprocessing | None,
    inspected: Any,
    results: Sequence[Result],
    runners: Mapping[str, pipeline.Runner],
) -> None:
    """One document: model, config, preprocessing, answers by file and device, times."""
    print_json(
        {
            "model": info.origin,
            "format": info.format.value,
            "config": inspected.config,
            "regions": inspected.regions,
            "mac_share": inspected.mac_share,
            "preprocessing": preparation.describe() if preparation is not None else None,
            "results": [
                {
                    "file": result.file,
                    **{name: each.summary() for name, each in result.answers.items()},
                }
                for result in results
            ],
            "milliseconds_in_simulator": runners[ZEBRA].milliseconds,
        }
    )


def print_report(
    info: ModelInfo,
    preparation: Preprocessing | None,
    inspected: Any,
    results: Sequence[Result],
    runners: Mapping[str, pipeline.Runner],
) -> None:
    """For people: what was run and how inputs were prepared, then one table per file."""
    out.print(f"[bold]model[/bold]    {info.origin} ({info.format.value})")
    out.print(f"[bold]runs on[/bold]  {str(inspected).splitlines()[0]}")
    pictures = preparation is not None and any(
        result.file.suffix not in (".npy", ".npz") for result in results
    )
    if preparation is not None and pictures:
        out.print(f"[bold]pictures[/bold] {preparation.describe()}")
    for result in results:
        out.print(_table(result))
    times = runners[ZEBRA].milliseconds
    out.print(f"{statistics.median(times):.1f} ms a run in the simulator (median of {len(times)})")


def _table(result: Result) -> Table:
    table = Table(title=str(result.file), title_justify="left", title_style="bold")
    for name in result.answers:
        table.add_column(name)
    columns = [_lines(each) for each in result.answers.values()]
    for row in range(max(len(column) for column in columns)):
        table.add_row(*(column[row] if row < len(column) else "" for column in columns))
    return table


def _lines(each: Answer) -> list[str]:
    if each.faces is not None:
        rows = [
            f"{face.score:.4f} face at " + " ".join(f"{edge:.3f}" for edge in face.box)
            for face in each.faces
        ]
        return rows or ["no face"]
    if each.classes:
        return [f"{score:.4f} {label}" for label, score in each.classes]
    return [
        f"{name} {list(array.shape)} {array.dtype}: {array.min():.4g} .. {array.max():.4g}, "
        f"mean {array.mean():.4g}"
        for name, array in each.outputs.items()
    ]
