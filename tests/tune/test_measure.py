"""What is timed equals what the compiler emits, and the synthetic layer the real one."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.workloads import WORKLOADS
from zebra.codegen.emitter import Emitter
from zebra.codegen.generate import compile_graph
from zebra.graph import nodes as g
from zebra.hw import HwConfig, find_config
from zebra.runtime.cycle import simulate
from zebra.schedule.tiling import GemmTiling, GemmWorkload, Order, gemm_candidates
from zebra.schedule.workloads import gemm_workload
from zebra.tune.measure import Meter
from zebra.tune.synthetic import ADDRESSES, synthetic_layer
from zebra.tune.workloads import graph_workloads


def draw(work: GemmWorkload, config: HwConfig, rng: np.random.Generator) -> GemmTiling:
    candidates = gemm_candidates(work, config)
    order = list(Order)[int(rng.integers(len(Order)))]
    return candidates.tiling(int(rng.integers(candidates.rows.size)), order)


@pytest.mark.parametrize("work", WORKLOADS.values(), ids=WORKLOADS)
def test_a_synthetic_layer_has_its_workload(work: GemmWorkload) -> None:
    config = find_config("zebra")
    assert gemm_workload(synthetic_layer(work, config.block), config) == work


@pytest.mark.parametrize("config", ["zebra", "kv260"])
@pytest.mark.parametrize("work", WORKLOADS.values(), ids=WORKLOADS)
def test_no_token_comes_from_dram(work: GemmWorkload, config: str) -> None:
    hw, rng = find_config(config), np.random.default_rng(0)
    meter = Meter(work, hw)
    for _ in range(4):
        tiling = draw(work, hw, rng)
        emitter = Emitter(hw, ADDRESSES)
        meter.emit(tiling, emitter)
        assert meter.code(tiling) == emitter.code(), tiling


def convolution(channels: int, outs: int, size: int, kernel: int, stride: int) -> g.Graph:
    pad = kernel // 2
    one = np.ones(outs, np.int32)
    side = (size + 2 * pad - kernel) // stride + 1
    conv = g.Conv2d(
        name="conv",
        shape=(1, outs, side, side),
        inputs=("x",),
        weight=np.ones((outs, channels, kernel, kernel), np.int16),
        stride=(stride, stride),
        pads=(pad,) * 4,
        scale=g.Scale(one, one, np.arange(outs, dtype=np.int32)),
        finish=g.Finish(),
    )
    x = g.Input(name="x", inputs=(), shape=(1, channels, size, size))
    return g.Graph("one", (x, conv), (g.Port("x", x.shape),), (g.Port("conv", conv.shape),))


@pytest.mark.parametrize(
    ("channels", "outs", "size", "kernel", "stride"),
    [(32, 48, 12, 3, 1), (48, 32, 13, 1, 1), (64, 32, 15, 3, 2), (20, 20, 9, 5, 1)],
    ids=["3x3", "1x1", "strided", "ragged"],
)
def test_a_layer_alone_takes_the_cycles_of_the_compiled_network(
    channels: int, outs: int, size: int, kernel: int, stride: int
) -> None:
    config, graph = find_config("zebra"), convolution(channels, outs, size, kernel, stride)
    (work,) = graph_workloads(graph, config)
    meter, rng = Meter(work, config), np.random.default_rng(1)
    for _ in range(3):
        tiling = draw(work, config, rng)
        compiled = compile_graph(graph, config, lambda work, config, t=tiling: t)
        assert meter.cycles(tiling) == simulate(compiled, config).cycles
