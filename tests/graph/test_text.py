"""The text of a Graph, as people and golden files see it."""

from __future__ import annotations

import numpy as np

from zebra.graph import Graph, Port, to_text
from zebra.graph import nodes as g

GOLDEN = """\
graph net
  x: 1x3x4x4 = Input()  # data
  c: 1x2x1x1 = Constant() data=int8[1x2x1x1]:b6cc4292
  conv0: 1x2x4x4 = Conv2d(x) weight=int16[2x3x1x1]:a2b3bb90 scale=scale(1073741824, 33, 5) \
finish=finish(-3, -128..100) pad_value=-7  # conv2d+requantize
  add0: 1x2x4x4 = Binary(conv0, c) kind=add scale_a=scale(1073741824, 30, 0) \
scale_b=scale(1073741824, 30, 0) finish=finish(+0, -128..127, int8[256]:0d968558)
  max0: 1x2x2x2 = Pool(add0) kind=max rows=((0,2),(2,2)) columns=((0,2),(2,2)) \
finish=finish(+0, -128..127)
  in  x NHWC 1x4x4x3
  out max0 NCHW 1x8
"""


def network() -> Graph:
    one = g.Scale(np.array([1 << 30], np.int32), np.array([30], np.int32))
    by_eight = g.Scale(one.multiplier, np.array([33], np.int32), np.array([5], np.int32))
    weight = np.arange(6, dtype=np.int16).reshape(2, 3, 1, 1)
    data = np.array([1, 2], np.int8).reshape(1, 2, 1, 1)
    zeros, shape = np.zeros(256, np.int8), (1, 2, 4, 4)
    halves = ((0, 2), (2, 2))
    nodes = (
        g.Input("x", (), (1, 3, 4, 4), origin="data"),
        g.Constant("c", (), (1, 2, 1, 1), data),
        g.Conv2d(
            "conv0", ("x",), shape, weight, by_eight, g.Finish(-3, high=100), pad_value=-7,
            origin="conv2d+requantize",
        ),
        g.Binary(
            "add0", ("conv0", "c"), shape, g.BinaryKind.ADD, one, one, g.Finish(table=zeros)
        ),
        g.Pool("max0", ("add0",), (1, 2, 2, 2), g.PoolKind.MAX, halves, halves, g.Finish()),
    )  # fmt: skip
    return Graph("net", nodes, (Port("x", (1, 4, 4, 3), "NHWC"),), (Port("max0", (1, 8)),))


def test_text_is_the_golden_text() -> None:
    assert to_text(network()) == GOLDEN
    assert to_text(network()) == to_text(network())


def test_a_changed_weight_changes_the_text() -> None:
    changed = network()
    conv = changed.node("conv0")
    assert isinstance(conv, g.Conv2d)
    conv.weight[0, 0, 0, 0] = 9
    assert to_text(changed) != GOLDEN
