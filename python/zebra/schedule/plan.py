"""Graph -> Schedule: what runs, in which order, and where everything lies."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from zebra.graph import nodes as g
from zebra.hw import HwConfig
from zebra.schedule.chain import chain
from zebra.schedule.fold import Fold, fold_inputs
from zebra.schedule.fuse import fuse
from zebra.schedule.layers import AccumLayer, Layer, MoveLayer
from zebra.schedule.memory import Lifetime
from zebra.schedule.place import Placement, place
from zebra.schedule.select import select
from zebra.schedule.views import View

ALIGNMENT = 64
"""Buffers start at multiples of this many bytes (one DRAM burst)."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Layers in execution order with the lifetimes of the buffers they use.

    ``inputs`` and ``outputs`` are the views of the region's ports, in calling
    order; ``folds`` says how each input is folded before it lies in its view;
    ``constants`` are the buffers that hold constant tensors.
    """

    graph: g.Graph
    layers: tuple[Layer, ...]
    lifetimes: dict[str, Lifetime]
    inputs: tuple[View, ...]
    outputs: tuple[View, ...]
    constants: dict[str, g.Constant]
    folds: tuple[Fold, ...]


def plan(graph: g.Graph, config: HwConfig) -> Schedule:
    """Schedule ``graph`` for ``config``, layer by layer in the graph's order."""
    folded, folds = fold_inputs(graph, config)
    placement = place(folded, config.block)
    layers = [
        _counted(layer, own)
        for node, own in zip(folded.nodes, graph.nodes, strict=True)
        for layer in select(node, placement.views)
    ]
    inputs = tuple(placement.views[port.value] for port in graph.inputs)
    outputs: list[View] = []
    for index, port in enumerate(graph.outputs):
        view = _own_output(placement, port.value, index, graph, outputs)
        if view.buffer != placement.views[port.value].buffer:
            layers.append(
                MoveLayer(f"{port.value}.out", "output", (placement.views[port.value],), view)
            )
        outputs.append(view)
    exposed = {view.buffer for view in outputs}
    layers = chain(fuse(layers, exposed, config), exposed, config)
    lifetimes = _lifetimes(layers, inputs, outputs, placement)
    return Schedule(
        graph, tuple(layers), lifetimes, inputs, tuple(outputs), placement.constants, folds
    )


def _counted(layer: Layer, own: g.Node) -> Layer:
    """A convolution's layer with the multiply-accumulates of ``own``, which no fold changed."""
    if not isinstance(own, g.Conv2d):
        return layer
    macs = math.prod(own.shape) * math.prod(own.weight.shape[1:])
    return replace(layer, macs=macs, vec_macs=macs if isinstance(layer, AccumLayer) else 0)


def _own_output(
    placement: Placement, value: str, index: int, graph: g.Graph, taken: list[View]
) -> View:
    """An output needs a buffer of its own, wholly written (padding lanes too)."""
    view = placement.views[value]
    produced = not isinstance(graph.node(value), g.Input | g.Constant)
    own = View.blocked(view.buffer, view.dims, view.block)
    if produced and view == own and all(view.buffer != other.buffer for other in taken):
        return view
    return View.blocked(f"{value}.out{index}", view.dims, view.block)


def _lifetimes(
    layers: list[Layer], inputs: tuple[View, ...], outputs: list[View], placement: Placement
) -> dict[str, Lifetime]:
    """First and last step at which each buffer (constants apart) is in use."""
    spans: dict[str, Lifetime] = {}

    def use(view: View, step: int) -> None:
        if view.buffer in placement.constants:
            return
        end = view.offset + view.size
        old = spans.get(view.buffer, Lifetime(end, step, step))
        spans[view.buffer] = replace(
            old,
            size=max(old.size, end),
            first=min(old.first, step),
            last=max(old.last, step),
        )

    for view in inputs:
        use(view, -1)
    for step, layer in enumerate(layers):
        for view in (*layer.inputs, *layer.written):
            use(view, step)
    for view in outputs:
        use(view, len(layers))
    return spans
