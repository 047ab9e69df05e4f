"""What the driver does of a region's last operators, and that results stay the same."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.graphs import GraphBuilder, config_of
from tests.support.machine import run_golden
from zebra.codegen import compile_graph
from zebra.graph import interpret
from zebra.graph import nodes as g
from zebra.hw import find_config
from zebra.runtime.fsim import run_compiled
from zebra.schedule.plan import plan
from zebra.schedule.scatter import Piece, scatter_outputs

CONFIG = find_config("zebra")
SMALL = config_of(2)


class TailBuilder(GraphBuilder):
    """Graphs that end in what the driver can do."""

    def phases(self, name: str, x: g.Node) -> g.Node:
        """A transposed convolution whose kernel is its stride."""
        stride, k = (self.number(1, 3), self.number(1, 3)), self.number(1, 9)
        n, c, h, w = x.shape
        weight = self.array((k, c, *stride)).astype(np.int16)
        node = g.ConvTranspose2d(
            name, (x.name,), (n, k, h * stride[0], w * stride[1]), weight,
            self.scale(self.rng.choice([1, k])), self.finish(), stride, (0, 0, 0, 0), 1,
            self.number(-128, 127),
        )  # fmt: skip
        self.add(node)
        return node

    def tail(self, name: str, x: g.Node) -> g.Node:
        """One of the operators on ``x``."""
        kind = self.number(0, 2)
        if kind == 0:
            return self.phases(name, x)
        getattr(self, "relayout" if kind == 1 else "concat")(name, x)
        return self.nodes[-1]


def random_tail(seed: int) -> g.Graph:
    """One to three such operators on an input, or on a convolution of it; one or two outputs."""
    build = TailBuilder(seed)
    x: g.Node = build.nodes[0]
    if build.number(0, 1):
        x = build.pointwise("conv", x, build.number(1, 9))
        build.add(x)
    for number in range(build.number(1, 3)):
        x = build.tail(f"t{number}", x)
    names = {x.name, build.nodes[build.number(0, len(build.nodes) - 1)].name}
    outputs = []
    for node in build.nodes:
        if node.name in names and not isinstance(node, g.Input):
            n, c, h, w = node.shape
            nhwc = build.number(0, 1)
            outputs.append(
                g.Port(node.name, (n, h, w, c), "NHWC")
                if nhwc
                else g.Port(node.name, (n * c, h * w))
            )
    return g.Graph("tail", tuple(build.nodes), (g.Port("x0", build.nodes[0].shape),), (*outputs,))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**31))
def test_results_stay_the_same(seed: int) -> None:
    graph = random_tail(seed)
    if math.prod(graph.nodes[-1].shape) > 20000:
        return
    rng = np.random.default_rng(seed)
    x = rng.integers(-128, 128, graph.nodes[0].shape).astype(np.int8)
    expected = interpret.call(graph, [x])
    compiled = compile_graph(graph, SMALL)
    golden = run_golden(compiled, SMALL, {"x0": x})
    driven, _ = run_compiled(compiled, SMALL, [x])
    for port, array, right in zip(graph.outputs, driven, expected, strict=True):
        np.testing.assert_array_equal(golden[port.value], right)
        np.testing.assert_array_equal(array, right)


def conv(name: str, x: g.Node, k: int) -> g.Conv2d:
    """A 1x1 convolution."""
    n, c, h, w = x.shape
    weight = np.ones((k, c, 1, 1), np.int16)
    scale = g.Scale(np.array([1 << 30]), np.array([36]))
    return g.Conv2d(name, (x.name,), (n, k, h, w), weight, scale, g.Finish())


def transposed(name: str, x: g.Node, k: int, stride: int = 2) -> g.ConvTranspose2d:
    """A transposed convolution whose kernel is its stride."""
    n, c, h, w = x.shape
    weight = np.arange(k * c * stride**2, dtype=np.int16).reshape(k, c, stride, stride) % 100
    scale = g.Scale(np.array([1 << 30]), np.array([36]))
    return g.ConvTranspose2d(
        name, (x.name,), (n, k, h * stride, w * stride), weight, scale, g.Finish(), (stride, stride)
    )


def detector() -> g.Graph:
    """Two heads whose pixels are rows of one table, as detectors have them."""
    x = g.Input("x", (), (1, 16, 4, 4))
    far = g.Pool(
        "far", ("x",), (1, 16, 2, 2), g.PoolKind.MAX, ((0, 2), (2, 2)), ((0, 2), (2, 2)), g.Finish()
    )
    heads = conv("a", x, 20), conv("b", far, 20)
    rows = tuple(
        g.Relayout(
            f"{h.name}.rows", (h.name,), (1, 2 * h.shape[2] * h.shape[3], 10, 1), h.shape,
            (0, 2, 3, 1),
        )
        for h in heads
    )  # fmt: skip
    both = g.Concat("y", tuple(r.name for r in rows), (1, 40, 10, 1), 1)
    return g.Graph(
        "detector",
        (x, far, *heads, *rows, both),
        (g.Port("x", x.shape),),
        (g.Port("y", (1, 40, 10)),),
    )


def test_rows_of_a_table_need_no_layer() -> None:
    scattered = scatter_outputs(detector(), CONFIG)
    assert [node.name for node in scattered.graph.nodes] == ["x", "far", "a", "b"]
    assert scattered.outputs == (
        (
            Piece("a", 20, 0, (1, 20, 4, 4), 0, (320, 1, 80, 20)),
            Piece("b", 20, 0, (1, 20, 2, 2), 320, (80, 1, 40, 20)),
        ),
    )


def up_twice(outer: int, k: int = 3) -> g.Graph:
    """A transposed convolution to ``k`` channels and one to ``outer``."""
    x = g.Input("x", (), (1, 24, 5, 5))
    up = transposed("up", x, k)
    y = transposed("y", up, outer)
    return g.Graph("up", (x, up, y), (g.Port("x", x.shape),), (g.Port("y", y.shape),))


def test_phases_of_transposed_convolutions_are_channels() -> None:
    scattered = scatter_outputs(up_twice(1), CONFIG)
    _, up, y = scattered.graph.nodes
    assert (up.shape, y.shape) == ((1, 12, 5, 5), (1, 16, 5, 5))
    assert [piece.offset for piece in scattered.outputs[0]] == [
        20 * row + column for row, column in [(0, 0), (0, 1), (1, 0), (1, 1), (0, 2), (0, 3),
        (1, 2), (1, 3), (2, 0), (2, 1), (3, 0), (3, 1), (2, 2), (2, 3), (3, 2), (3, 3)]
    ]  # fmt: skip
    assert {piece.strides for piece in scattered.outputs[0]} == {(400, 400, 80, 4)}
    assert scattered.macs == {"up": 25 * 24 * 3 * 4, "y": 100 * 3 * 4}
    macs = {layer.name: layer.macs for layer in plan(up_twice(1), CONFIG).layers}
    assert sum(macs.values()) == sum(scattered.macs.values())


def test_phases_are_not_joined_where_that_takes_longer() -> None:
    scattered = scatter_outputs(up_twice(64, 64), CONFIG)
    assert [node.shape[1] for node in scattered.graph.nodes] == [24, 64, 256]


def test_a_transposed_convolution_that_others_read_stays() -> None:
    graph = up_twice(1)
    graph = replace(graph, outputs=(*graph.outputs, g.Port("up", graph.nodes[1].shape)))
    scattered = scatter_outputs(graph, CONFIG)
    assert isinstance(scattered.graph.nodes[1], g.ConvTranspose2d)
    assert [piece.value for piece in scattered.outputs[1]] == ["up"]


@pytest.mark.parametrize("source", [(1, 4, 3, 2, 2), (1, 2, 2, 12)])
def test_a_permutation_that_takes_an_axis_apart_stays(source: tuple[int, ...]) -> None:
    x = g.Input("x", (), (1, 4, 3, 4))
    order = tuple(reversed(range(len(source))))
    y = g.Relayout("y", ("x",), (48, 1, 1, 1), source, order)
    graph = g.Graph("g", (x, y), (g.Port("x", x.shape),), (g.Port("y", (48,)),))
    scattered = scatter_outputs(graph, CONFIG)
    assert [piece.value for piece in scattered.outputs[0]] == ["y"]
