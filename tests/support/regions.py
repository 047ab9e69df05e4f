"""Relay modules with regions already cut out, and a lowering that knows just them."""

from __future__ import annotations

from typing import Any

import numpy as np
import tvm
from tvm import relay

from zebra.graph.nodes import Graph, Input, Port, Table
from zebra.hw import HwConfig

SHAPE = (1, 5, 4, 3)
NEGATE = np.clip(-np.arange(256).astype(np.int8).astype(np.int16), -128, 127).astype(np.int8)
"""int8[256] by unsigned byte: -x, saturated."""


def negation_graph(shape: tuple[int, ...] = SHAPE, layout: str = "NCHW") -> Graph:
    """x -> -x, saturated."""
    n, c, h, w = shape
    dims = (n, w, c, h) if layout == "NHWC" else shape
    nodes = (Input("x", (), dims), Table("y", ("x",), dims, NEGATE, origin="negative"))
    return Graph("negation", nodes, (Port("x", shape, layout),), (Port("y", shape, layout),))


def lower(function: Any, config: HwConfig) -> Graph:
    """Stands in for zebra.relay.lower: every region of these modules is the negation."""
    return negation_graph(tuple(int(extent) for extent in function.params[0].checked_type.shape))


def partitioned_module(regions: int = 1) -> tvm.IRModule:
    """main(x int8[SHAPE]) = region(...(x + 1)) + 1: on the host, ``regions`` times here, host."""
    kind = relay.TensorType(SHAPE, "int8")
    mod = tvm.IRModule()
    x = relay.var("x", kind)
    value = x + relay.const(1, "int8")
    for index in range(regions):
        inner = relay.var(f"region{index}_input", kind)
        function = relay.Function([inner], relay.negative(inner), kind)
        for key, setting in (
            ("Compiler", "zebra"),
            ("Primitive", 1),
            ("Inline", 1),
            ("global_symbol", f"net_zebra_{index}"),
        ):
            function = function.with_attr(key, setting)
        name = relay.GlobalVar(f"net_zebra_{index}")
        mod[name] = function
        value = name(value)
    mod["main"] = relay.Function([x], value + relay.const(1, "int8"))
    return relay.transform.InferType()(mod)


def sample_input(seed: int = 0) -> np.ndarray:
    """Random int8[SHAPE]."""
    return np.random.default_rng(seed).integers(-128, 128, SHAPE).astype(np.int8)


def expected(x: np.ndarray, regions: int = 1) -> np.ndarray:
    """What ``partitioned_module(regions)`` computes, in NumPy."""
    value = x + np.int8(1)
    for _ in range(regions):
        value = NEGATE[value.view(np.uint8)]
    return value + np.int8(1)
