"""Which layers are joined, and that joining leaves the values others read."""

from __future__ import annotations

import numpy as np
import pytest

from zebra.graph import nodes as g
from zebra.hw import HwConfig, find_config
from zebra.schedule import plan
from zebra.schedule.layers import AccumLayer, BinaryLayer, FusedLayer, GemmLayer, Layer

CONFIG = find_config("zebra")
pytestmark = pytest.mark.usefixtures("no_chains")
RNG = np.random.default_rng(0)


def scale(channels: int) -> g.Scale:
    multiplier = np.full(channels, 1 << 30, np.int32)
    return g.Scale(multiplier, np.full(channels, 36, np.int32))


def conv(name: str, x: g.Node, k: int, kernel: int = 1, groups: int = 1, stride: int = 1) -> g.Node:
    """A "same" convolution."""
    n, c, h, w = x.shape
    weight = RNG.integers(-9, 9, (k, c // groups, kernel, kernel)).astype(np.int16)
    pad = kernel // 2
    shape = (n, k, -(-h // stride), -(-w // stride))
    return g.Conv2d(
        name, (x.name,), shape, weight, scale(k), g.Finish(),
        (stride, stride), (1, 1), (pad, pad, pad, pad), 0, groups,
    )  # fmt: skip


def add(name: str, a: g.Node, b: g.Node) -> g.Node:
    return g.Binary(
        name, (a.name, b.name), a.shape, g.BinaryKind.ADD, scale(1), scale(1), g.Finish()
    )


def layers(*nodes: g.Node, outputs: tuple[str, ...] = (), config: HwConfig = CONFIG) -> list[Layer]:
    ports = tuple(
        g.Port(node.name, node.shape)
        for node in nodes
        if node.name in (outputs or (nodes[-1].name,))
    )
    graph = g.Graph("test", nodes, (g.Port("x", nodes[0].shape),), ports)
    return list(plan(graph, config).layers)


X = g.Input("x", (), (1, 32, 14, 14))


def test_a_residual_addition_joins_the_later_convolution() -> None:
    first, second = conv("a", X, 32, 3), conv("b", X, 32, 3)
    made = layers(X, first, second, add("sum", first, second))
    assert [type(layer) for layer in made] == [GemmLayer, FusedLayer]
    assert isinstance(made[1], FusedLayer)
    assert (made[1].gemm.name, made[1].out.buffer) == ("b", "sum")


def test_a_value_with_another_reader_is_stored() -> None:
    middle = conv("a", X, 32, 3)
    made = layers(X, middle, add("sum", middle, X), conv("c", middle, 32, 3), outputs=("sum", "c"))
    assert [type(layer) for layer in made] == [GemmLayer, BinaryLayer, GemmLayer]


def test_an_output_is_stored() -> None:
    middle = conv("a", X, 32, 3)
    made = layers(X, middle, add("sum", middle, X), outputs=("a", "sum"))
    assert [type(layer) for layer in made] == [GemmLayer, BinaryLayer]


def test_an_inverted_residual_is_one_layer() -> None:
    wide = conv("expand", X, 96)
    deep = conv("depthwise", wide, 96, 3, groups=96)
    thin = conv("project", deep, 32)
    (made,) = layers(X, wide, deep, thin, add("sum", thin, X))
    assert isinstance(made, FusedLayer)
    assert made.first is not None
    assert made.first.name == "expand"
    assert isinstance(made.before, AccumLayer)
    assert made.after is not None
    macs = 196 * 32 * 96 * 2 + 196 * 96 * 9
    assert (made.macs, made.vec_macs) == (macs, 196 * 96 * 9)


def test_only_pointwise_convolutions_compute_their_input() -> None:
    deep = conv("depthwise", X, 32, 3, groups=32)
    made = layers(X, deep, conv("b", deep, 32, 3))
    assert [type(layer) for layer in made] == [AccumLayer, GemmLayer]


@pytest.mark.parametrize("par", [9, 10])
def test_without_room_for_parameters_layers_stay_apart(par: int) -> None:
    config = HwConfig.from_mapping("small", dict(CONFIG.values) | {"LOG_PAR_BUFF_SIZE": par})
    deep = conv("depthwise", X, 32, 3, groups=32)
    made = layers(X, deep, conv("project", deep, 32), config=config)
    assert FusedLayer not in [type(layer) for layer in made]
