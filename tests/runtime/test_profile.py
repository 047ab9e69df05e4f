"""Profiles of regions against numbers worked out by hand."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from tests.support.chains import draw_chains
from tests.support.graphs import random_config, random_graph
from tests.support.timing import config

from zebra.artifact import Artifact
from zebra.codegen import compile_graph
from zebra.codegen.compiled import Compiled, LayerPart, LayerSpan
from zebra.graph import nodes as g
from zebra.hw import HwConfig
from zebra.isa.access import accesses, addresses
from zebra.isa.codec import decode_program, encode_program
from zebra.isa.insns import (
    DmaLevel,
    Engine,
    Gemm,
    GemmLevel,
    Insn,
    Load,
    Memory,
    Post,
    PostLevel,
    Store,
)
from zebra.isa.program import Program
from zebra.runtime.cycle import Spent
from zebra.runtime.limits import Resource
from zebra.runtime.network import Profile
from zebra.runtime.profile import RegionProfile, profile_region
from zebra.runtime.transfers import merge, touched

LOAD, GEMM, VEC, STORE = (1 << engine for engine in Engine)


def region(
    insns: list[Insn], layers: Iterable[tuple[int, int, int]], hw: HwConfig | None = None
) -> RegionProfile:
    """Of a program whose layers are (first, last, macs)."""
    spans = tuple(LayerSpan(f"layer{n}", "", *layer, 0) for n, layer in enumerate(layers))
    program = Program(encode_program(insns), 1 << 20)
    compiled = Compiled("by hand", program, b"", (), (), spans)
    return profile_region(Artifact(hw or config(), compiled))


def unit_scale(channels: int) -> g.Scale:
    """A scale of one for each channel."""
    ones = np.ones(channels, np.int32)
    return g.Scale(ones << 30, ones * 30, np.zeros(channels, np.int32))


def compiled_network(*nodes: g.Node) -> Compiled:
    """Compiled for ``config()``: from the first node, an Input, to the last."""
    ports = (g.Port(nodes[0].name, nodes[0].shape),), (g.Port(nodes[-1].name, nodes[-1].shape),)
    return compile_graph(g.Graph("net", nodes, *ports), config())


def test_one_layer_by_hand() -> None:
    """100 of 112 cycles of GEMM after one LOAD; 4 rows x 4 x 4 lanes, 1 row group in 4 useful."""
    loops = (DmaLevel(32, 4, 1),)
    profile = region(
        [
            Load(lanes=4, loops=loops, signal=GEMM),
            Gemm(loops=(GemmLevel(400, 1, 0, 1),), wait=LOAD, signal=STORE),
            Store(lanes=4, dram=4096, loops=loops, wait=GEMM),
        ],
        [(0, 3, 1600)],
    )
    (layer,) = profile.layers
    assert profile.report.config.macs_per_cycle == 64
    assert layer.cycles == profile.cycles == layer.end
    assert layer.begin == 0
    assert layer.mac_utilization == 1600 / (64 * profile.cycles)
    assert (layer.read_bytes, layer.written_bytes, layer.code_bytes) == (128, 128, 192)
    assert layer.least_bytes == 128 + 128 + 3 * 64
    assert layer.bound_cycles == (128 + 128 + 3 * 64) / 8
    assert layer.bound is Resource.DRAM
    assert layer.array.useful == 1600 / 64
    assert layer.array.padding == (6400 - 1600) / 64
    assert layer.array.rows == 0
    assert layer.array.useful + layer.array.padding == profile.engines["GEMM"].busy == 100
    assert profile.engines["GEMM"].stalled["PIPELINE"] == 10
    assert profile.dram_bytes == 128 + 128 + 3 * 64


def test_a_row_without_a_pixel_is_idle() -> None:
    """Level 0 has 5 pixels: two groups of 4 rows, 3 rows of them idle."""
    (layer,) = region([Gemm(loops=(GemmLevel(5, 1, 0, 1),))], [(0, 1, 5 * 16)]).layers
    assert layer.array.useful == 5 * 16 / 64
    assert layer.array.padding == 0
    assert layer.array.rows == 2 - 5 / 4


def test_layers_share_the_time_without_gap_or_overlap() -> None:
    pixels = (GemmLevel(400, 1, 0, 1),)
    insns: list[Insn] = [Gemm(overwrite=True, acc=400 * n, loops=pixels) for n in range(3)]
    profile = region(insns, [(0, 1, 0), (1, 3, 0)])
    first, second = profile.layers
    assert first.cycles + second.cycles == profile.cycles
    assert first.cycles == first.end
    assert second.cycles == 2 * 100  # issued back to back


def test_a_layer_that_ends_before_the_one_in_front_adds_nothing() -> None:
    """The second layer's STORE of 4 bytes runs beside a long GEMM."""
    profile = region(
        [Gemm(loops=(GemmLevel(4000, 1, 0, 1),)), Store(lanes=4)], [(0, 1, 0), (1, 2, 0)]
    )
    assert [layer.cycles for layer in profile.layers] == [profile.cycles, 0]
    assert profile.layers[1].end < profile.cycles


@pytest.mark.parametrize(
    ("insns", "resource", "start"),
    [
        ([Gemm(loops=(GemmLevel(4000, 1, 0, 1),))], Resource.ARRAY, "array 9"),
        ([Load(lanes=4, loops=(DmaLevel(4000, 4, 1),))], Resource.DRAM, "DRAM 9"),
        ([Post(loops=(PostLevel(4000, 1, 1),))], Resource.VEC, "VEC 9"),
        (
            [Gemm(signal=VEC), Post(wait=GEMM, loops=(PostLevel(4, 1, 1),))],
            Resource.STALLS,
            "GEMM: instruction fetch",
        ),
        (
            [
                Load(lanes=4, loops=(DmaLevel(400, 4, 1),), signal=GEMM),
                Gemm(wait=LOAD, loops=(GemmLevel(400, 1, 0, 1),)),
            ],
            Resource.STALLS,
            "GEMM: waiting for LOAD 5",
        ),
    ],
    ids=["array", "dram", "vec", "fetch", "waiting"],
)
def test_what_limits_a_layer(insns: list[Insn], resource: Resource, start: str) -> None:
    slow = config(DRAM_LATENCY=300 if resource is Resource.STALLS else 10)
    (layer,) = region(insns, [(0, len(insns), 0)], slow).layers
    assert layer.limit.resource is resource
    assert layer.limit.text.startswith(start)
    assert 0 < layer.limit.share <= 1


@pytest.mark.usefixtures("no_chains")
def test_macs_are_those_of_the_network() -> None:
    """A convolution of 3 to 5 channels, a depthwise one, and a transposed one."""
    x = g.Input("x", (), (1, 3, 6, 7))
    weights = [np.ones(shape, np.int16) for shape in ((5, 3, 3, 3), (5, 1, 3, 3), (2, 5, 4, 4))]
    scales = [unit_scale(5), unit_scale(5), unit_scale(2)]
    pads = (1, 1, 1, 1)
    conv = g.Conv2d("a", ("x",), (1, 5, 6, 7), weights[0], scales[0], g.Finish(), pads=pads)
    depthwise = g.Conv2d(
        "b", ("a",), (1, 5, 6, 7), weights[1], scales[1], g.Finish(), pads=pads, groups=5
    )
    transposed = g.ConvTranspose2d(
        "c", ("b",), (1, 2, 12, 14), weights[2], scales[2], g.Finish(), (2, 2), pads
    )
    compiled = compiled_network(x, conv, depthwise, transposed)
    found = dict.fromkeys("abc", 0)
    for span in compiled.layers:
        found[span.name.split(".")[0]] += span.macs
    assert found == {"a": 5 * 27 * 42, "b": 5 * 9 * 42, "c": 5 * 42 * 2 * 16}
    profile = profile_region(Artifact.from_bytes(Artifact(config(), compiled).to_bytes()))
    assert profile.macs == sum(found.values())
    by_name = {layer.name: layer for layer in profile.layers}
    assert by_name["a"].array.useful == found["a"] / 64
    assert by_name["b"].array.useful == 0  # depthwise runs on VEC


def test_a_fused_layer_counts_all_and_the_array_its_own() -> None:
    """A depthwise convolution on VEC, tile by tile in front of a 1x1 one on the array."""
    x = g.Input("x", (), (1, 8, 6, 6))
    weights = np.ones((8, 1, 3, 3), np.int16), np.ones((4, 8, 1, 1), np.int16)
    depthwise = g.Conv2d(
        "a", ("x",), (1, 8, 6, 6), weights[0], unit_scale(8), g.Finish(), pads=(1, 1, 1, 1),
        groups=8,
    )  # fmt: skip
    pointwise = g.Conv2d("b", ("a",), (1, 4, 6, 6), weights[1], unit_scale(4), g.Finish())
    compiled = compiled_network(x, depthwise, pointwise)
    (span,) = compiled.layers
    assert (span.macs, span.vec_macs) == (9 * 8 * 36 + 8 * 4 * 36, 9 * 8 * 36)
    (layer,) = profile_region(Artifact(config(), compiled)).layers
    assert layer.array.useful == 8 * 4 * 36 / 64


def test_a_fold_changes_no_count() -> None:
    """One of 4 channels: the driver lays the kernel's pixels side by side."""
    x = g.Input("x", (), (1, 1, 9, 9))
    weight = np.ones((4, 1, 3, 3), np.int16)
    conv = g.Conv2d("a", ("x",), (1, 4, 4, 4), weight, unit_scale(4), g.Finish(), stride=(2, 2))
    compiled = compiled_network(x, conv)
    assert compiled.inputs[0].packed != compiled.inputs[0].dims
    assert [span.macs for span in compiled.layers] == [4 * 9 * 16]


@pytest.mark.parametrize("seed", range(6))
def test_parts_of_a_random_network_add_up(seed: int) -> None:
    hw = random_config(np.random.default_rng(seed))
    graph = random_graph(seed)
    compiled = compile_graph(graph, hw)
    profile = Profile(hw, (profile_region(Artifact(hw, compiled)),) * 2, None)
    assert sum(layer.cycles for layer in profile.layers) == profile.cycles
    assert all(time.cycles == profile.cycles for time in profile.engines.values())
    array = profile.array
    parts = array.useful + array.padding + array.rows + sum(array.stalled.values())
    assert parts == pytest.approx(profile.cycles)
    assert array.useful + sum(array.losses().values()) == pytest.approx(profile.cycles)
    assert profile.dram_bytes_min <= profile.dram_bytes
    for layer in profile.layers:
        assert layer.mac_utilization <= 1


def test_a_chain_by_hand() -> None:
    """GEMM works 100 cycles for one layer and 25 for another, VEC for a third; 4 x 4 x 4."""
    insns: list[Insn] = [
        Load(lanes=4, loops=(DmaLevel(32, 4, 1),), signal=GEMM),
        Gemm(loops=(GemmLevel(400, 1, 0, 1),), wait=LOAD),
        Gemm(loops=(GemmLevel(100, 1, 0, 1),), signal=VEC),
        Post(dst=100, loops=(PostLevel(50, 1, 1),), wait=GEMM),
    ]
    macs = 400 * 16, 100 * 8, 0
    parts = tuple(LayerPart(name, "", own, 0) for name, own in zip("abc", macs))
    span = LayerSpan("a..c", "", 0, 4, sum(macs), 0, parts, (0, 0, 1, 2))
    program = Program(encode_program(insns), 1 << 20)
    compiled = Compiled("by hand", program, b"", (), (), (span,))
    (chain,) = profile_region(Artifact(config(), compiled)).layers
    a, b, c = chain.parts
    assert [part.engines["GEMM"].busy for part in chain.parts] == [100, 25, 0]
    assert [part.engines["VEC"].busy for part in chain.parts] == [0, 0, 13]
    assert [part.array.useful for part in chain.parts] == [100, 12.5, 0]
    assert (a.read_bytes, b.read_bytes, c.read_bytes) == (128, 0, 0)
    assert [part.code_bytes for part in chain.parts] == [128, 64, 64]
    # GEMM waits for LOAD before the first, for nothing before the second.
    assert a.window == a.engines["GEMM"].cycles > 100
    assert b.window == b.engines["GEMM"].cycles
    assert b.mac_utilization == 100 * 8 / (b.window * 64)
    # The chain's time is GEMM's: the third layer runs when GEMM is done, and GEMM is busiest.
    assert sum(part.cycles for part in chain.parts) == chain.cycles
    assert c.cycles == 0
    assert a.cycles == chain.cycles * a.window // (a.window + b.window)
    assert (a.limit.resource, c.limit.resource) == (Resource.ARRAY, Resource.STALLS)


@pytest.mark.parametrize("seed", [2, 4, 8, 19])
def test_layers_of_drawn_chains_add_up(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(seed)
    draw_chains(monkeypatch, rng)
    hw = random_config(rng)
    profile = profile_region(Artifact(hw, compile_graph(random_graph(seed), hw)))
    chains = [layer for layer in profile.layers if layer.parts]
    assert chains
    for chain in chains:
        for figure in ("cycles", "macs", "read_bytes", "written_bytes", "code_bytes"):
            assert sum(getattr(part, figure) for part in chain.parts) == getattr(chain, figure)
        for name, time in chain.engines.items():
            parts = [part.engines[name] for part in chain.parts]
            assert sum(part.busy for part in parts) == time.busy
            for kind, cycles in time.stalled.items():
                assert sum(part.stalled[kind] for part in parts) == cycles
        array = chain.array
        whole = array.useful + array.padding + array.rows + sum(array.stalled.values())
        assert whole == pytest.approx(chain.engines["GEMM"].cycles)
        assert len(merge(np.concatenate([part.dram.read for part in chain.parts]))) == len(
            merge(chain.dram.read)
        )
    assert all(layer.array.useful >= 0 for layer in profile.rows)


@pytest.mark.parametrize("seed", range(6))
def test_touched_bytes_are_those_of_every_access(seed: int) -> None:
    hw = random_config(np.random.default_rng(seed))
    compiled = compile_graph(random_graph(seed), hw)
    marks = {write: np.zeros(compiled.program.dram_bytes, bool) for write in (False, True)}
    for insn in decode_program(compiled.program.code):
        for access in accesses(insn, hw):
            if access.memory is Memory.DRAM:
                marks[access.write][addresses(access.base, access.nest)] = True
    found = touched(compiled.program.code, hw)
    for write, intervals in ((False, found.read), (True, found.written)):
        mine = np.zeros(compiled.program.dram_bytes, bool)
        for start, stop in intervals:
            mine[start:stop] = True
        np.testing.assert_array_equal(mine, marks[write])


def test_intervals_merge_across_small_gaps() -> None:
    parts = np.array([[10, 20], [0, 5], [12, 15], [20, 21], [30, 31]])
    assert merge(parts).tolist() == [[0, 5], [10, 21], [30, 31]]
    assert merge(parts, gap=5).tolist() == [[0, 21], [30, 31]]


def test_the_verdict_names_what_is_lost() -> None:
    profile = Profile(
        config(), (region([Gemm(loops=(GemmLevel(400, 1, 0, 1),))], [(0, 1, 1600)]),), 0.5
    )
    # 19 cycles until the first instruction is there, 100 at work, 10 to fill and drain.
    assert profile.cycles == 129
    assert profile.verdict() == (
        "GEMM is busy 78% of the time and 19.4% of the array's cycles are the network's own "
        "work; what is lost: padding lanes 58.1%, instruction fetch 14.7%, pipeline drain 7.8%."
    )
    assert profile.seconds == 129 / 100e6
    assert profile.mac_utilization == 1600 / (129 * 64)
    assert profile.engines["GEMM"].stalled == {
        kind.name: {"FETCH": 19, "PIPELINE": 10}.get(kind.name, 0)
        for kind in Spent
        if kind is not Spent.BUSY
    }
