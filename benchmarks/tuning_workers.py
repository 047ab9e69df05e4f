"""Trials per second of one and of two workers behind TVM's RPC tracker on this machine.

python benchmarks/tuning_workers.py [--config NAME] [--points N]: one JSON line. Both time the
same tilings of ResNet-18's stage2_3x3, after a warm-up.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from tuning import workloads
from tvm import rpc
from tvm.rpc.tracker import Tracker

from zebra.hw import HwConfig, find_config
from zebra.plugin import install
from zebra.tune.space import TilingSpace
from zebra.tune.workers import TrackerTimer, free_workers, serve

LAYER = "resnet18.stage2_3x3_add"


def rate(config: HwConfig, address: tuple[str, int], count: int, points: int) -> float:
    """Trials per second of ``count`` workers."""
    work = dict(workloads(config.block))[LAYER]
    space = TilingSpace(work, config)
    tilings = [space.tiling(point) for point in range(points)]
    key = f"bench{count}"
    servers: list[Any] = [serve(address, key) for _ in range(count)]
    session = rpc.connect_tracker(*address)
    while free_workers(session, key) < count:
        time.sleep(0.1)
    timer = TrackerTimer(config, address, key)
    timer.time(work, tilings[:16])
    start = time.perf_counter()
    timer.time(work, tilings)
    seconds = time.perf_counter() - start
    for server in servers:
        server.terminate()
    return points / seconds


def main() -> None:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--config", default="kv260")
    parser.add_argument("--points", type=int, default=400)
    options = parser.parse_args()
    install()
    config = find_config(options.config)
    tracker = Tracker("127.0.0.1", port=9190, port_end=9290, silent=True)
    address = ("127.0.0.1", tracker.port)
    rates = [rate(config, address, count, options.points) for count in (1, 2)]
    tracker.terminate()
    row = {
        "benchmark": "tuning_workers",
        "config": config.name,
        "points": options.points,
        "one_per_s": round(rates[0], 1),
        "two_per_s": round(rates[1], 1),
        "two_over_one": round(rates[1] / rates[0], 2),
    }
    print(json.dumps(row))


if __name__ == "__main__":
    main()
