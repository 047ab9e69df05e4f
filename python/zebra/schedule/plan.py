"""Graph -> Schedule: what runs, in which order, and where everything lies."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from zebra.graph import nodes as g
from zebra.hw import HwConfig
from zebra.schedule.chain import chain, parts, price
from zebra.schedule.fold import Fold, Folded, fold_alternatives
from zebra.schedule.fuse import fuse
from zebra.schedule.layers import AccumLayer, Layer, MoveLayer
from zebra.schedule.memory import Lifetime
from zebra.schedule.place import Placement, place
from zebra.schedule.scatter import Outputs, Scattered, scatter_outputs
from zebra.schedule.select import select
from zebra.schedule.views import View

ALIGNMENT = 64
"""Buffers start at multiples of this many bytes (one DRAM burst)."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Layers in execution order with the lifetimes of the buffers they use.

    ``inputs`` are the views of the region's input ports, in calling order; ``folds``
    says how each input is folded before it lies in its view. ``results`` are the views
    of the values that the driver takes, and ``outputs`` how it makes the region's
    output ports of them. ``constants`` are the buffers that hold constant tensors.
    """

    graph: g.Graph
    layers: tuple[Layer, ...]
    lifetimes: dict[str, Lifetime]
    inputs: tuple[View, ...]
    results: dict[str, View]
    outputs: Outputs
    constants: dict[str, g.Constant]
    folds: tuple[Fold, ...]


FIRST = 6
"""Layers by which the folds of an input are compared."""


def plan(graph: g.Graph, config: HwConfig) -> Schedule:
    """Schedule ``graph`` for ``config``, layer by layer in the graph's order."""
    scattered = scatter_outputs(graph, config)
    found = [
        _lowered(scattered, each, config) for each in fold_alternatives(scattered.graph, config)
    ]
    chosen = _cheapest(found, config)
    layers = chain(chosen.layers, chosen.exposed, config)
    lifetimes = _lifetimes(layers, chosen)
    return Schedule(
        graph,
        tuple(layers),
        lifetimes,
        chosen.inputs,
        chosen.results,
        scattered.outputs,
        chosen.placement.constants,
        chosen.folds,
    )


@dataclass(frozen=True, slots=True)
class _Lowered:
    """A graph as joined layers on placed values."""

    layers: list[Layer]
    inputs: tuple[View, ...]
    results: dict[str, View]
    placement: Placement
    folds: tuple[Fold, ...]

    @property
    def exposed(self) -> set[str]:
        """Buffers that the driver reads."""
        return {view.buffer for view in self.results.values()}


def _cheapest(found: Sequence[_Lowered], config: HwConfig) -> _Lowered:
    """The one whose first layers cost least, as far as all have the same operators in them."""
    cuts = [_cuts(low.layers[:FIRST]) for low in found]
    common = max(set(cuts[0]).intersection(*cuts[1:]), key=len, default=None)
    if len(found) == 1 or common is None:
        return found[0]
    prices = [
        price(low.layers, low.exposed, cut[common], config)
        for low, cut in zip(found, cuts, strict=True)
    ]
    return found[prices.index(min(prices))]


def _cuts(layers: Sequence[Layer]) -> dict[frozenset[str], int]:
    """How many layers from the first on have just these operators in them, for each number."""
    names: set[str] = set()
    cuts: dict[frozenset[str], int] = {}
    for count, layer in enumerate(layers, 1):
        names.update(part.name for part in parts(layer))
        cuts[frozenset(names)] = count
    return cuts


def _lowered(scattered: Scattered, folded: Folded, config: HwConfig) -> _Lowered:
    """The layers of a graph on folded inputs."""
    graph, (on_folds, folds) = scattered.graph, folded
    placement = place(on_folds, config.block)
    layers = [
        _counted(layer, own, scattered.macs)
        for node, own in zip(on_folds.nodes, graph.nodes, strict=True)
        for layer in select(node, placement.views)
    ]
    inputs = tuple(placement.views[port.value] for port in graph.inputs)
    results: dict[str, View] = {}
    for port in graph.outputs:
        view = _own_result(placement, port.value, graph, results)
        if view.buffer != placement.views[port.value].buffer:
            layers.append(
                MoveLayer(f"{port.value}.out", "output", (placement.views[port.value],), view)
            )
        results[port.value] = view
    layers = fuse(layers, {view.buffer for view in results.values()}, config)
    return _Lowered(layers, inputs, results, placement, folds)


def _counted(layer: Layer, own: g.Node, counts: Mapping[str, int]) -> Layer:
    """A convolution's layer with the multiply-accumulates of ``own``, which no fold changed.

    ``counts`` has those of nodes that were rewritten before.
    """
    if not isinstance(own, g.Conv2d):
        return layer
    macs = math.prod(own.shape) * math.prod(own.weight.shape[1:])
    macs = counts.get(own.name, macs)
    return replace(layer, macs=macs, vec_macs=macs if isinstance(layer, AccumLayer) else 0)


def _own_result(
    placement: Placement, value: str, graph: g.Graph, taken: Mapping[str, View]
) -> View:
    """A result needs a buffer of its own, wholly written (padding lanes too)."""
    view = placement.views[value]
    produced = not isinstance(graph.node(value), g.Input | g.Constant)
    own = View.blocked(view.buffer, view.dims, view.block)
    if produced and view == own and all(view.buffer != other.buffer for other in taken.values()):
        return view
    return View.blocked(f"{value}.out", view.dims, view.block)


def _lifetimes(layers: list[Layer], chosen: _Lowered) -> dict[str, Lifetime]:
    """First and last step at which each buffer (constants apart) is in use."""
    spans: dict[str, Lifetime] = {}

    def use(view: View, step: int) -> None:
        if view.buffer in chosen.placement.constants:
            return
        end = view.offset + view.size
        old = spans.get(view.buffer, Lifetime(end, step, step))
        spans[view.buffer] = replace(
            old,
            size=max(old.size, end),
            first=min(old.first, step),
            last=max(old.last, step),
        )

    for view in chosen.inputs:
        use(view, -1)
    for step, layer in enumerate(layers):
        for view in (*layer.inputs, *layer.written):
            use(view, step)
    for view in chosen.results.values():
        use(view, len(layers))
    return spans
