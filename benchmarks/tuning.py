"""Default, tuned and optimal cycles of 20 workloads on the cycle model, and trials per second.

python benchmarks/tuning.py [--config NAME] [--tuner NAME] [--trials N] [--workers N]
[--only TEXT] [--no-optimum]: one JSON line per workload. The layers are ResNet-18's and, fused
with the depthwise layers before them, MobileNet v1's (width 0.5, pictures of 96 x 96), at batch 1.

The optimum is that of the whole config space. A point is left out only where its lower bound
(zebra.tune.bound) shows that it cannot be 1 % better than what the tuner found; its bound
then counts, so that the last figure is an upper bound on what the tuner missed.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from zebra.hw import HwConfig, find_config
from zebra.plugin import install
from zebra.schedule.tiling import Before, GemmWorkload
from zebra.tune.measuring import LocalTimer
from zebra.tune.records import LogFile
from zebra.tune.space import TilingSpace
from zebra.tune.tuning import Options, tune_workload

RESNET = {
    "stage1_3x3": (64, 64, 56, 3, 1, 0),
    "stage1_3x3_add": (64, 64, 56, 3, 1, 2),
    "stage2_down": (64, 128, 28, 3, 2, 0),
    "stage2_skip": (64, 128, 28, 1, 1, 0),
    "stage2_3x3_add": (128, 128, 28, 3, 1, 2),
    "stage3_down": (128, 256, 14, 3, 2, 0),
    "stage3_skip": (128, 256, 14, 1, 1, 0),
    "stage3_3x3_add": (256, 256, 14, 3, 1, 2),
    "stage4_down": (256, 512, 7, 3, 2, 0),
    "stage4_skip": (256, 512, 7, 1, 1, 0),
    "stage4_3x3_add": (512, 512, 7, 3, 1, 2),
    "dense": (512, 1000, 1, 1, 1, 0),
}
"""Input channels, output channels, output size, kernel, stride, VEC cycles of the addition."""
MOBILENET = {
    "pair1": (16, 32, 48, 1),
    "pair2": (32, 64, 24, 2),
    "pair3": (64, 64, 24, 1),
    "pair4": (64, 128, 12, 2),
    "pair5": (128, 128, 12, 1),
    "pair6": (128, 256, 6, 2),
    "pair7": (256, 256, 6, 1),
    "pair13": (256, 512, 3, 2),
}
"""Input channels, output channels, output size, stride of the depthwise layer."""
ONE, THREE = (1, 1), (3, 3)


def workloads(block: int) -> Iterator[tuple[str, GemmWorkload]]:
    """The 20 of them by name."""

    def blocks(channels: int) -> int:
        return -(-channels // block)

    for name, (ins, outs, size, kernel, stride, after) in RESNET.items():
        yield f"resnet18.{name}", GemmWorkload(
            1, blocks(outs), blocks(ins), (size, size), (kernel, kernel), (stride, stride), ONE, 1,
            False, (size * stride, size * stride), after=after,
        )  # fmt: skip
    for name, (ins, outs, size, stride) in MOBILENET.items():
        source = (size * stride, size * stride)
        before = Before(source, THREE, (stride, stride), ONE, 10, 12, taps=9)
        yield f"mobilenet.{name}", GemmWorkload(
            1, blocks(outs), blocks(ins), (size, size), ONE, ONE, ONE, 1, False, (size, size),
            before=before,
        )  # fmt: skip


def optimum(
    work: GemmWorkload, config: HwConfig, timer: LocalTimer, tuned: int
) -> tuple[int, int, int]:
    """(best cycles timed, cycles that no point beats, points timed)."""
    space = TilingSpace(work, config)
    hopeless = space.bounds * 1.01 >= tuned
    points = np.flatnonzero(~hopeless & ~space.twins)
    outcomes = timer.time(work, [space.tiling(int(point)) for point in points])
    best = min((cycles for cycles, problem, _ in outcomes if not problem), default=tuned)
    rest = int(space.bounds[hopeless].min()) if hopeless.any() else best
    return min(best, tuned), min(best, rest, tuned), len(points)


def measure(name: str, work: GemmWorkload, config: HwConfig, options: Any) -> dict[str, Any]:
    """One workload's figures."""
    with tempfile.TemporaryDirectory() as folder:
        log, timer = LogFile(Path(folder) / "tune.log"), LocalTimer(config)
        start, cpu = time.perf_counter(), time.process_time()
        search = Options(options.tuner, options.trials)
        done = tune_workload(work, config, timer, log, options=search)
        wall, spent = time.perf_counter() - start, time.process_time() - cpu
        log.close()
    assert done.best is not None
    row: dict[str, Any] = {
        "benchmark": "tuning",
        "workload": name,
        "config": config.name,
        "tuner": options.tuner,
        "points": done.points,
        "trials": done.trials,
        "trials_per_s": round(done.trials / wall, 1),
        "trials_per_cpu_s": round(done.trials / spent, 1),
        "default": done.default,
        "tuned": done.best,
    }
    if not options.no_optimum:
        many = LocalTimer(config, options.workers)
        best, least, timed = optimum(work, config, many, done.best)
        many.close()
        row |= {
            "best_known": best,
            "optimum_at_least": least,
            "points_timed": timed,
            "tuned_over_optimum_at_most": round(done.best / least, 4),
        }
    return row


def main() -> None:
    """Print one JSON line per workload."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--config", default="kv260")
    parser.add_argument("--tuner", default="xgb", help="xgb, ga, random or grid")
    parser.add_argument("--trials", type=int, default=128)
    parser.add_argument("--workers", type=int, default=1, help="processes that look for the best")
    parser.add_argument("--only", default="", help="a part of the workloads' names")
    parser.add_argument("--no-optimum", action="store_true", help="only tune")
    options = parser.parse_args()
    install()
    config = find_config(options.config)
    for name, work in workloads(config.block):
        if options.only not in name:
            continue
        print(json.dumps(measure(name, work, config, options)), flush=True)


if __name__ == "__main__":
    main()
