"""Which tiling a build takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tvm
from tvm import autotvm, relay

import zebra
from tests.support.workloads import WORKLOADS
from tests.tune.conftest import Tune
from zebra.errors import TuningLogError
from zebra.hw import available_configs, find_config
from zebra.schedule.cost import best_gemm_tiling
from zebra.schedule.tiling import GemmTiling, GemmWorkload
from zebra.tune import history
from zebra.tune.history import choose_tiling, shipped_tilings
from zebra.tune.measure import Meter
from zebra.tune.records import best_of, read_records
from zebra.tune.space import is_legal
from zebra.tune.tuning import Options
from zebra.tune.workloads import workloads_of

WORK, OTHER, CONFIG = WORKLOADS["strided"], WORKLOADS["conv"], find_config("zebra")


@pytest.fixture
def tuned(tune: Tune, log: Path) -> Callable[[GemmWorkload], GemmTiling]:
    """Adds a workload's records but the default's to the log; the best of them."""

    def run(work: GemmWorkload) -> GemmTiling:
        before = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        tune(work, Options("random", trials=30))
        log.write_text("\n".join(before + log.read_text().splitlines()[1:]) + "\n")
        return best_of(read_records(log))[work].tiling

    return run


Tuned = Callable[[GemmWorkload], GemmTiling]


def test_a_context_gives_the_fastest_record(tuned: Tuned, log: Path) -> None:
    tiling = tuned(WORK)
    assert tiling != best_gemm_tiling(WORK, CONFIG)
    with autotvm.apply_history_best(str(log)):
        assert choose_tiling(WORK, CONFIG) == tiling
        assert choose_tiling(OTHER, CONFIG) == best_gemm_tiling(OTHER, CONFIG)


def test_an_inner_context_goes_first_and_the_outer_fills_in(
    tuned: Tuned, log: Path, tmp_path: Path
) -> None:
    inner, best = tmp_path / "inner.log", tuned(WORK)
    log.rename(inner)
    other = tuned(OTHER)
    with autotvm.apply_history_best(str(log)), autotvm.apply_history_best(str(inner)):
        assert choose_tiling(WORK, CONFIG) == best
        assert choose_tiling(OTHER, CONFIG) == other


def test_an_empty_context_gives_the_default() -> None:
    with autotvm.apply_history_best(None):
        assert choose_tiling(WORK, CONFIG) == best_gemm_tiling(WORK, CONFIG)


def test_a_log_of_other_hardware_is_refused(tune: Tune, log: Path) -> None:
    kv260 = find_config("kv260")
    tune(WORK, Options("grid", trials=2), kv260)
    sentence = (
        f"was tuned for other hardware: configuration kv260 with hash {kv260.digest[:16]}, and "
        f"this is zebra with hash {CONFIG.digest[:16]}"
    )
    with autotvm.apply_history_best(str(log)), pytest.raises(TuningLogError, match=sentence):
        choose_tiling(WORK, CONFIG)


def test_a_log_of_several_configurations_serves_each(tune: Tune, tuned: Tuned, log: Path) -> None:
    best = tuned(WORK)
    tune(WORK, Options("grid", trials=2), find_config("kv260"))
    with autotvm.apply_history_best(str(log)):
        assert choose_tiling(WORK, CONFIG) == best


def test_a_tiling_that_is_not_legal_is_refused(tune: Tune, log: Path) -> None:
    tune(WORK, Options("grid", trials=1))
    log.write_text(log.read_text().replace('["out_blocks", "ot", ', '["out_blocks", "ot", 9'))
    with autotvm.apply_history_best(str(log)), pytest.raises(TuningLogError, match="not legal on"):
        choose_tiling(WORK, CONFIG)


def test_the_shipped_log_serves_builds_outside_of_a_context(
    tuned: Tuned, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    best, kv260 = tuned(WORK), find_config("kv260")
    log.rename(log.parent / "zebra.log")
    monkeypatch.setattr(history, "SHIPPED", log.parent)
    shipped_tilings.cache_clear()
    try:
        assert choose_tiling(WORK, CONFIG) == best
        assert choose_tiling(WORK, kv260) == best_gemm_tiling(WORK, kv260)
        with autotvm.apply_history_best(None):
            assert choose_tiling(WORK, CONFIG) == best_gemm_tiling(WORK, CONFIG)
    finally:
        shipped_tilings.cache_clear()


def network() -> tvm.IRModule:
    """Three convolutions, quantized."""
    rng = np.random.default_rng(0)
    y = x = relay.var("x", shape=(1, 16, 12, 12))
    for kernel in (3, 3, 1):
        weight = rng.standard_normal((16, 16, kernel, kernel)).astype(np.float32)
        pad = kernel // 2
        y = relay.nn.relu(relay.nn.conv2d(y, relay.const(weight), padding=(pad, pad)))
    return zebra.quantize(tvm.IRModule.from_expr(relay.Function([x], y)), {}, calibration=[DATA])


DATA = np.random.default_rng(1).standard_normal((1, 16, 12, 12)).astype(np.float32)


def artifacts(module: tvm.IRModule) -> list[bytes]:
    regions = zebra.find_regions(relay.build(module, target="zebra"))
    return [bytes(region.artifact().to_bytes()) for region in regions]


@pytest.mark.usefixtures("no_chains")
def test_a_build_follows_the_log_and_computes_the_same(tune: Tune, log: Path) -> None:
    module = network()
    found = workloads_of(module, CONFIG)
    assert len(found) == 2
    with autotvm.apply_history_best(None):
        plain = artifacts(module)
    for each in found:
        tune(each.work, Options("random", trials=40))
    slowest(log)
    with autotvm.apply_history_best(str(log)):
        tuned = artifacts(module)
        assert tuned == artifacts(module)
        changed = relay.build(module, target="zebra")
    assert tuned != plain
    with zebra.exact_reference():
        expected = run(relay.build(module, target="llvm"))
    np.testing.assert_array_equal(run(changed), expected)


def slowest(log: Path) -> None:
    """Leave only each workload's slowest record, so that it is not the default's."""
    lines = log.read_text().splitlines()
    worst: dict[GemmWorkload, tuple[float, str]] = {}
    for record, line in zip(read_records(log), lines, strict=True):
        entry = (record.seconds or 0.0, line)
        worst[record.work] = max(worst.get(record.work, entry), entry)
    log.write_text("".join(f"{line}\n" for _, line in worst.values()))


def run(library: object) -> np.ndarray:
    executor = tvm.contrib.graph_executor.GraphModule(library["default"](zebra.device()))  # type: ignore[index]
    executor.run(x=DATA)
    return executor.get_output(0).numpy()


def test_the_best_of_equal_records_is_the_first(tune: Tune, log: Path) -> None:
    tune(WORK, Options("grid", trials=10))
    records = read_records(log)
    assert best_of(reversed(records))[WORK].seconds == best_of(records)[WORK].seconds
    assert best_of([records[0], records[0]])[WORK] is records[0]


@pytest.mark.parametrize("name", available_configs())
def test_a_shipped_record_is_legal_and_gains(name: str) -> None:
    """The compiler or the cycle model has changed if not: run tools/tune_presets.py."""
    config = find_config(name)
    for work, tiling in list(shipped_tilings(config).items())[:4]:
        meter = Meter(work, config)
        assert is_legal(tiling, work, config)
        assert meter.cycles(tiling) < meter.cycles(best_gemm_tiling(work, config))
