"""A tuning that is killed at any moment goes on where it was."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from tests.support.workloads import WORKLOADS
from zebra.hw import find_config
from zebra.tune.measuring import LocalTimer
from zebra.tune.records import LogFile, read_records
from zebra.tune.tuning import Options, tune_workload

WORKS = (WORKLOADS["two_images"], WORKLOADS["table_before"])
KILLS = 20


def tune_all(log: Path, options: Options) -> None:
    config = find_config("zebra")
    records, file = read_records(log), LogFile(log)
    for work in WORKS:
        tune_workload(work, config, LocalTimer(config), file, records, options)


def whole_lines(log: Path) -> list[bytes]:
    return log.read_bytes().rpartition(b"\n")[0].splitlines() if log.exists() else []


@pytest.mark.parametrize("tuner", ["random", "ga"])
def test_no_record_is_lost_or_doubled(tuner: str, tmp_path: Path) -> None:
    options, rng = Options(tuner, trials=80, batch=4), np.random.default_rng(0)
    log, undisturbed = tmp_path / "killed.log", tmp_path / "undisturbed.log"
    start = time.monotonic()
    tune_all(undisturbed, options)
    whole = time.monotonic() - start
    context, killed, before = multiprocessing.get_context("fork"), 0, []
    for _ in range(KILLS):
        process = context.Process(target=tune_all, args=(log, options))
        process.start()
        time.sleep(rng.uniform(0, whole / KILLS * 1.5))
        if process.is_alive() and process.pid is not None:
            os.kill(process.pid, signal.SIGKILL)
        process.join()
        killed += process.exitcode == -signal.SIGKILL
        lines = whole_lines(log)
        assert lines[: len(before)] == before
        before = lines
    assert killed > KILLS // 2
    assert before
    tune_all(log, options)
    assert whole_lines(log)[: len(before)] == before
    points = [(record.work, record.tiling, record.seconds) for record in read_records(log)]
    assert len(points) == len(set(points))
    assert points == [
        (record.work, record.tiling, record.seconds) for record in read_records(undisturbed)
    ]
