"""Tune the networks people run most for every preset: the logs that the package ships.

.venv/bin/python tools/tune_presets.py [--trials N] [--models FILE ...] [CONFIG ...]
writes python/zebra/tuned/<config>.log: of each workload of ResNet-18, MobileNetV1 and the
given models the best record, where it is faster than the default. The shipped zebra.log
also has MobileNetV2's (48 trials). Run it again when the compiler or the cycle model changes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tvm.relay import testing

import zebra
from zebra.hw import HwConfig, available_configs, find_config
from zebra.relay.quantizer import PLAIN
from zebra.schedule.tiling import GemmWorkload
from zebra.tune.history import SHIPPED
from zebra.tune.measuring import LocalTimer
from zebra.tune.records import LogFile, read_records
from zebra.tune.tuning import Options, tune_workload
from zebra.tune.workloads import workloads_of


def networks(models: Iterable[Path]) -> Iterator[Any]:
    """int8 modules; their weights do not matter."""
    for mod, params in (
        testing.resnet.get_workload(num_layers=18),
        testing.mobilenet.get_workload(),
    ):
        yield zebra.quantize(mod, params, techniques=PLAIN)
    for path in models:
        yield zebra.quantize(*zebra.load(path), techniques=PLAIN)


def tune(found: list[GemmWorkload], config: HwConfig, options: Options, workers: int) -> list[str]:
    """The best lines, in the workloads' order."""
    timer, kept = LocalTimer(config, workers), []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "all.log"
        log, gained = LogFile(path), set()
        for work in found:
            done = tune_workload(work, config, timer, log, options=options)
            if done.best is not None and done.default is not None and done.best < done.default:
                gained.add((work, done.tiling))
        log.close()
        lines = path.read_text().splitlines()
        for record, line in zip(read_records(path), lines, strict=True):
            if (record.work, record.tiling) in gained:
                kept.append(line)
    timer.close()
    return kept


def main() -> None:
    """Write one log for each configuration."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("configs", nargs="*", default=list(available_configs()))
    parser.add_argument("--models", nargs="*", type=Path, default=[])
    parser.add_argument("--trials", type=int, default=128)
    parser.add_argument("--tuner", default="xgb")
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    warnings.simplefilter("ignore", zebra.ZebraWarning)
    modules = list(networks(options.models))
    SHIPPED.mkdir(exist_ok=True)
    for name in options.configs:
        config, start = find_config(name), time.perf_counter()
        found = list(
            dict.fromkeys(each.work for mod in modules for each in workloads_of(mod, config))
        )
        lines = tune(found, config, Options(options.tuner, options.trials), options.workers)
        (SHIPPED / f"{name}.log").write_text("".join(f"{line}\n" for line in lines))
        seconds = time.perf_counter() - start
        print(f"{name}: {len(lines)} of {len(found)} workloads gained, {seconds:.0f} s")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
