"""Options that several commands share, and how their texts are read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from zebra.errors import UsageError


def complete_target(prefix: str) -> list[str]:
    """Targets for tab completion."""
    from zebra.hw import available_configs

    names = ["zebra", *(f"zebra/{name}" for name in available_configs())]
    return [name for name in names if name.startswith(prefix)]


Model = Annotated[
    Path, typer.Argument(help="An ONNX or TFLite file.", metavar="MODEL", show_default=False)
]
Target = Annotated[
    str,
    typer.Option(
        "--target",
        "-t",
        help="The accelerator: zebra, zebra/<config> (see zebra config list), or a JSON file.",
        autocompletion=complete_target,
    ),
]
Shape = Annotated[
    list[str] | None,
    typer.Option(
        help="Shape of an input that the file leaves open, as NAME=1,3,224,224. Repeatable.",
        metavar="NAME=SIZES",
    ),
]
Calibration = Annotated[
    Path | None,
    typer.Option(
        help="Folder of some tens of pictures or .npy files like those the network will see; "
        "their ranges set the int8 scales. Without it, run takes the inputs themselves.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]


def read_shapes(texts: Sequence[str] | None) -> dict[str, tuple[int, ...]]:
    """{"x": (1, 3, 224, 224)} from ["x=1,3,224,224"]; UsageError if it is not of this form."""
    shapes: dict[str, tuple[int, ...]] = {}
    for text in texts or ():
        name, _, sizes = text.rpartition("=")
        try:
            shapes[name] = tuple(int(size) for size in sizes.split(","))
        except ValueError:
            name = ""
        if not name:
            raise UsageError(
                f"--shape {text}: give the input's name and sizes, as in --shape input=1,3,224,224"
            )
    return shapes


def read_numbers(option: str, text: str | None) -> tuple[float, ...] | None:
    """(0.5, 0.5, 0.5) from "0.5,0.5,0.5"; UsageError names the option."""
    if text is None:
        return None
    try:
        return tuple(float(number) for number in text.split(","))
    except ValueError:
        raise UsageError(
            f"{option} {text}: give one number, or one per channel, as in {option} 0.5,0.5,0.5"
        ) from None
