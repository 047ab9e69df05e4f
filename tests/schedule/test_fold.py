"""The first-layer rewrite: the folded graph, its choice, and the programs it gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.graphs import config_of
from zebra.codegen import compile_graph
from zebra.graph import interpret
from zebra.graph import nodes as g
from zebra.graph.check import check
from zebra.hw import HwConfig, find_config
from zebra.isa.insns import Engine
from zebra.runtime.fsim import run_compiled
from zebra.schedule.fold import NO_FOLD, Fold, choices, fold_inputs, fold_weight


def scale(rng: np.random.Generator, k: int) -> g.Scale:
    m = rng.integers(1 << 30, 1 << 31, k, dtype=np.int64) >> 15 << 15
    shift, bias = rng.integers(36, 42, k), rng.integers(-2000, 2000, k)
    return g.Scale(m.astype(np.int32), shift.astype(np.int32), bias.astype(np.int32))


def network(
    shape: g.Shape,
    k: int,
    kernel: tuple[int, int],
    stride: tuple[int, int] = (1, 1),
    pads: g.Pads = (0, 0, 0, 0),
    dilation: tuple[int, int] = (1, 1),
    layout: str = "NCHW",
    pad_value: int = -7,
    groups: int = 1,
    largest: int = 127,
    seed: int = 0,
) -> g.Graph:
    """Input x, one convolution y; ``layout`` "flat" is an NCHW port of rank 2.

    Weights above 127 take two passes.
    """
    rng = np.random.default_rng(seed)
    n, c, h, w = shape
    image = (h, w)
    out = [
        (image[a] + pads[a] + pads[2 + a] - (kernel[a] - 1) * dilation[a] - 1) // stride[a] + 1
        for a in (0, 1)
    ]
    weight = rng.integers(-largest, largest + 1, (k, c // groups, *kernel)).astype(np.int16)
    conv = g.Conv2d(
        "y", ("x",), (n, k, out[0], out[1]), weight, scale(rng, k), g.Finish(3), stride, dilation,
        pads, pad_value, groups,
    )  # fmt: skip
    port = {
        "NCHW": g.Port("x", shape),
        "NHWC": g.Port("x", (n, h, w, c), "NHWC"),
        "flat": g.Port("x", (n, c * h * w)),
    }[layout]
    graph = g.Graph("first", (g.Input("x", (), shape), conv), (port,), (g.Port("y", conv.shape),))
    check(graph)
    return graph


def bytes_of(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-128, 128, shape).astype(np.int8)


@st.composite
def networks(draw: st.DrawFn) -> g.Graph:
    """Any convolution of few channels; a pad may crop."""
    pair = lambda low, high: st.tuples(st.integers(low, high), st.integers(low, high))  # noqa: E731
    kernel, stride, dilation = draw(pair(1, 7)), draw(pair(1, 3)), draw(pair(1, 2))
    pads, image = [0, 0, 0, 0], [0, 0]
    for axis in (0, 1):
        reach = (kernel[axis] - 1) * dilation[axis] + 1
        image[axis] = draw(st.integers(1, 14))
        pads[axis] = draw(st.integers(1 - image[axis] if image[axis] > 9 else 0, 4))
        least = reach - image[axis] - pads[axis]
        pads[2 + axis] = draw(st.integers(max(least, -1), max(least, -1) + 4))
    shape = (draw(st.integers(1, 2)), draw(st.integers(1, 8)), image[0], image[1])
    layout = draw(st.sampled_from(["NCHW", "NHWC", "flat"]))
    return network(
        shape, draw(st.integers(1, 20)), kernel, stride, (pads[0], pads[1], pads[2], pads[3]),
        dilation, layout, draw(st.integers(-128, 127)), largest=draw(st.sampled_from([127, 250])),
        seed=draw(st.integers(0, 999)),
    )  # fmt: skip


@settings(max_examples=150, deadline=None, derandomize=True)
@given(graph=networks(), seed=st.integers(0, 999))
def test_every_choice_computes_the_convolution(graph: g.Graph, seed: int) -> None:
    image, conv = graph.nodes
    assert isinstance(conv, g.Conv2d)
    x = bytes_of(image.shape, seed)
    (expected,) = interpret.run(graph, {"x": x}).values()
    for fold, folded in choices(image, conv):
        small = replace(image, shape=fold.folded(image.shape))
        rewritten = replace(
            graph, nodes=(small, folded), inputs=(g.Port("x", small.shape),), name=str(fold)
        )
        check(rewritten)
        (got,) = interpret.run(rewritten, {"x": fold.apply(x)}).values()
        np.testing.assert_array_equal(got, expected, err_msg=str(fold))


@settings(max_examples=120, deadline=None, derandomize=True)
@given(
    graph=networks(),
    block_log=st.sampled_from([2, 3, 4, 6]),
    rows_log=st.integers(0, 3),
    seed=st.integers(0, 999),
)
def test_the_program_equals_the_interpreter(
    graph: g.Graph, block_log: int, rows_log: int, seed: int
) -> None:
    x = bytes_of(graph.inputs[0].shape, seed)
    expected = interpret.call(graph, [x])
    config = config_of(block_log, rows_log)
    got, _ = run_compiled(compile_graph(graph, config), config, [x])
    np.testing.assert_array_equal(got[0], expected[0])


def test_a_fold_puts_each_pixel_where_it_says() -> None:
    fold = Fold((2, 3), (2, 1), (1, 2), (1, -1, 2, 3), -9)
    x = bytes_of((2, 3, 4, 5), 1)
    folded = fold.apply(x)
    assert folded.shape == fold.folded(x.shape) == (2, 18, 3, 3)
    for n, channel, h, w in np.ndindex(*folded.shape):
        tap, c = divmod(channel, 3)
        row, column = h * 2 + tap // 3 - 1, w + tap % 3 * 2 + 1
        inside = 0 <= row < 4 and 0 <= column < 5
        assert folded[n, channel, h, w] == (x[n, c, row, column] if inside else -9)


def test_no_fold_changes_nothing() -> None:
    x = bytes_of((2, 3, 4, 5), 1)
    assert (NO_FOLD.apply(x) == x).all()


def test_rows_of_the_kernel_that_are_missing_weigh_nothing() -> None:
    weight = np.arange(1, 22, dtype=np.int16).reshape(1, 1, 7, 3)
    folded = fold_weight(weight, 2)
    assert folded.shape == (1, 6, 4, 1)
    assert folded[0, :, :, 0].T.reshape(8, 3)[:7].tolist() == weight[0, 0].tolist()
    assert not folded[0, 3:, 3].any()


STEM = network((1, 3, 32, 32), 64, (7, 7), (2, 2), (3, 3, 3, 3))
ZEBRA = find_config("zebra")
CHOSEN: dict[str, tuple[g.Graph, HwConfig, tuple[int, int]]] = {
    # Of four blocks of outputs a pixel takes 40, 48 or 56 cycles, and its 10 vectors 20.
    "whole-kernel": (STEM, ZEBRA, (7, 7)),
    # Of one block 10, 12 or 14 cycles, but 10 vectors take 20 to load.
    "stride": (network((1, 3, 32, 32), 16, (7, 7), (2, 2), (3, 3, 3, 3)), ZEBRA, (2, 7)),
    "columns": (network((1, 3, 32, 32), 16, (3, 3), pads=(1, 1, 1, 1)), ZEBRA, (1, 3)),
    "3x3": (network((1, 3, 32, 32), 32, (3, 3), pads=(1, 1, 1, 1)), ZEBRA, (3, 3)),
    "one-row": (network((1, 1, 1, 64), 8, (1, 16)), ZEBRA, (1, 16)),
    "half-full": (network((1, 8, 9, 9), 16, (3, 3)), ZEBRA, (1, 1)),
    "one-tap": (network((1, 3, 9, 9), 16, (1, 1)), ZEBRA, (1, 1)),
    "groups": (network((1, 2, 9, 9), 4, (3, 3), groups=2), ZEBRA, (1, 1)),
    "memory-bound": (
        network((1, 3, 32, 32), 16, (3, 3), pads=(1, 1, 1, 1)),
        config_of(4, 4, DRAM_BYTES_PER_CYCLE=1),
        (1, 1),
    ),
}


@pytest.mark.parametrize("name", CHOSEN)
def test_the_cheapest_fold_is_chosen(name: str) -> None:
    graph, config, taps = CHOSEN[name]
    folded, (fold,) = fold_inputs(graph, config)
    assert fold.taps == taps
    check(folded)
    if taps == (1, 1):
        assert (fold, folded.nodes) == (NO_FOLD, graph.nodes)


def test_the_array_does_the_steps_of_the_folded_kernel() -> None:
    x = bytes_of((1, 3, 32, 32), 2)
    (got,), counters = run_compiled(compile_graph(STEM, ZEBRA), ZEBRA, [x])
    assert counters.iterations[Engine.GEMM] == 16 * 16 * 4 * 10
    np.testing.assert_array_equal(got, interpret.call(STEM, [x])[0])


def read_twice(graph: g.Graph) -> g.Graph:
    table = g.Table("t", ("x",), graph.nodes[0].shape, np.arange(256).astype(np.int8))
    return replace(
        graph,
        nodes=(*graph.nodes, table),
        outputs=(*graph.outputs, g.Port("t", table.shape)),
    )


def exposed(graph: g.Graph) -> g.Graph:
    return replace(graph, outputs=(*graph.outputs, g.Port("x", graph.nodes[0].shape)))


def read_by_a_table(graph: g.Graph) -> g.Graph:
    table = g.Table("t", ("x",), graph.nodes[0].shape, np.arange(256).astype(np.int8))
    conv = replace(graph.nodes[1], inputs=("t",))
    return replace(graph, nodes=(graph.nodes[0], table, conv))


@pytest.mark.parametrize("change", [read_twice, exposed, read_by_a_table])
def test_an_input_with_another_use_stays(change: Callable[[g.Graph], g.Graph]) -> None:
    graph = change(STEM)
    folded, folds = fold_inputs(graph, ZEBRA)
    assert folds == (NO_FOLD,)
    assert folded.nodes == graph.nodes
    assert folded.inputs == graph.inputs


def test_each_input_has_its_own_fold() -> None:
    other = network((1, 20, 9, 9), 16, (3, 3))
    renamed = (g.Input("x2", (), (1, 20, 9, 9)), replace(other.nodes[1], name="y2", inputs=("x2",)))
    graph = g.Graph(
        "two",
        (*renamed, *STEM.nodes),
        (g.Port("x2", (1, 9, 9, 20), "NHWC"), *STEM.inputs),
        (g.Port("y2", renamed[1].shape), *STEM.outputs),
    )
    folded, folds = fold_inputs(graph, ZEBRA)
    assert [fold.taps for fold in folds] == [(1, 1), (7, 7)]
    assert folded.inputs == (graph.inputs[0], g.Port("x", (1, 147, 16, 16)))
    arrays = [bytes_of(port.shape, 5) for port in graph.inputs]
    got, _ = run_compiled(compile_graph(graph, ZEBRA), ZEBRA, arrays)
    for value, expected in zip(got, interpret.call(graph, arrays), strict=True):
        np.testing.assert_array_equal(value, expected)
