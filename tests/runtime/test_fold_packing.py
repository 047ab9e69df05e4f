"""Both drivers pack a folded input as Fold.apply says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tvm
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.support.artifacts import folded_artifact, output_port
from tests.support.graphs import config_of

from zebra.artifact import Artifact
from zebra.errors import InputError
from zebra.hw import HwConfig
from zebra.plugin.codegen import runtime_module
from zebra.runtime.fsim import run_compiled
from zebra.schedule.fold import Fold

Shape = tuple[int, int, int, int]


def pairs(high: int) -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(st.integers(1, high), st.integers(1, high))


FOLDS = st.builds(
    Fold,
    pairs(6),
    pairs(3),
    st.sampled_from([(1, 1), (2, 1), (1, 2), (3, 2)]),
    st.tuples(*[st.integers(-3, 6)] * 4),
    st.integers(-128, 127),
)


def wide_config(block_log: int) -> HwConfig:
    """Blocks of 2**block_log lanes and an ACT that holds any value here."""
    return config_of(block_log, LOG_ACT_BUFF_SIZE=18 + block_log, LOG_WGT_BUFF_SIZE=20)


def check_drivers(artifact: Artifact) -> None:
    """The program copies its packed input to its output."""
    (port,) = artifact.compiled.inputs
    x = np.random.default_rng(7).integers(-128, 128, port.shape).astype(np.int8)
    expected = port.fold.apply(x.transpose(0, 3, 1, 2) if port.layout == "NHWC" else x)
    (got,), _ = run_compiled(artifact.compiled, artifact.config, [x])
    np.testing.assert_array_equal(got, expected)
    y = tvm.nd.empty(expected.shape, "int8")
    runtime_module("folded", artifact.to_bytes())["folded"](tvm.nd.array(x), y)
    np.testing.assert_array_equal(y.numpy(), expected)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    dims=st.tuples(st.integers(1, 2), st.integers(1, 8), st.integers(1, 9), st.integers(1, 9)),
    fold=FOLDS,
    layout=st.sampled_from(["NCHW", "NHWC"]),
    block_log=st.integers(2, 7),
)
def test_any_fold(dims: Shape, fold: Fold, layout: str, block_log: int) -> None:
    assume(min(fold.folded(dims)) > 0)
    check_drivers(folded_artifact(dims, fold, layout, wide_config(block_log)))


KERNELS: dict[str, tuple[Shape, Fold]] = {
    "7x7": ((1, 3, 24, 20), Fold((7, 7), (2, 2), (1, 1), (3, 3, 3, 3), 5)),
    "stride": ((1, 3, 24, 20), Fold((2, 7), (2, 2), (1, 1), (3, 3, 3, 3), 5)),
    "3x3": ((2, 3, 9, 11), Fold((3, 3), (1, 1), (1, 1), (1, 1, 1, 1), -128)),
    "dilated": ((1, 3, 15, 16), Fold((3, 3), (1, 1), (2, 2), (2, 2, 2, 2), 1)),
    "one-pixel": ((1, 3, 1, 1), Fold((3, 3), (2, 2), (1, 1), (1, 1, 1, 1), 9)),
    "only-padding": ((1, 1, 1, 1), Fold((1, 1), (1, 1), (1, 1), (-1, -2, 2, 4), 9)),
}


@pytest.mark.parametrize("block_log", [2, 3, 4, 6])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("name", KERNELS)
def test_kernels(name: str, layout: str, block_log: int) -> None:
    dims, fold = KERNELS[name]
    check_drivers(folded_artifact(dims, fold, layout, wide_config(block_log)))


def test_padding_lanes_are_zero() -> None:
    artifact = folded_artifact()
    (source,), (target,) = artifact.compiled.inputs, artifact.compiled.outputs
    # Seen with all 16 lanes, the output shows what was packed behind the 12 channels.
    n, _, h, w = target.shape
    whole = (n, 16, h, w)
    artifact = Artifact(
        artifact.config,
        replace(artifact.compiled, outputs=(output_port("y", whole, *target.addresses),)),
    )
    x = np.full(source.shape, 77, np.int8)
    (got,), _ = run_compiled(artifact.compiled, artifact.config, [x])
    y = tvm.nd.empty(whole, "int8")
    runtime_module("folded", artifact.to_bytes())["folded"](tvm.nd.array(x), y)
    for value in (got, y.numpy()):
        assert (value[:, :12] != 0).all()
        assert (value[:, 12:] == 0).all()


def test_the_caller_still_gives_the_unfolded_shape() -> None:
    artifact = folded_artifact()
    with pytest.raises(InputError, match=r"needs int8 of shape \(1, 4, 5, 2\)"):
        run_compiled(artifact.compiled, artifact.config, [np.zeros((1, 12, 2, 5), np.int8)])
