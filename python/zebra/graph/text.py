"""A Graph as text for people and golden files; the same graph gives the same text."""

from __future__ import annotations

import dataclasses
import zlib
from typing import Any

import numpy as np

from zebra.graph import nodes as g

_HEADER_FIELDS = ("name", "inputs", "shape", "origin")


def to_text(graph: g.Graph) -> str:
    """One line per node: value, shape, kind, operands, the fields that are not defaults."""
    lines = [f"graph {graph.name}"]
    lines += [f"  {_node(node)}" for node in graph.nodes]
    lines += [f"  in  {_port(port)}" for port in graph.inputs]
    lines += [f"  out {_port(port)}" for port in graph.outputs]
    return "\n".join(lines) + "\n"


def _node(node: g.Node) -> str:
    shape = "x".join(map(str, node.shape))
    head = f"{node.name}: {shape} = {type(node).__name__}({', '.join(node.inputs)})"
    fields = [
        f"{field.name}={_value(getattr(node, field.name))}"
        for field in dataclasses.fields(node)
        if field.name not in _HEADER_FIELDS and not _is_default(node, field)
    ]
    origin = f"  # {node.origin}" if node.origin else ""
    return " ".join([head, *fields]) + origin


def _is_default(node: g.Node, field: dataclasses.Field[Any]) -> bool:
    return bool(
        field.default is not dataclasses.MISSING and getattr(node, field.name) == field.default
    )


def _value(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return _array(value)
    if isinstance(value, g.Scale):
        parts = (value.multiplier, value.shift, value.bias)
        return "scale(" + ", ".join(_array(part) for part in parts) + ")"
    if isinstance(value, g.Finish):
        table = "" if value.table is None else f", {_array(value.table)}"
        return f"finish({value.offset:+d}, {value.low}..{value.high}{table})"
    if isinstance(value, g.PoolKind | g.BinaryKind):
        return str(value.value)
    if isinstance(value, tuple):
        return "(" + ",".join(_value(item) for item in value) + ")"
    return str(value)


def _array(array: np.ndarray[Any, Any]) -> str:
    """A single element as its number; more as dtype, shape and CRC-32 of the bytes."""
    if array.size == 1:
        return str(array.item())
    shape = "x".join(map(str, array.shape))
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    crc = zlib.crc32(np.ascontiguousarray(little).tobytes())
    return f"{array.dtype}[{shape}]:{crc:08x}"


def _port(port: g.Port) -> str:
    return f"{port.value} {port.layout} {'x'.join(map(str, port.shape))}"
