"""Tuners, logs and resuming."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tvm import autotvm

from tests.support.workloads import WORKLOADS
from tests.tune.conftest import Tune
from zebra.errors import TuningLogError, UsageError
from zebra.hw import find_config
from zebra.schedule.cost import best_gemm_tiling
from zebra.tune.measure import Meter
from zebra.tune.records import LogFile, read_records
from zebra.tune.space import TilingSpace
from zebra.tune.tuning import Options

WORK, CONFIG = WORKLOADS["strided"], find_config("zebra")


def tuner_names() -> list[str]:
    try:
        import xgboost  # noqa: F401
    except ImportError:
        return ["ga", "random", "grid"]
    return ["xgb", "ga", "random", "grid"]


@pytest.mark.parametrize("name", tuner_names())
def test_a_tuner_measures_the_default_first_and_never_ends_worse(
    name: str, tune: Tune, log: Path
) -> None:
    done = tune(WORK, Options(name, trials=70, batch=16))
    records = read_records(log)
    assert records[0].tiling == best_gemm_tiling(WORK, CONFIG)
    assert (
        done.default == records[0].cycles(CONFIG) == Meter(WORK, CONFIG).cycles(records[0].tiling)
    )
    assert done.best is not None
    assert done.default is not None
    assert done.best <= done.default
    assert done.trials == 70
    assert done.failed == 0
    assert done.best == min(record.cycles(CONFIG) or 0 for record in records)
    assert len({record.tiling for record in records}) == len(records)


@pytest.mark.parametrize("name", tuner_names())
def test_the_same_seed_measures_the_same_points(
    name: str, tune: Tune, log: Path, tmp_path: Path
) -> None:
    logs = []
    for seed in (3, 3, 4):
        log.unlink(missing_ok=True)
        tune(WORK, Options(name, trials=60, seed=seed, batch=16))
        logs.append([(record.tiling, record.seconds) for record in read_records(log)])
    assert logs[0] == logs[1]
    if name in ("ga", "random"):
        assert logs[0] != logs[2]


@pytest.mark.skipif("xgb" not in tuner_names(), reason="needs xgboost")
def test_points_that_cannot_win_are_left_out(tune: Tune, log: Path) -> None:
    done = tune(WORK, Options("xgb", trials=10**6, batch=16))
    space, records = TilingSpace(WORK, CONFIG), read_records(log)
    assert done.best is not None
    assert 1 < len(records) == done.trials < len(space)
    points = [space.find(record.tiling) for record in records]
    bounds = [space.bounds[point] for point in points]
    cycles = [record.cycles(CONFIG) or 0 for record in records]
    # The default is measured alone, then come the batches.
    for first in range(17, len(points), 16):
        assert max(bounds[first : first + 16]) < min(cycles[:first])
    left = set(np.flatnonzero(~space.twins)) - set(points)
    assert all(space.bounds[point] >= done.best for point in left)


def test_a_grid_search_of_every_trial_finds_the_optimum(tune: Tune) -> None:
    work = WORKLOADS["two_images"]
    meter, space = Meter(work, CONFIG), TilingSpace(work, CONFIG)
    cycles = [meter.cycles(space.tiling(point)) for point in range(len(space))]
    done = tune(work, Options("grid", trials=10**6))
    assert done.trials == len(space) == done.points
    assert done.best == min(cycles)
    assert done.default == cycles[0]


@pytest.mark.parametrize("name", tuner_names())
def test_a_second_run_measures_nothing_again(name: str, tune: Tune, log: Path) -> None:
    options = Options(name, trials=60, batch=16)
    first = tune(WORK, options)
    before = log.read_bytes()
    second = tune(WORK, options)
    assert log.read_bytes() == before
    assert (second.best, second.tiling, second.trials) == (first.best, first.tiling, first.trials)


@pytest.mark.parametrize("name", tuner_names())
def test_a_log_cut_anywhere_is_completed_to_the_same_records(
    name: str, tune: Tune, log: Path
) -> None:
    options = Options(name, trials=48, batch=16)
    whole = tune(WORK, options)
    full, rng = log.read_bytes(), np.random.default_rng(0)
    expected = [record.tiling for record in read_records(log)]
    for cut in rng.integers(0, len(full), 4):
        log.write_bytes(full[:cut])
        assert tune(WORK, options).best == whole.best
        assert [record.tiling for record in read_records(log)] == expected


def test_records_are_standard_lines_that_autotvm_reads(tune: Tune, log: Path) -> None:
    done = tune(WORK, Options("grid", trials=5))
    line = json.loads(log.read_text().splitlines()[0])
    target, name, arguments, _ = line["input"]
    assert "-model=zebra" in target
    assert (name, arguments[0]) == ("zebra.gemm", CONFIG.digest)
    loaded = list(autotvm.record.load_from_file(str(log)))
    assert len(loaded) == 5
    clock = CONFIG["CLOCK_MHZ"] * 1e6
    assert min(round(result.costs[0] * clock) for _, result in loaded) == done.best


def test_records_of_other_templates_are_passed_over(tune: Tune, log: Path) -> None:
    tune(WORK, Options("grid", trials=2))
    line = log.read_text().splitlines()[0].replace("zebra.gemm", "conv2d_nchw.cuda")
    log.write_text(f"# a comment\n{line}\n\n")
    assert read_records(log) == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda line: line[:-9],
        lambda line: line.replace("GemmWorkload", "Nothing"),
        lambda line: line.replace('"batch"', '"bunch"'),
        lambda line: line.replace('"ot"', '"sp"', 1),
        lambda line: line.replace('"out_blocks", "ot"', '"blocks", "ot"'),
        lambda line: "[]",
    ],
    ids=["cut", "class", "field", "kind", "knob", "no_record"],
)
def test_a_damaged_line_is_named(damage, tune: Tune, log: Path) -> None:  # type: ignore[no-untyped-def]
    tune(WORK, Options("grid", trials=2))
    first, second = log.read_text().splitlines()
    log.write_text(f"{first}\n{damage(second)}\n")
    with pytest.raises(TuningLogError, match=r"tune\.log, line 2: is no AutoTVM record of zebra"):
        read_records(log)


def test_a_log_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TuningLogError, match=r"nowhere/a\.log: cannot be written"):
        LogFile(tmp_path / "nowhere" / "a.log")


def test_an_unknown_tuner_is_refused(tune: Tune) -> None:
    with pytest.raises(UsageError, match="no tuner is called best; known: xgb, ga, random, grid"):
        tune(WORK, Options("best", trials=4))
