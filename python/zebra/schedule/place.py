"""Which buffer, and which part of it, each value occupies.

A concatenation's inputs are written straight into its result where possible,
slices are read in place, and everything else gets a buffer of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from zebra.graph import nodes as g
from zebra.schedule.views import View

_IN_PLACE = (g.Input, g.Constant, g.Slice)


@dataclass(frozen=True, slots=True)
class Placement:
    """A view for each value, and the names of buffers that hold constants."""

    views: dict[str, View]
    constants: dict[str, g.Constant]


def place(graph: g.Graph, block: int) -> Placement:
    """Views for every value of ``graph`` with channel blocks of ``block`` lanes."""
    users = _users(graph)
    outputs = {port.value for port in graph.outputs}
    pieced = _pieced(graph, block)
    views: dict[str, View] = {}
    for node in reversed(graph.nodes):
        if node.name not in views:
            own = View.blocked(node.name, node.shape, block)
            views[node.name] = replace(own, whole=node.name not in pieced)
        if isinstance(node, g.Concat):
            _place_pieces(node, graph, views, users, outputs)
    for node in graph.nodes:
        if isinstance(node, g.Slice) and node.name not in outputs:
            if views[node.name].buffer != node.name:
                continue
            source = views[node.inputs[0]]
            views[node.name] = source.part(node.begin, node.shape, node.stride)
    constants = {node.name: node for node in graph.nodes if isinstance(node, g.Constant)}
    return Placement(views, constants)


def _pieced(graph: g.Graph, block: int) -> set[str]:
    """Values written in pieces along the channels, so that nothing writes their padding lanes."""
    pieced: set[str] = set()
    for node in graph.nodes:
        if not isinstance(node, g.Concat | g.Pad):
            continue
        channels = {graph.node(name).shape[1] for name in node.inputs}
        ragged = node.shape[1] % block and channels != {node.shape[1]}
        if ragged or any(name in pieced for name in node.inputs):
            pieced.add(node.name)
    return pieced


def _users(graph: g.Graph) -> dict[str, list[str]]:
    users: dict[str, list[str]] = {node.name: [] for node in graph.nodes}
    for node in graph.nodes:
        for name in node.inputs:
            users[name].append(node.name)
    return users


def _place_pieces(
    node: g.Concat,
    graph: g.Graph,
    views: dict[str, View],
    users: dict[str, list[str]],
    outputs: Iterable[str],
) -> None:
    """Give the concatenation's inputs their place inside its view."""
    out = views[node.name]
    position = 0
    for name in node.inputs:
        producer = graph.node(name)
        begin = [0, 0, 0, 0]
        begin[node.axis] = position
        position += producer.shape[node.axis]
        part = out.part((begin[0], begin[1], begin[2], begin[3]), producer.shape)
        free = name not in views and name not in outputs and not isinstance(producer, _IN_PLACE)
        if free and (part.lane == 0 or users[name] == [node.name]):
            views[name] = part
