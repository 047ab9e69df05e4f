"""Which layers run as a chain of stripes, and what then stays on chip."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from zebra.codegen import compile_graph
from zebra.graph import interpret
from zebra.graph import nodes as g
from zebra.hw import HwConfig, find_config
from zebra.isa.insns import Engine
from zebra.runtime.cycle import Spent, simulate
from zebra.runtime.fsim import run_compiled
from zebra.schedule import plan
from zebra.schedule.layers import ChainLayer, Layer
from zebra.schedule.plan import Schedule

CONFIG = find_config("zebra")
RNG = np.random.default_rng(0)
X = g.Input("x", (), (1, 64, 28, 28))


def scale(channels: int) -> g.Scale:
    multiplier = np.full(channels, 1 << 30, np.int32)
    return g.Scale(multiplier, np.full(channels, 38, np.int32))


def conv(name: str, x: g.Node, k: int, kernel: int = 3, groups: int = 1) -> g.Conv2d:
    """A "same" convolution."""
    n, c, h, w = x.shape
    weight = RNG.integers(-9, 9, (k, c // groups, kernel, kernel)).astype(np.int16)
    pad = kernel // 2
    return g.Conv2d(
        name, (x.name,), (n, k, h, w), weight, scale(k), g.Finish(), pads=(pad,) * 4, groups=groups
    )


def pool(name: str, x: g.Node) -> g.Pool:
    n, c, h, w = x.shape
    rows, columns = (tuple((2 * o, 2) for o in range(size // 2)) for size in (h, w))
    return g.Pool(
        name, (x.name,), (n, c, h // 2, w // 2), g.PoolKind.MAX, rows, columns, g.Finish()
    )


def add(name: str, a: g.Node, b: g.Node) -> g.Binary:
    return g.Binary(
        name, (a.name, b.name), a.shape, g.BinaryKind.ADD, scale(1), scale(1), g.Finish()
    )


def graph_of(*nodes: g.Node, outputs: tuple[str, ...] = ()) -> g.Graph:
    names = outputs or (nodes[-1].name,)
    ports = tuple(g.Port(node.name, node.shape) for node in nodes if node.name in names)
    return g.Graph("test", nodes, (g.Port("x", nodes[0].shape),), ports)


def schedule(*nodes: g.Node, outputs: tuple[str, ...] = (), config: HwConfig = CONFIG) -> Schedule:
    return plan(graph_of(*nodes, outputs=outputs), config)


def names(layer: Layer) -> list[str]:
    assert isinstance(layer, ChainLayer)
    return [part.name for part in layer.parts]


def test_convolutions_and_the_pool_between_them_are_one_chain() -> None:
    a = conv("a", X, 64)
    b = pool("b", a)
    made = schedule(X, a, b, conv("c", b, 64))
    assert [names(layer) for layer in made.layers] == [["a", "b", "c"]]
    assert set(made.lifetimes) == {"x", "c"}


def test_a_value_that_others_read_is_stored() -> None:
    a = conv("a", X, 64)
    b = pool("b", a)
    made = schedule(X, a, b, conv("c", b, 64), outputs=("a", "c"))
    assert [names(layer) for layer in made.layers] == [["a", "b", "c"]]
    assert set(made.lifetimes) == {"x", "a", "c"}
    assert {view.buffer for view in made.layers[0].written} == {"a", "c"}


def test_a_residual_block_and_the_batch_norm_behind_it_are_one_chain() -> None:
    a = conv("a", X, 64)
    b = conv("b", a, 64)
    total = add("sum", b, X)
    norm = conv("norm", total, 64, 1, groups=64)
    made = schedule(X, a, b, total, norm, outputs=("sum", "norm"))
    assert [names(layer) for layer in made.layers] == [["a", "b", "sum", "norm"]]
    assert set(made.lifetimes) == {"x", "sum", "norm"}


def test_phases_of_a_transposed_convolution_stay_together() -> None:
    weight = RNG.integers(-9, 9, (16, 64, 2, 2)).astype(np.int16)
    up = g.ConvTranspose2d(
        "up", ("x",), (1, 16, 56, 56), weight, scale(16), g.Finish(), stride=(2, 2)
    )
    made = schedule(X, up, conv("c", up, 16))
    assert [names(layer) for layer in made.layers] == [
        ["up.phase00", "up.phase01", "up.phase10", "up.phase11", "c"]
    ]


def test_without_room_for_line_buffers_layers_run_one_by_one() -> None:
    a = conv("a", X, 64)
    small = HwConfig.from_mapping("small", dict(CONFIG.values) | {"LOG_ACT_BUFF_SIZE": 12})
    made = schedule(X, a, conv("b", a, 64), config=small)
    assert not any(isinstance(layer, ChainLayer) for layer in made.layers)


def test_wide_rows_are_divided_where_nothing_looks_at_neighbours() -> None:
    x = g.Input("x", (), (1, 96, 40, 160))
    twice = replace(add("twice", x, x), scale_a=scale(96))
    table = g.Table("t", ("twice",), x.shape, np.arange(-128, 128).astype(np.int8))
    (layer,) = schedule(x, twice, table).layers
    assert names(layer) == ["twice", "t"]
    assert isinstance(layer, ChainLayer)
    _, _, rows, columns = layer.parts[0].out.dims
    assert (rows * columns, columns) < (40 * 160, 160)


def test_a_chain_moves_less_and_takes_no_longer(request: pytest.FixtureRequest) -> None:
    a = conv("a", X, 64)
    b = pool("b", a)
    graph = graph_of(X, a, b, conv("c", b, 64))
    chained = simulate(compile_graph(graph, CONFIG), CONFIG)
    request.getfixturevalue("no_chains")
    alone = simulate(compile_graph(graph, CONFIG), CONFIG)
    assert chained.cycles < alone.cycles
    values = (64 * 28 * 28 + 64 * 14 * 14) * 2
    assert alone.read.moved + alone.written.moved > (
        chained.read.moved + chained.written.moved + values
    )


def top_down() -> g.Graph:
    """A wide value and one of half its size, upsampled and added, as in feature pyramids."""
    x = g.Input("x", (), (1, 96, 40, 160))
    rows, columns = (tuple((2 * o, 2) for o in range(size // 2)) for size in x.shape[2:])
    half = g.Pool("half", ("x",), (1, 96, 20, 80), g.PoolKind.MAX, rows, columns, g.Finish())
    twice = add("twice", x, x)
    up = g.Upsample("up", ("half",), x.shape, (2, 2))
    return graph_of(x, half, twice, up, add("y", twice, up))


def test_layers_whose_channels_do_not_mix_run_on_a_channel_block_at_a_time() -> None:
    layers = plan(top_down(), CONFIG).layers
    layer = layers[-1]
    assert isinstance(layer, ChainLayer)
    assert names(layer)[-3:] == ["twice", "up", "y"]
    assert {part.out.dims[:2] for part in layer.parts} == {(6, 16)}


def test_chains_of_channel_blocks_are_exact() -> None:
    graph = top_down()
    x = RNG.integers(-128, 128, graph.nodes[0].shape).astype(np.int8)
    (got,), _ = run_compiled(compile_graph(graph, CONFIG), CONFIG, [x])
    np.testing.assert_array_equal(got, interpret.call(graph, [x])[0])


def test_every_instruction_works_for_the_layer_that_needs_it() -> None:
    """Weights and inputs for who reads them, results for who makes them."""
    a = conv("a", X, 64)
    b = pool("b", a)
    c = conv("c", b, 32)
    compiled = compile_graph(graph_of(X, a, b, c), CONFIG)
    (chain,) = simulate(compiled, CONFIG).layers
    first, second, third = chain.parts
    assert [part.span.name for part in chain.parts] == ["a", "b", "c"]
    assert [part.span.macs for part in chain.parts] == [9 * 64 * 64 * 28**2, 0, 9 * 64 * 32 * 14**2]
    assert [part.macs[Engine.GEMM] for part in chain.parts] == [s.span.macs for s in chain.parts]
    assert all(part.spent[Engine.VEC][Spent.BUSY] for part in chain.parts)
    assert [part.written.useful for part in chain.parts] == [0, 0, 32 * 14**2]
    # Parameters are 32 bits: offset, multiplier and shift of each channel.
    weights = [9 * 64 * channels + 3 * 4 * channels for channels in (64, 32)]
    assert first.read.useful == 64 * 28**2 + weights[0]
    assert second.read.useful == 3 * 4 * CONFIG.block  # alike for all channels
    assert third.read.useful == weights[1]
