"""``zebra tune`` and ``zebra tune-worker``: better tilings, found on the cycle model."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from zebra.cli import pipeline
from zebra.cli.choices import AsJson, Model, Shape, Target, read_shapes
from zebra.cli.console import err, out, print_json, step
from zebra.cli.inspecting import quantize_quietly
from zebra.errors import UsageError

if TYPE_CHECKING:
    from zebra.hw import HwConfig
    from zebra.schedule.tiling import GemmWorkload
    from zebra.tune.measuring import LocalTimer
    from zebra.tune.tuning import Progress as Tuned
    from zebra.tune.workers import TrackerTimer
    from zebra.tune.workloads import Occurrence

Tracker = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT", help="TVM's RPC tracker; time on its workers."),
]
Key = Annotated[str, typer.Option(help="The workers' key at the tracker.")]


def tune(
    model: Model,
    log: Annotated[
        Path, typer.Option(help="The log to append to; a tuning that was broken off goes on.")
    ],
    target: Target = "zebra",
    trials: Annotated[int, typer.Option(min=1, help="Tilings to try for each workload.")] = 128,
    tuner: Annotated[str, typer.Option(help="xgb, ga, random or grid.")] = "xgb",
    seed: Annotated[int, typer.Option(min=0, help="Where the random numbers start.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Processes that time tilings here.")] = 1,
    tracker: Tracker = None,
    key: Key = "zebra",
    warm_start: Annotated[
        Path | None,
        typer.Option(help="A log, perhaps of other hardware, whose best tilings are tried first."),
    ] = None,
    shape: Shape = None,
    as_json: AsJson = False,
) -> None:
    """Search for faster tilings of a network's convolutions.

    [bold]Examples[/bold]

        zebra tune mobilenet.onnx --log mobilenet.log

        zebra tune net.onnx --target zebra/kv260 --trials 500 --log net.log --workers 4

        zebra tune net.onnx --log net.log --tracker 10.0.0.1:9190 --key zebra

    Tuned are convolutions that run alone or joined to their neighbours; those in chains of
    stripes (docs/architecture.md) have no tilings to choose.

    Building inside autotvm.apply_history_best("net.log") uses what was found, and so does
    zebra compile --tuned net.log. Results never change, only the time.
    """
    chosen = pipeline.find_target(target)
    address = read_tracker(tracker)
    network = pipeline.open_network(model, read_shapes(shape))
    found = _workloads(network, chosen)
    if not found:
        err.print("nothing to tune: every convolution runs in a chain, which has no tilings")
    start = time.perf_counter()
    with _timer(chosen, workers, address, key) as timer:
        results = _tune_all(found, chosen, timer, log, warm_start, (tuner, trials, seed))
    report = {
        "target": chosen,
        "log": str(log),
        "tuner": tuner,
        "seed": seed,
        "seconds": round(time.perf_counter() - start, 3),
        "workloads": [_row(each, done) for each, done in zip(found, results, strict=True)],
    }
    if as_json:
        print_json(report)
    else:
        _print(report)


def read_tracker(text: str | None) -> tuple[str, int] | None:
    """("10.0.0.1", 9190) from "10.0.0.1:9190"; UsageError if it is not of this form."""
    if text is None:
        return None
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal():
        raise UsageError(f"--tracker {text}: give the tracker's address as HOST:PORT")
    return host, int(port)


def _config(target: str) -> HwConfig:
    from zebra.hw import DEFAULT, find_config

    return find_config(target.partition("/")[2] or DEFAULT)


def _workloads(network: pipeline.Network, target: str) -> list[Occurrence]:
    from zebra.plugin.prepare import bind
    from zebra.tune.workloads import workloads_of

    module = quantize_quietly(network, target)
    with step("Finding the workloads"):
        module = bind(module, pipeline.leftover_params(network))
        return workloads_of(module, _config(target))


@contextmanager
def _timer(
    target: str, workers: int, tracker: tuple[str, int] | None, key: str
) -> Iterator[LocalTimer | TrackerTimer]:
    from zebra.tune.measuring import LocalTimer
    from zebra.tune.workers import TrackerTimer

    config = _config(target)
    timer = LocalTimer(config, workers) if tracker is None else TrackerTimer(config, tracker, key)
    try:
        yield timer
    finally:
        timer.close()


def _tune_all(
    found: Sequence[Occurrence],
    target: str,
    timer: LocalTimer | TrackerTimer,
    log: Path,
    warm_start: Path | None,
    search: tuple[str, int, int],
) -> list[Tuned]:
    from zebra.tune.records import LogFile, best_of, read_records, refuse_other_hardware
    from zebra.tune.tuning import Options, tune_workload

    config = _config(target)
    records = read_records(log)
    refuse_other_hardware(records, config, str(log))
    hints = best_of(read_records(warm_start)) if warm_start else {}
    options, file = Options(*search), LogFile(log)
    results = []
    with _bars(len(found)) as progress:
        whole = progress.add_task("workloads", total=len(found))
        for each in found:
            bar = progress.add_task(describe(each.work), total=options.trials)

            def show(done: Tuned, bar: Any = bar) -> None:
                total = min(options.trials, done.points)
                text = f"{describe(done.work)}  {done.best} cycles{_gain(done.default, done.best)}"
                progress.update(bar, completed=done.trials, total=total, description=text)

            hint = [hints[each.work].tiling] if each.work in hints else []
            results.append(
                tune_workload(each.work, config, timer, file, records, options, hint, show)
            )
            progress.advance(whole)
    file.close()
    return results


def _bars(count: int) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    quiet = not err.is_terminal or not count
    return Progress(*columns, TimeElapsedColumn(), console=err, transient=True, disable=quiet)


def describe(work: GemmWorkload) -> str:
    """A workload for people: kernel, channel blocks, output size and stride."""
    text = f"{work.kernel[0]}x{work.kernel[1]} {work.in_blocks}->{work.out_blocks} blocks"
    text += f" to {work.out_size[0]}x{work.out_size[1]}"
    if work.stride != (1, 1):
        text += f" stride {work.stride[0]}x{work.stride[1]}"
    return text + (" fused" if work.before or work.after else "")


def _gain(default: int | None, best: int | None) -> str:
    return f" ({best / default - 1:+.1%})" if default and best else ""


def _row(each: Occurrence, done: Tuned) -> dict[str, Any]:
    return {
        "workload": describe(each.work),
        "layers": list(each.layers),
        "points": done.points,
        "trials": done.trials,
        "failed": done.failed,
        "default_cycles": done.default,
        "best_cycles": done.best,
        "tiling": asdict(done.tiling) if done.tiling is not None else None,
    }


def _print(report: dict[str, Any]) -> None:
    table = Table("workload", "layers", "trials", "legal", "default", "best", "gain")
    totals = [0, 0]
    for row in report["workloads"]:
        default, best, count = row["default_cycles"], row["best_cycles"], len(row["layers"])
        gain = _gain(default, best).strip(" ()")
        numbers = (count, row["trials"], row["points"], default, best)
        table.add_row(row["workload"], *map(str, numbers), gain)
        totals = [totals[0] + count * (default or 0), totals[1] + count * (best or 0)]
    out.print(table)
    out.print(
        f"{totals[0]} cycles by default, {totals[1]} tuned{_gain(*totals)}, layers one by one; "
        f"the records are in {report['log']}"
    )


def tune_worker(
    tracker: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="TVM's RPC tracker.", show_default=False)
    ],
    key: Key = "zebra",
) -> None:
    """Time tilings for zebra tune --tracker on this machine, until interrupted.

    [bold]Example[/bold]

        python -m tvm.exec.rpc_tracker --host 0.0.0.0 --port 9190

        zebra tune-worker --tracker 10.0.0.1:9190 --key zebra      [dim]as often as you like[/dim]
    """
    from zebra.plugin import install

    install()
    from zebra.tune.workers import serve

    address = read_tracker(tracker)
    assert address is not None
    server = serve(address, key)
    err.print(f"timing tilings with key {key} for {tracker} on port {server.port}; Ctrl-C ends it")
    try:
        while server.proc is not None:
            time.sleep(1)
    finally:
        server.terminate()
