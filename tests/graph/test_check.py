"""A Graph that contradicts itself is refused, with the node and the value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from zebra.errors import UnsupportedError
from zebra.graph import Graph, Port, check
from zebra.graph import nodes as g


def scale(shift: int = 30, size: int = 1, multiplier: int = 1 << 30) -> g.Scale:
    return g.Scale(np.full(size, multiplier, np.int32), np.full(size, shift, np.int32))


X = g.Input("x", (), (1, 4, 6, 6))
CONV = g.Conv2d("y", ("x",), (1, 2, 4, 4), np.ones((2, 4, 3, 3), np.int16), scale(), g.Finish())
TRANSPOSED = g.ConvTranspose2d(
    "y", ("x",), (1, 2, 8, 8), np.ones((2, 4, 3, 3), np.int16), scale(), g.Finish()
)
POOL = g.Pool(
    "y", ("x",), (1, 4, 1, 1), g.PoolKind.AVERAGE, ((0, 6),), ((0, 6),), g.Finish(), scale()
)
ADD = g.Binary("y", ("x", "x"), X.shape, g.BinaryKind.ADD, scale(), scale(), g.Finish())
TABLE = g.Table("y", ("x",), X.shape, np.zeros(256, np.int8))


def graph_of(node: g.Node, **changes: Any) -> Graph:
    whole = Graph("net", (X, node), (Port("x", X.shape),), (Port(node.name, node.shape),))
    return replace(whole, **changes)


BAD: dict[str, tuple[Callable[[], Graph], str]] = {
    "unknown operand": (
        lambda: graph_of(replace(TABLE, inputs=("z",))),
        "graph net, Table y: reads z, which no earlier node defines",
    ),
    "defined twice": (
        lambda: graph_of(replace(TABLE, name="x")),
        "graph net, Table x: the value is defined twice; rename one",
    ),
    "empty axis": (
        lambda: graph_of(replace(TABLE, shape=(1, 0, 6, 6))),
        "shape (1, 0, 6, 6) must be four positive integers",
    ),
    "operands": (lambda: graph_of(replace(ADD, inputs=("x",))), "has 1 inputs, not 2"),
    "conv shape": (
        lambda: graph_of(replace(CONV, pads=(1, 1, 1, 1))),
        "graph net, Conv2d y: shape (1, 2, 4, 4) should be (1, 2, 6, 6)",
    ),
    "groups": (
        lambda: graph_of(replace(CONV, groups=2)),
        "weight (2, 4, 3, 3) in 2 groups does not fit 4 channels",
    ),
    "weight type": (
        lambda: graph_of(replace(CONV, weight=CONV.weight.astype(np.int8))),
        "weight is int8[2, 4, 3, 3], not int16 of rank 4",
    ),
    "weight range": (
        lambda: graph_of(replace(CONV, weight=CONV.weight * 255)),
        "weights 255..255 are outside -256..254",
    ),
    "pad value": (lambda: graph_of(replace(CONV, pad_value=128)), "pad_value 128 does not fit"),
    "shift": (
        lambda: graph_of(replace(CONV, scale=scale(63))), "scale.shift 63..63 is outside 1..62"
    ),
    "multiplier": (
        lambda: graph_of(replace(CONV, scale=scale(multiplier=-1))),
        "scale.multiplier -1 is negative",
    ),
    "channels of a scale": (
        lambda: graph_of(replace(CONV, scale=scale(size=3))),
        "scale.multiplier int32[3] must be int32 [1] or [2]",
    ),
    "clamp": (
        lambda: graph_of(replace(CONV, finish=g.Finish(low=5, high=4))),
        "finish clamps to 5..4, not inside int8",
    ),
    "offset": (
        lambda: graph_of(replace(CONV, finish=g.Finish(1 << 31))),
        "finish.offset 2147483648 does not fit int32",
    ),
    "table": (
        lambda: graph_of(replace(TABLE, table=np.zeros(255, np.int8))),
        "table is int8[255], not int8[256]",
    ),
    "transposed channels": (
        lambda: graph_of(replace(TRANSPOSED, shape=(1, 3, 8, 8))),
        "shape (1, 3, 8, 8) should be (1, 2, 8, 8)",
    ),
    "window": (
        lambda: graph_of(replace(POOL, rows=((6, 2),))), "row window (6, 2) misses 0..5"
    ),
    "gain": (lambda: graph_of(replace(POOL, gain=0)), "gain 0 and count None must be positive"),
    "broadcast": (
        lambda: Graph(
            "net",
            (X, g.Constant("c", (), (1, 3, 1, 1), np.zeros((1, 3, 1, 1), np.int8)),
             replace(ADD, inputs=("x", "c"))),
            (Port("x", X.shape),), (Port("y", X.shape),),
        ),
        "operands (1, 4, 6, 6) and (1, 3, 1, 1) do not broadcast",
    ),
    "concat": (
        lambda: graph_of(g.Concat("y", ("x", "x"), (1, 7, 6, 6), 1)),
        "shape (1, 7, 6, 6) should be (1, 8, 6, 6)",
    ),
    "slice": (
        lambda: graph_of(g.Slice("y", ("x",), (1, 4, 6, 3), (0, 0, 0, 4))),
        "axis 3: 4::1 x 3 leaves 0..5",
    ),
    "batch pad": (
        lambda: graph_of(g.Pad("y", ("x",), (2, 4, 6, 6), (0, 0, 0, 0), 0)),
        "pads the batch axis; only C, H and W can be padded",
    ),
    "upsample": (
        lambda: graph_of(g.Upsample("y", ("x",), (1, 4, 12, 6), (2, 2))),
        "shape (1, 4, 12, 6) should be (1, 4, 12, 12)",
    ),
    "relayout": (
        lambda: graph_of(g.Relayout("y", ("x",), (1, 4, 6, 7), (4, 36), (1, 0))),
        "changes the size",
    ),
    "permutation": (
        lambda: graph_of(g.Relayout("y", ("x",), (1, 4, 6, 6), (4, 36), (1, 1))),
        "(1, 1) is no permutation of (4, 36)",
    ),
    "output port": (
        lambda: graph_of(TABLE, outputs=(Port("z", X.shape),)), "port z names no value"
    ),
    "no output": (lambda: graph_of(TABLE, outputs=()), "graph net: has no output"),
    "port size": (
        lambda: graph_of(TABLE, outputs=(Port("y", (3, 5)),)),
        "port y: shape (3, 5) does not hold the elements of (1, 4, 6, 6)",
    ),
    "port layout": (
        lambda: graph_of(TABLE, outputs=(Port("y", X.shape, "NHWC"),)),
        "NHWC (1, 4, 6, 6) is not (1, 4, 6, 6)",
    ),
    "missing input port": (lambda: graph_of(TABLE, inputs=()), "must be the Input nodes ['x']"),
    "input as output": (
        lambda: graph_of(TABLE, outputs=(Port("x", X.shape),)),
        "output x is an input; copy it",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_contradiction_is_refused(name: str) -> None:
    build, text = BAD[name]
    with pytest.raises(UnsupportedError) as caught:
        check(build())
    assert text in str(caught.value)


@pytest.mark.parametrize(
    "node", [CONV, TRANSPOSED, POOL, ADD, TABLE], ids=lambda n: type(n).__name__
)
def test_a_sound_graph_passes(node: g.Node) -> None:
    check(graph_of(node))
