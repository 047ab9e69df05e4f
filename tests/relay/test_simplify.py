"""Simplifying passes compute the same float function, in fewer kinds of operators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from tests.support.quantizing import (
    Array,
    Weights,
    module,
    pictures,
    run,
    simplified,
)
from tvm import relay

from zebra.relay.quantizer.rewriting import Expr, op_name, post_order

IMAGE = (2, 6, 8, 8)


@dataclass(frozen=True)
class Case:
    """A float network and the operators it is left with."""

    name: str
    build: Callable[[Expr, Weights], Expr]
    left: tuple[str, ...]
    shape: tuple[int, ...] = IMAGE


def partial_norm(x: Expr, w: Weights) -> Expr:
    norm = relay.nn.batch_norm(
        x, w(6), w(6), w(6), w(6, low=0.5, high=2.0), center=False, scale=False, epsilon=0.1
    )
    return norm[0]


def channels_last(x: Expr, w: Weights) -> Expr:
    conv = relay.nn.conv2d(
        x, w(3, 3, 6, 4), channels=4, kernel_size=(3, 3), data_layout="NHWC", kernel_layout="HWIO"
    )
    return relay.nn.relu(w.batch_norm(conv, 4, axis=3))


def transposed(x: Expr, w: Weights, groups: int) -> Expr:
    conv = relay.nn.conv2d_transpose(
        x, w(6, 4 // groups, 2, 2), channels=4, kernel_size=(2, 2), groups=groups
    )
    return w.batch_norm(conv, 4)


def two_readers(x: Expr, w: Weights) -> Expr:
    conv = w.conv(x, 6, 4)
    return relay.tanh(conv) + w.batch_norm(conv, 4)


def resize(method: str, mode: str, rounding: str, factor: int) -> Case:
    def build(x: Expr, _: Weights) -> Expr:
        return relay.image.resize2d(
            x,
            (8 * factor, 8 * factor),
            method=method,
            coordinate_transformation_mode=mode,
            rounding_method=rounding,
        )

    repeats = (mode, rounding) not in (("align_corners", "floor"), ("half_pixel", "floor"))
    repeats = repeats and method == "nearest_neighbor"
    left = "nn.upsampling" if repeats else "image.resize2d"
    return Case(f"resize {method} {mode} {rounding} x{factor}", build, (left,))


CASES = (
    Case("norm after conv", lambda x, w: w.batch_norm(w.conv(x, 6, 4), 4), ("nn.conv2d", "add")),
    Case("norm without centre and scale", partial_norm, ("nn.conv2d", "add")),
    Case(
        "norm of the input",
        lambda x, w: w.conv(w.batch_norm(x, 6), 6, 4),
        ("multiply", "add", "nn.conv2d"),
    ),
    Case(
        "norm before conv",
        lambda x, w: w.conv(w.batch_norm(relay.tanh(x), 6), 6, 4),
        ("tanh", "nn.conv2d", "add"),
    ),
    Case("norm beside another reader", two_readers, ("nn.conv2d", "add", "tanh")),
    Case(
        "dropout and scalars",
        lambda x, w: relay.nn.dropout(relay.const(1.0) - w.conv(x, 6, 4) / relay.const(4.0)),
        ("nn.conv2d", "add"),
    ),
    Case("norm after transposed", lambda x, w: transposed(x, w, 1), ("nn.conv2d_transpose", "add")),
    Case("norm after grouped", lambda x, w: transposed(x, w, 2), ("nn.conv2d_transpose", "add")),
    Case(
        "norm after dense",
        lambda x, w: w.batch_norm(relay.nn.dense(x, w(4, 6)), 4),
        ("nn.dense", "add"),
        (2, 6),
    ),
    Case(
        "channels last", channels_last, ("transpose", "nn.conv2d", "add", "nn.relu"), (2, 8, 8, 6)
    ),
    Case(
        "explicit padding",
        lambda x, w: w.conv(relay.nn.pad(x, ((0, 0), (0, 0), (1, 0), (0, 2))), 6, 4),
        ("nn.conv2d",),
    ),
    Case("mean", lambda x, w: relay.mean(x, [-1, 2]), ("nn.global_avg_pool2d", "squeeze")),
    Case("mean of one axis", lambda x, w: relay.mean(x, 2), ("mean",)),
    Case(
        "split",
        lambda x, w: relay.split(x, [2, 3], 1)[1] * relay.const(2.0),
        ("strided_slice", "multiply"),
    ),
    Case("matmul", lambda x, w: relay.nn.matmul(x, w(6, 4)), ("nn.dense",), (2, 6)),
    Case(
        "prelu",
        lambda x, w: relay.nn.prelu(x, w(6)),
        ("nn.relu", "minimum", "nn.conv2d", "add"),
    ),
    Case(
        "prelu of one slope",
        lambda x, w: relay.nn.prelu(x, relay.const(np.full(6, 0.25, np.float32))),
        ("nn.leaky_relu",),
    ),
    resize("nearest_neighbor", "asymmetric", "floor", 2),
    resize("nearest_neighbor", "half_pixel", "round_prefer_ceil", 2),
    resize("nearest_neighbor", "half_pixel", "round", 3),
    resize("nearest_neighbor", "half_pixel", "floor", 2),
    resize("nearest_neighbor", "align_corners", "floor", 2),
    resize("linear", "half_pixel", "round", 2),
)


@dataclass(frozen=True)
class Outcome:
    """One case's outputs before and after, and the operators after."""

    before: Array
    after: Array
    left: frozenset[str]


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    """All cases side by side in one network: compiling each alone takes minutes."""
    inputs = [relay.var(f"x{i}", shape=case.shape) for i, case in enumerate(CASES)]
    mod = module(*(case.build(x, Weights()) for case, x in zip(CASES, inputs)))
    after = simplified(mod)
    batch = pictures(mod, 1)
    left = [
        frozenset(name for node in post_order(field) if (name := op_name(node)))
        for field in after["main"].body.fields
    ]
    return [Outcome(*found) for found in zip(run(mod, batch)[0], run(after, batch)[0], left)]


@pytest.mark.parametrize("number", range(len(CASES)), ids=[case.name for case in CASES])
def test_same_function_of_fewer_operators(number: int, outcomes: list[Outcome]) -> None:
    outcome = outcomes[number]
    assert outcome.left == set(CASES[number].left)
    np.testing.assert_allclose(outcome.after, outcome.before, rtol=1e-4, atol=1e-4)
