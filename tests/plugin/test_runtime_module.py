"""The runtime module alone: packing, checks, concurrency, counters."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tvm
from tests.support.artifacts import copy_artifact
from tests.support.regions import NEGATE, negation_graph
from tvm._ffi.runtime_ctypes import TVMArray

from zebra import find_regions
from zebra.artifact import Artifact
from zebra.codegen.generate import compile_graph
from zebra.errors import InputError, TokenError
from zebra.hw import find_config
from zebra.plugin.codegen import runtime_module


def negation(shape: tuple[int, ...], layout: str = "NCHW", config: str = "zebra") -> Any:
    hw = find_config(config)
    artifact = Artifact(hw, compile_graph(negation_graph(shape, layout), hw))
    return runtime_module("negation", artifact.to_bytes())


def run(module: Any, x: np.ndarray) -> np.ndarray:
    y = tvm.nd.empty(x.shape, "int8")
    module["negation"](tvm.nd.array(x), y)
    return y.numpy()


@pytest.mark.parametrize("config", ["zebra", "kv260"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize(
    "shape",
    [(1, 1, 1, 1), (1, 3, 8, 8), (2, 16, 5, 7), (1, 33, 9, 9), (3, 130, 1, 1)],
    ids=lambda shape: "x".join(map(str, shape)),
)
def test_packing_is_undone(shape: tuple[int, ...], layout: str, config: str) -> None:
    x = np.random.default_rng(1).integers(-128, 128, shape).astype(np.int8)
    np.testing.assert_array_equal(run(negation(shape, layout, config), x), NEGATE[x.view(np.uint8)])


def test_input_and_output_may_have_different_layouts() -> None:
    x = np.arange(6, dtype=np.int8).reshape(1, 3, 1, 2)
    y = tvm.nd.empty((1, 1, 2, 3), "int8")
    runtime_module("copy", copy_artifact().to_bytes())["copy"](tvm.nd.array(x), y)
    np.testing.assert_array_equal(y.numpy(), x.transpose(0, 2, 3, 1))


def strided(x: np.ndarray) -> Any:
    """A tensor that looks at every second element of its memory's rows."""
    whole = tvm.nd.array(x)
    view = TVMArray.from_buffer_copy(whole.handle.contents)
    strides = (ctypes.c_int64 * x.ndim)(*(2 * stride for stride in x.strides))
    view.strides = ctypes.cast(strides, ctypes.POINTER(ctypes.c_int64))
    tensor = tvm.nd.NDArray(ctypes.pointer(view), is_view=True)
    tensor.kept = whole, view, strides
    return tensor


@pytest.mark.parametrize(
    ("make", "text"),
    [
        pytest.param(
            lambda x: tvm.nd.array(x.astype(np.float32)),
            "negation: tensor x has dtype float32; give an int8 array",
            id="dtype",
        ),
        pytest.param(
            lambda x: tvm.nd.array(x.reshape(1, 2, 3, 2)),
            "negation: tensor x has shape (1, 2, 3, 2); give (1, 3, 2, 2)",
            id="shape",
        ),
        pytest.param(
            lambda x: tvm.nd.array(x.ravel()),
            "negation: tensor x has shape (12); give (1, 3, 2, 2)",
            id="rank",
        ),
        pytest.param(
            strided,
            "negation: tensor x is not contiguous; give a compact row-major array",
            id="strides",
        ),
        pytest.param(
            lambda x: 3, "negation: tensor x is not a tensor; give an int8 array", id="number"
        ),
    ],
)
def test_a_wrong_tensor_is_an_input_error(make: Callable[[np.ndarray], Any], text: str) -> None:
    shape = (1, 3, 2, 2)
    module = negation(shape)
    with pytest.raises(InputError) as caught:
        module["negation"](make(np.zeros(shape, np.int8)), tvm.nd.empty(shape, "int8"))
    assert str(caught.value) == text


def test_a_wrong_number_of_tensors_is_an_input_error() -> None:
    with pytest.raises(InputError, match=r"1 tensors were given; give 1 inputs and 1 outputs"):
        negation((1, 3, 2, 2))["negation"](tvm.nd.empty((1, 3, 2, 2), "int8"))


def test_an_error_of_the_machine_keeps_its_class_and_names_the_region() -> None:
    sample = copy_artifact()
    program = replace(sample.compiled.program, code=sample.compiled.program.code[64:])
    broken = Artifact(sample.config, replace(sample.compiled, program=program, layers=()))
    module = runtime_module("copy", broken.to_bytes())
    with pytest.raises(TokenError, match=r"^copy: instruction 0"):
        module["copy"](tvm.nd.empty((1, 3, 1, 2), "int8"), tvm.nd.empty((1, 1, 2, 3), "int8"))


def test_four_threads_at_once() -> None:
    shape = (1, 20, 9, 9)
    module = negation(shape)
    rng = np.random.default_rng(3)
    batches = [rng.integers(-128, 128, shape).astype(np.int8) for _ in range(48)]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda x: run(module, x), batches))
    for x, y in zip(batches, results):
        np.testing.assert_array_equal(y, NEGATE[x.view(np.uint8)])
    assert find_regions(module)[0].counters()["calls"] == 48


def test_counters_add_up() -> None:
    module = negation((1, 3, 8, 8))
    (region,) = find_regions(module)
    assert region.name == "negation"
    assert region.counters()["calls"] == 0
    run(module, np.zeros((1, 3, 8, 8), np.int8))
    once = region.counters()
    run(module, np.zeros((1, 3, 8, 8), np.int8))
    twice = region.counters()
    assert once["calls"] == 1
    assert sum(once["instructions"]) == len(region.artifact().compiled.program.code) // 64
    assert once["dram_written_bytes"] >= 3 * 64
    for key in ("instructions", "iterations"):
        assert twice[key] == [2 * value for value in once[key]]
    for key in ("dram_read_bytes", "dram_written_bytes", "macs"):
        assert twice[key] == 2 * once[key]


def test_the_module_gives_its_artifact_back() -> None:
    artifact = copy_artifact()
    (region,) = find_regions(runtime_module("copy", artifact.to_bytes()))
    assert region.artifact() == artifact
