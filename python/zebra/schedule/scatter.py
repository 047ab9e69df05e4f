"""What of a region's last operators the driver does as it hands results to the caller.

The driver copies every result from channel blocks into the caller's dense array. It
can as well put the bytes where a transposition, a reshape, a concatenation or the
phases of a transposed convolution would: then the accelerator need not. See
docs/adr/0010-the-driver-scatters-results.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from zebra.graph import nodes as g
from zebra.hw import HwConfig
from zebra.numerics import wrap32
from zebra.schedule.select import axis_order
from zebra.schedule.views import Dims, blocks

Element = TypeVar("Element", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Piece:
    """Where some channels of a value go in the dense array of an output.

    Channel ``first`` + c of pixel (h, w) of image n of ``value``, which has ``channels``
    channels, is element ``offset`` + (n, c, h, w) . ``strides`` of the array, for all
    (n, c, h, w) below ``dims``.
    """

    value: str
    channels: int
    first: int
    dims: Dims
    offset: int
    strides: Dims

    def of(self, dense: npt.NDArray[Element]) -> npt.NDArray[Element]:
        """The piece's elements [N, C, H, W] of a dense array [elements], to be written to."""
        steps = (
            0 if extent == 1 else stride * dense.itemsize
            for extent, stride in zip(self.dims, self.strides, strict=True)
        )
        return np.lib.stride_tricks.as_strided(dense[self.offset :], self.dims, (*steps,))


Outputs = tuple[tuple[Piece, ...], ...]
"""The pieces of each of a region's outputs, in calling order."""


@dataclass(frozen=True, slots=True, eq=False)
class Scattered:
    """A graph without what the driver does.

    ``graph`` has one output port for each value in ``outputs``; ``macs`` are the
    multiply-accumulates that the network counts for nodes which were rewritten.
    """

    graph: g.Graph
    outputs: Outputs
    macs: dict[str, int]


def scatter_outputs(graph: g.Graph, config: HwConfig) -> Scattered:
    """``graph`` with the last operators of each output left to the driver where it can."""
    peeler = _Peeler(graph, config)
    outputs = tuple(
        tuple(peeler.pieces(port.value, 0, _dense_strides(port, graph.node(port.value).shape)))
        for port in graph.outputs
    )
    nodes = _live(peeler.rewritten(), {piece.value for pieces in outputs for piece in pieces})
    values = dict.fromkeys(piece.value for pieces in outputs for piece in pieces)
    shapes = {node.name: node.shape for node in nodes}
    ports = tuple(g.Port(value, shapes[value]) for value in values)
    kept = {node.name for node in nodes}
    macs = {name: count for name, count in peeler.macs.items() if name in kept}
    return Scattered(replace(graph, nodes=nodes, outputs=ports), outputs, macs)


def _dense_strides(port: g.Port, dims: Dims) -> Dims:
    """Elements from one image, channel, row and column of a value to the next in its port."""
    _, c, h, w = dims
    if port.layout == "NHWC":
        return (h * w * c, 1, w * c, c)
    return (c * h * w, h * w, w, 1)


def _live(nodes: tuple[g.Node, ...], outputs: set[str]) -> tuple[g.Node, ...]:
    """The nodes that ``outputs`` need, and every input."""
    needed, kept = set(outputs), []
    for node in reversed(nodes):
        if node.name in needed or isinstance(node, g.Input):
            needed.update(node.inputs)
            kept.append(node)
    return tuple(reversed(kept))


class _Peeler:
    """Follows outputs backwards through what the driver can do."""

    def __init__(self, graph: g.Graph, config: HwConfig) -> None:
        self._nodes = {node.name: node for node in graph.nodes}
        self._readers = Counter(name for node in graph.nodes for name in node.inputs)
        self._readers.update(port.value for port in graph.outputs)
        self._block = config.block
        self.macs: dict[str, int] = {}

    def rewritten(self) -> tuple[g.Node, ...]:
        """All nodes, rewritten ones in their places."""
        return tuple(self._nodes.values())

    def pieces(self, value: str, offset: int, strides: Dims, alone: bool = True) -> Iterator[Piece]:
        """Where ``value``, as it lies in the dense array, comes from.

        ``alone``: nothing else reads what is made of it.
        """
        node = self._nodes[value]
        alone = alone and self._readers[value] == 1
        if isinstance(node, g.Concat):
            for name in node.inputs:
                yield from self.pieces(name, offset, strides, alone)
                offset += self._nodes[name].shape[node.axis] * strides[node.axis]
            return
        if isinstance(node, g.Relayout):
            inner = _through(self._nodes[node.inputs[0]].shape, node, strides)
            if inner is not None:
                yield from self.pieces(node.inputs[0], offset, inner, alone)
                return
        if alone and isinstance(node, g.ConvTranspose2d) and self._in_phases(node):
            found = self._phased(node)
            self._take(found)
            (rows, columns), (n, _, h, w) = found.factor, found.conv.shape
            for number, (row, column) in enumerate(found.phases):
                yield Piece(
                    value,
                    found.conv.shape[1],
                    number * node.shape[1],
                    (n, node.shape[1], h, w),
                    offset + row * strides[2] + column * strides[3],
                    (*strides[:2], strides[2] * rows, strides[3] * columns),
                )
            return
        yield Piece(value, node.shape[1], 0, node.shape, offset, strides)

    def _in_phases(self, node: g.ConvTranspose2d) -> bool:
        """Whether a transposed convolution makes every pixel from one, for one reader."""
        n, _, h, w = self._nodes[node.inputs[0]].shape
        return (
            self._readers[node.name] == 1
            and node.groups == 1
            and node.weight.shape[2:] == node.stride
            and not any(node.pads)
            and node.shape == (n, node.shape[1], h * node.stride[0], w * node.stride[1])
        )

    def _phased(self, node: g.ConvTranspose2d) -> _Phased:
        """``node`` with phases for channels; also what it reads, where that pays."""
        source = self._nodes[node.inputs[0]]
        own = _in_channels(node, source.shape)
        if isinstance(source, g.ConvTranspose2d) and self._in_phases(source):
            below = self._phased(source)
            both = _on_phases(own, below)
            if self._steps(both.conv) <= len(below.phases) * self._steps(own.conv):
                return both
        return own

    def _take(self, found: _Phased | None) -> None:
        """Put convolutions in the places of the transposed ones that they replace."""
        while found is not None:
            self._nodes[found.conv.name] = found.conv
            self.macs[found.conv.name] = found.macs
            found = found.below

    def _steps(self, conv: g.Conv2d) -> int:
        """GEMM steps for a pixel."""
        out, source = conv.weight.shape[:2]
        return blocks(source, self._block) * blocks(out, self._block)


@dataclass(frozen=True, slots=True, eq=False)
class _Phased:
    """A transposed convolution as one of 1x1 whose channels are [phase][channel].

    Pixel (h, w) of phase (i, j) is pixel (h * factor[0] + i, w * factor[1] + j).
    """

    conv: g.Conv2d
    macs: int
    """As the network counts them."""
    factor: tuple[int, int]
    phases: tuple[tuple[int, int], ...]
    below: _Phased | None = None
    """What it reads, if that is in phases too."""


def _in_channels(node: g.ConvTranspose2d, source: Dims) -> _Phased:
    """A transposed convolution whose kernel is its stride, of a value of dims ``source``."""
    k, c, *stride = node.weight.shape
    phases = tuple((i, j) for i in range(stride[0]) for j in range(stride[1]))
    weight = node.weight.transpose(2, 3, 0, 1).reshape(len(phases) * k, c, 1, 1)
    scale = _tiled(node.scale, len(phases))
    folded = weight.sum((1, 2, 3), dtype=np.int64) * node.zero_point
    conv = g.Conv2d(
        node.name,
        node.inputs,
        (source[0], len(phases) * k, *source[2:]),
        np.ascontiguousarray(weight),
        replace(scale, bias=wrap32(scale.bias.astype(np.int64) - folded)),
        node.finish,
        pad_value=node.zero_point,
        origin=node.origin,
    )
    macs = source[0] * source[2] * source[3] * weight.size
    return _Phased(conv, macs, node.stride, phases)


def _on_phases(own: _Phased, below: _Phased) -> _Phased:
    """``own`` on an input that is in the phases of ``below``: each phase by itself."""
    copies = len(below.phases)
    k, c = own.conv.weight.shape[:2]
    weight = np.zeros((copies, k, copies, c), np.int16)
    weight[np.arange(copies), :, np.arange(copies)] = own.conv.weight[:, :, 0, 0]
    n, _, h, w = below.conv.shape
    conv = replace(
        own.conv,
        shape=(n, copies * k, h, w),
        weight=weight.reshape(copies * k, copies * c, 1, 1),
        scale=_tiled(own.conv.scale, copies),
    )
    (rows, columns), inner = own.factor, below.factor
    phases = tuple((i * rows + p, j * columns + q) for i, j in below.phases for p, q in own.phases)
    return _Phased(conv, own.macs, (inner[0] * rows, inner[1] * columns), phases, below)


def _tiled(scale: g.Scale, copies: int) -> g.Scale:
    """A scale for ``copies`` times the channels."""
    return g.Scale(
        *(
            np.tile(array, copies) if array.size > 1 else array
            for array in (scale.multiplier, scale.shift, scale.bias)
        )
    )


def _through(dims: Dims, node: g.Relayout, strides: Dims) -> Dims | None:
    """Strides for the input, of ``dims``, of a relayout whose result has ``strides``.

    None where the result's elements do not follow each other at one distance in
    row-major order, or the permutation takes an axis of the input apart.
    """
    order = axis_order(dims, node)
    step, distance = 0, 1
    for extent, stride in zip(reversed(node.shape), reversed(strides), strict=True):
        if extent == 1:
            continue
        step = step or stride
        if stride != step * distance:
            return None
        distance *= extent
    if order is None:
        return None
    result, size = [0, 0, 0, 0], step or 1
    for axis in reversed(order):
        result[axis] = size
        size *= dims[axis]
    return result[0], result[1], result[2], result[3]
