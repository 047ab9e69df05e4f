"""Timing on workers of TVM's RPC tracker."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from tvm import rpc
from tvm.rpc.tracker import Tracker

from tests.support.workloads import WORKLOADS
from zebra.errors import DriverError
from zebra.hw import find_config
from zebra.tune.measure import Meter
from zebra.tune.space import TilingSpace
from zebra.tune.workers import TrackerTimer, free_workers, serve

CONFIG, WORK = find_config("kv260"), WORKLOADS["conv"]


@pytest.fixture(scope="module")
def tracker() -> Iterator[tuple[str, int]]:
    running = Tracker("127.0.0.1", port=9290, port_end=9390, silent=True)
    yield "127.0.0.1", running.port
    running.terminate()


def test_workers_give_the_cycles_of_this_process_and_may_go(tracker: tuple[str, int]) -> None:
    space, meter = TilingSpace(WORK, CONFIG), Meter(WORK, CONFIG)
    tilings = [space.tiling(point) for point in range(0, len(space), len(space) // 9)]
    expected = [meter.cycles(tiling) for tiling in tilings]
    servers = [serve(tracker, "test") for _ in range(2)]
    session = rpc.connect_tracker(*tracker)
    while free_workers(session, "test") < 2:
        time.sleep(0.1)
    timer = TrackerTimer(CONFIG, tracker, "test")
    try:
        assert timer.workers == 2
        assert [cycles for cycles, _, _ in timer.time(WORK, tilings)] == expected
        servers[0].terminate()
        assert [cycles for cycles, _, _ in timer.time(WORK, tilings)] == expected
        servers[1].terminate()
        with pytest.raises(DriverError, match=r"no worker with key test of the tracker .* is left"):
            timer.time(WORK, tilings)
    finally:
        for server in servers:
            server.terminate()


def test_a_key_without_workers_is_refused(tracker: tuple[str, int]) -> None:
    with pytest.raises(DriverError, match="knows no free worker with key none; start one with"):
        TrackerTimer(CONFIG, tracker, "none")


def test_a_port_without_a_tracker_is_refused() -> None:
    with pytest.raises(DriverError, match=r"no RPC tracker answers at 127\.0\.0\.1:1"):
        TrackerTimer(CONFIG, ("127.0.0.1", 1), "test")
