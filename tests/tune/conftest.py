from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from zebra.hw import HwConfig, find_config
from zebra.plugin import install
from zebra.schedule.tiling import GemmWorkload
from zebra.tune.measuring import LocalTimer
from zebra.tune.records import LogFile, read_records
from zebra.tune.tuning import Options, Progress, tune_workload

Tune = Callable[..., Progress]


@pytest.fixture(scope="session", autouse=True)
def _targets() -> None:
    install()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "tune.log"


@pytest.fixture
def tune(log: Path) -> Tune:
    """Tunes one workload into ``log`` as zebra tune does."""

    def run(work: GemmWorkload, options: Options, config: HwConfig | None = None) -> Progress:
        config = config or find_config("zebra")
        records, file = read_records(log), LogFile(log)
        try:
            return tune_workload(work, config, LocalTimer(config), file, records, options)
        finally:
            file.close()

    return run
