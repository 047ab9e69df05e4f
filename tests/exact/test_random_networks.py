"""P1 and P6 on random networks: oracle = golden semantics = fsim, in every element."""

from __future__ import annotations

import json
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tvm
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tvm import relay
from tvm.contrib import graph_executor

import zebra
from tests.support.graphs import random_config
from tests.support.machine import run_golden
from tests.support.networks import random_network
from zebra.codegen import compile_graph
from zebra.errors import QuantizationError
from zebra.graph.interpret import to_value
from zebra.hw import HwConfig
from zebra.relay import lower, partition
from zebra.runtime.fsim import run_compiled


def run(library: Any, x: np.ndarray) -> list[np.ndarray]:
    """Every output of a built library."""
    executor = graph_executor.GraphModule(library["default"](tvm.cpu()))
    executor.set_input("x", x)
    executor.run()
    return [executor.get_output(i).numpy() for i in range(executor.get_num_outputs())]


def as_target(config: HwConfig, name: str) -> str:
    """Register a configuration under a name of its own, the way a user does."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.json"
        path.write_text(json.dumps(config.to_mapping()))
        return zebra.register_config(path)


def check_golden(quantized: tvm.IRModule, config: HwConfig, rng: np.random.Generator) -> int:
    """Every region's program: golden semantics = fsim on random int8 inputs. Counts regions."""
    module = partition(quantized, config)
    regions = [f for f in module.functions.values() if f.attrs and "Compiler" in f.attrs]
    for function in regions:
        graph = lower(function, config)
        compiled = compile_graph(graph, config)
        arrays = [rng.integers(-128, 128, port.shape).astype(np.int8) for port in compiled.inputs]
        values = {
            port.value: to_value(array, port, graph.node(port.value).shape)
            for port, array in zip(graph.inputs, arrays, strict=True)
        }
        golden = run_golden(compiled, config, values)
        got, _ = run_compiled(compiled, config, arrays)
        for port, array in zip(graph.outputs, got, strict=True):
            np.testing.assert_array_equal(array, golden[port.value])
    return len(regions)


def quantize_or_skip(module: tvm.IRModule, batches: list[np.ndarray], target: str) -> Any:
    """The quantized module; no example is a network that overflows in float, or is empty."""
    try:
        return zebra.quantize(module, calibration=batches, target=target)
    except QuantizationError as error:
        refused = ("NaN or infinite values", "calibrated range is absurd", "without elements")
        assume(not any(reason in str(error) for reason in refused))
        raise


def check(seed: int, size: int) -> None:
    """One random network on one random configuration."""
    rng = np.random.default_rng(seed)
    module, shape = random_network(seed, size)
    config = random_config(rng)
    target = as_target(config, f"random{seed}")
    batches = [rng.standard_normal(shape).astype("float32") for _ in range(2)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantized = quantize_or_skip(module, batches, target)
    x = rng.standard_normal(shape).astype("float32")
    with zebra.exact_reference(), tvm.transform.PassContext(opt_level=2):
        expected = run(relay.build(quantized, target="llvm"), x)
    with tvm.transform.PassContext(opt_level=2):
        got = run(relay.build(quantized, target=target), x)
    for index, (mine, theirs) in enumerate(zip(got, expected, strict=True)):
        np.testing.assert_array_equal(mine, theirs, err_msg=f"seed {seed}, output {index}")
    assert check_golden(quantized, config, rng) > 0


@pytest.mark.parametrize("part", range(6))
@settings(max_examples=10, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**31))
def test_random_networks(part: int, seed: int) -> None:
    check(6 * seed + part, 4)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(20))
@settings(max_examples=50, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**31))
def test_thousand_random_networks(part: int, seed: int) -> None:
    check(20 * seed + part, 8)
