"""The commands and what they share."""

from __future__ import annotations

from typing import Annotated

import typer

from zebra.cli import compiling, configs, doctor, inspecting, profiling, quantizing, running, tuning
from zebra.version import VERSION

app = typer.Typer(
    name="zebra",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        print(f"zebra {VERSION}")
        raise typer.Exit()


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where an error happened (a traceback).")
    ] = False,
) -> None:
    """Run the neural networks you have on the Zebra accelerator (simulated).

    [bold]Examples[/bold]

        zebra run mobilenet.onnx --input cat.jpg --labels imagenet.txt

        zebra run mobilenet.onnx --input cat.jpg --compare     [dim]float beside int8[/dim]

        zebra inspect mobilenet.onnx                           [dim]what runs where, and why[/dim]

        zebra quantize mobilenet.onnx --calibration photos/    [dim]what int8 costs, and where[/dim]

        zebra compile mobilenet.onnx -o mobilenet.so

        zebra profile mobilenet.onnx --html report.html        [dim]how fast, and why[/dim]

        zebra tune mobilenet.onnx --log mobilenet.log          [dim]faster tilings[/dim]

        zebra config list                                      [dim]the accelerators[/dim]

    Models: ONNX and TFLite files, recognised by content.
    Exit codes: 0 done, 1 unexpected error, 2 wrong model, input or command, 130 interrupted.
    """


app.command("run")(running.run)
app.command("compile")(compiling.compile_model)
app.command("inspect")(inspecting.inspect_model)
app.command("quantize")(quantizing.quantize_model)
app.command("profile")(profiling.profile_model)
app.command("disasm")(inspecting.disasm)
app.command("tune")(tuning.tune)
app.command("tune-worker")(tuning.tune_worker)
app.command("doctor")(doctor.doctor)
app.add_typer(configs.app, name="config")
