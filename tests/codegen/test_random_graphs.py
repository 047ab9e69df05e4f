"""Any Graph on any configuration: the program computes what the interpreter does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.graphs import random_config, random_graph
from tests.support.machine import run_golden
from zebra.codegen import compile_graph
from zebra.graph import interpret
from zebra.hw import HwConfig
from zebra.schedule.cost import best_gemm_tiling
from zebra.schedule.tiling import GemmTiling, GemmWorkload, Order, gemm_candidates


def check(seed: int, size: int, drawn: bool = False) -> None:
    """``drawn``: random legal tilings instead of the cheapest."""
    rng = np.random.default_rng(seed)
    graph, config = random_graph(seed, size), random_config(rng)
    inputs = {"x0": rng.integers(-128, 128, graph.nodes[0].shape).astype(np.int8)}
    expected = interpret.run(graph, inputs)

    def draw(work: GemmWorkload, config: HwConfig) -> GemmTiling:
        candidates = gemm_candidates(work, config)
        order = list(Order)[int(rng.integers(len(Order)))]
        return candidates.tiling(int(rng.integers(candidates.rows.size)), order)

    choose = draw if drawn else best_gemm_tiling
    got = run_golden(compile_graph(graph, config, choose), config, inputs)
    for name, value in expected.items():
        np.testing.assert_array_equal(got[name], value, err_msg=f"seed {seed}, value {name}")


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**31))
def test_program_equals_interpreter(seed: int) -> None:
    check(seed, 6)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**31))
def test_any_legal_tiling_gives_the_same_result(seed: int) -> None:
    check(seed, 6, drawn=True)


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_program_equals_interpreter_thousand(seed: int) -> None:
    check(seed, 8)
