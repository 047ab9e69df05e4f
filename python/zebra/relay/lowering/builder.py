"""The graph under construction: its nodes, and the View of each Relay tensor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from zebra.graph import nodes as g
from zebra.relay.dims import Axes, graph_dims
from zebra.relay.expr import Expr, carried_offset, constant, dtype, op_name, shape
from zebra.relay.lowering.layout import View

AXES_OF_RANK: dict[int, tuple[Axes, ...]] = {
    0: ((),),
    1: ((1,),),
    2: ((0, 1),),
    3: ((0, 1, 3), (0, 3, 1), (1, 2, 3)),
    4: ((0, 1, 2, 3), (0, 2, 3, 1)),
}
"""How a tensor of each rank may lie in [N, C, H, W]; the first is the default."""


class Builder:
    """Nodes in order; ``views`` says where each Relay tensor is."""

    def __init__(self) -> None:
        self.nodes: list[g.Node] = []
        self.views: dict[Expr, View] = {}
        self._constants: dict[tuple[Expr, Axes, int], str] = {}
        self._relayouts: dict[tuple[View, g.Shape], str] = {}
        self._count: dict[str, int] = {}

    def name(self, kind: str) -> str:
        """A new value's name: the kind and its running number."""
        number = self._count.get(kind, 0)
        self._count[kind] = number + 1
        return f"{kind}{number}"

    def add(self, node: g.Node) -> str:
        """Append a node; the name of its value."""
        self.nodes.append(node)
        return node.name

    def define(self, expr: Expr, node: g.Node, axes: Axes) -> None:
        """``node`` computes the Relay tensor ``expr``, whose axes these are."""
        self.views[expr] = View.of(self.add(node), node.shape, axes)

    def value(self, expr: Expr, axes: Axes, rank: int | None = None) -> str:
        """The value in which axis j of ``expr`` is axis axes[j].

        ``rank``: the tensor first gets leading axes of length 1 up to this rank.
        """
        if constant(expr) is not None:
            return self._constant(expr, axes, rank)
        view = self.views[expr]
        lead = () if rank is None else (1,) * (rank - len(view.shape))
        view = view.reshape((*lead, *view.shape))
        return self.ordered(view, axes)

    def view(self, expr: Expr) -> View:
        """Where ``expr`` is; a constant becomes a value of its own, in its own order."""
        if constant(expr) is None:
            return self.views[expr]
        axes = row_major_axes(shape(expr))
        return View.of(self._constant(expr, axes, None), graph_dims(shape(expr), axes), axes)

    def ordered(self, view: View, axes: Axes) -> str:
        """The value in which axis j of the viewed tensor is axis axes[j]."""
        order = sorted(range(len(axes)), key=lambda j: axes[j])
        turned = view.transpose(order)
        if turned is None:
            turned = self.row_major(view).transpose(order)
        assert turned is not None, "a row-major tensor can be transposed"
        return self.materialise(turned, graph_dims(view.shape, axes))

    def row_major(self, view: View) -> View:
        """The same tensor in a value that holds its elements in the tensor's own order."""
        dims = row_major_dims(view.shape)
        return View.row_major(self.materialise(view, dims), dims, view.shape)

    def materialise(self, view: View, dims: g.Shape) -> str:
        """The value of ``dims`` that holds the viewed tensor row-major; a Relayout if it must."""
        if view.in_order and view.dims == dims:
            return view.value
        key = (view.reshape(dims), dims)
        if key not in self._relayouts:
            source, permutation = view.source, view.permutation
            if view.in_order:
                source, permutation = (math.prod(dims),), (0,)
            node = g.Relayout(
                self.name("relayout"), (view.value,), dims, source, permutation, origin="layout"
            )
            self._relayouts[key] = self.add(node)
        return self._relayouts[key]

    def best_axes(self, views: Sequence[View], rank: int) -> Axes:
        """The axes of a tensor of ``rank`` for which fewest bytes of the operands must move."""
        return min(AXES_OF_RANK[rank], key=lambda axes: self._cost(views, axes, rank))

    @staticmethod
    def _cost(views: Sequence[View], axes: Axes, rank: int) -> int:
        wide = [view.reshape((*(1,) * (rank - len(view.shape)), *view.shape)) for view in views]
        return sum(math.prod(view.shape) for view in wide if not view.lies(axes))

    def _constant(self, expr: Expr, axes: Axes, rank: int | None) -> str:
        key = (expr, axes, rank or 0)
        if key not in self._constants:
            array = self._carried(expr)
            array = array.reshape((*(1,) * (len(axes) - array.ndim), *array.shape))
            order = sorted(range(len(axes)), key=lambda j: axes[j])
            data = np.ascontiguousarray(array.transpose(order)).reshape(
                graph_dims(array.shape, axes)
            )
            node = g.Constant(self.name("constant"), (), data.shape, data, origin="constant")
            self._constants[key] = self.add(node)
        return self._constants[key]

    @staticmethod
    def _carried(expr: Expr) -> np.ndarray[Any, np.dtype[np.int8]]:
        array = constant(expr)
        assert array is not None, "the caller asked for a constant"
        wide = array.astype(np.int16) - carried_offset(dtype(expr))
        return wide.astype(np.int8)


def row_major_axes(tensor: Sequence[int]) -> Axes:
    """The default axes of a tensor of rank 0..4, which keep its order."""
    return AXES_OF_RANK[len(tensor)][0]


def row_major_dims(tensor: tuple[int, ...]) -> g.Shape:
    """[N, C, H, W] that holds a tensor of any rank in its own order."""
    if len(tensor) in AXES_OF_RANK:
        return graph_dims(tensor, row_major_axes(tensor))
    return tensor[0], math.prod(tensor[1:]), 1, 1


def origin_of(calls: Sequence[Expr]) -> str:
    """The operators of a group for people: "conv2d+bias_add+requantize"."""
    names = [op_name(call).removeprefix("qnn.").removeprefix("nn.") for call in calls]
    return "+".join(names)


def result_dims(expr: Expr, axes: Axes) -> g.Shape:
    """[N, C, H, W] of the Relay tensor ``expr`` whose axes these are."""
    return graph_dims(shape(expr), axes)
