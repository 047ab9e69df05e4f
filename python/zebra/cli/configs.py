"""``zebra config``: the accelerators."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from zebra.cli.console import out, print_json
from zebra.hw import KEYS, HwConfig, available_configs, find_config, read_config

app = typer.Typer(
    help="List, show and check accelerator configurations (vta_config JSON files).",
    no_args_is_help=True,
    rich_markup_mode="rich",
)
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]


def _complete(prefix: str) -> list[str]:
    return [name for name in available_configs() if name.startswith(prefix)]


@app.command("list")
def list_configs(as_json: AsJson = False) -> None:
    """Name the configurations, with their size.

    A target is zebra/NAME: zebra run net.onnx --input cat.jpg --target zebra/ultra96
    """
    configs = [find_config(name) for name in available_configs()]
    if as_json:
        print_json({config.name: config.to_mapping() for config in configs})
        return
    table = Table("name", "rows x in x out", "MAC/cycle", "MHz", "ACT KiB", "WGT KiB", "DRAM B/cyc")
    for config in configs:
        table.add_row(
            config.name,
            f"{config.rows}x{config.block}x{config.block}",
            str(config.macs_per_cycle),
            str(config["CLOCK_MHZ"]),
            str((1 << config["LOG_ACT_BUFF_SIZE"]) // 1024),
            str((1 << config["LOG_WGT_BUFF_SIZE"]) // 1024),
            str(config["DRAM_BYTES_PER_CYCLE"]),
        )
    out.print(table)


@app.command("show")
def show(
    config: Annotated[
        str, typer.Argument(help="A name, or a JSON file.", autocompletion=_complete)
    ],
    as_json: AsJson = False,
) -> None:
    """Print every key of a configuration with its meaning."""
    found = _find(config)
    if as_json:
        print_json(found.to_mapping())
        return
    table = Table("key", "value", "legal", "meaning", title=found.name, title_justify="left")
    for key in KEYS:
        table.add_row(key.name, str(found[key.name]), f"{key.low}..{key.high}", key.doc)
    out.print(table)


@app.command("check")
def check(
    files: Annotated[list[Path], typer.Argument(help="JSON files to check.", show_default=False)],
) -> None:
    """Check JSON files; the first wrong key is named with its value and range."""
    for file in files:
        config = read_config(file)
        out.print(f"{file}: legal, {config.macs_per_cycle} MAC/cycle, digest {config.digest[:16]}")


def _find(text: str) -> HwConfig:
    return read_config(Path(text)) if text.endswith(".json") else find_config(text)
