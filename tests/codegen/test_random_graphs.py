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


def check(seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    graph, config = random_graph(seed, size), random_config(rng)
    inputs = {"x0": rng.integers(-128, 128, graph.nodes[0].shape).astype(np.int8)}
    expected = interpret.run(graph, inputs)
    got = run_golden(compile_graph(graph, config), config, inputs)
    for name, value in expected.items():
        np.testing.assert_array_equal(got[name], value, err_msg=f"seed {seed}, value {name}")


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**31))
def test_program_equals_interpreter(seed: int) -> None:
    check(seed, 6)


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_program_equals_interpreter_thousand(seed: int) -> None:
    check(seed, 8)
