"""Every tiling that counts as legal compiles, for layers with everything joined to them."""

from __future__ import annotations

import numpy as np
import pytest

from zebra.codegen import compile_graph
from zebra.graph import nodes as g
from zebra.hw import HwConfig, find_config
from zebra.schedule.cost import best_gemm_tiling
from zebra.schedule.tiling import GemmTiling, GemmWorkload, Order, gemm_candidates

RNG = np.random.default_rng(0)
X = g.Input("x", (), (1, 20, 7, 7))


def scale(channels: int) -> g.Scale:
    return g.Scale(np.full(channels, 1 << 30, np.int32), np.full(channels, 36, np.int32))


def pointwise(name: str, x: g.Node, k: int) -> g.Conv2d:
    weight = RNG.integers(-9, 9, (k, x.shape[1], 1, 1)).astype(np.int16)
    shape = (1, k, *x.shape[2:])
    return g.Conv2d(name, (x.name,), shape, weight, scale(k), g.Finish())


def inverted_residual() -> tuple[g.Node, ...]:
    wide = pointwise("expand", X, 60)
    taps = RNG.integers(-9, 9, (60, 1, 3, 3)).astype(np.int16)
    deep = g.Conv2d(
        "deep", ("expand",), wide.shape, taps, scale(60), g.Finish(), pads=(1, 1, 1, 1), groups=60
    )
    thin = pointwise("project", deep, 20)
    last = g.Binary(
        "sum", ("project", "x"), X.shape, g.BinaryKind.ADD, scale(1), scale(1), g.Finish()
    )
    return X, wide, deep, thin, last


def classifier() -> tuple[g.Node, ...]:
    wide = pointwise("wide", X, 80)
    pool = g.Pool(
        "pool", ("wide",), (1, 80, 1, 1), g.PoolKind.AVERAGE, ((0, 7),), ((0, 7),), g.Finish(),
        scale(1),
    )  # fmt: skip
    return X, wide, pool, pointwise("dense", pool, 200)


@pytest.mark.parametrize("make", [inverted_residual, classifier])
def test_every_legal_tiling_compiles(make: object) -> None:
    assert callable(make)
    nodes = make()
    base = dict(find_config("zebra").values)
    config = HwConfig.from_mapping(
        "small", base | {"LOG_ACT_BUFF_SIZE": 14, "LOG_WGT_BUFF_SIZE": 15, "LOG_ACC_BUFF_SIZE": 15}
    )
    graph = g.Graph(
        "all", nodes, (g.Port("x", X.shape),), (g.Port(nodes[-1].name, nodes[-1].shape),)
    )
    asked: set[GemmWorkload] = set()

    def note(work: GemmWorkload, config: HwConfig) -> GemmTiling:
        asked.add(work)
        return best_gemm_tiling(work, config)

    compile_graph(graph, config, note)
    for work in asked:
        candidates = gemm_candidates(work, config)
        picks = np.unique(np.linspace(0, candidates.rows.size - 1, 30).astype(int))
        for pick in picks:
            tiling = candidates.tiling(int(pick), list(Order)[int(pick) % 2])

            def choose(
                other: GemmWorkload,
                config: HwConfig,
                work: GemmWorkload = work,
                tiling: GemmTiling = tiling,
            ) -> GemmTiling:
                return tiling if other == work else best_gemm_tiling(other, config)

            compile_graph(graph, config, choose)
