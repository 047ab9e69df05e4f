"""The first-layer rewrite: kernel taps of a convolution of few channels become channels.

An image has three channels, so a convolution that reads it fills three lanes of
every vector. The driver can lay the pixels under several taps side by side as
it packs the image; the convolution then has more channels and fewer taps. See
docs/adr/0008-the-driver-folds-taps-into-channels.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from zebra.graph import nodes as g
from zebra.hw import HwConfig
from zebra.schedule.views import blocks


@dataclass(frozen=True, slots=True)
class Fold:
    """How the driver folds an input [N, C, H, W] into [N, taps * C, H', W'].

    Channel (i * taps[1] + j) * C + c of pixel (h, w) is channel c of the input's
    pixel (h * step[0] + i * dilation[0] - top, w * step[1] + j * dilation[1] - left),
    or ``pad_value`` where that lies outside the image. H' and W' are what a
    convolution of this kernel, stride, dilation and these pads would give. The
    pairs are (rows, columns), ``pads`` is (top, left, bottom, right), and a
    negative pad crops.
    """

    taps: tuple[int, int] = (1, 1)
    step: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    pads: g.Pads = (0, 0, 0, 0)
    pad_value: int = 0

    def folded(self, dims: g.Shape) -> g.Shape:
        """Dimensions of the folded value; H' or W' is below 1 where the taps do not fit."""
        n, c, *image = dims
        rows, columns = (
            (image[axis] + self.pads[axis] + self.pads[2 + axis] - 1
             - (self.taps[axis] - 1) * self.dilation[axis]) // self.step[axis] + 1
            for axis in (0, 1)
        )  # fmt: skip
        return n, self.taps[0] * self.taps[1] * c, rows, columns

    def apply(self, value: g.Int8Array) -> g.Int8Array:
        """int8 [N, C, H, W] to the folded int8 [N, taps * C, H', W']."""
        n, c, height, width = value.shape
        _, channels, high, wide = self.folded((n, c, height, width))
        out = np.empty((n, *self.taps, c, high, wide), np.int8)
        for i, j in np.ndindex(*self.taps):
            rows = self._source(high, i, 0)
            columns = self._source(wide, j, 1)
            inside = _within(rows, height)[:, None] & _within(columns, width)
            nearest = rows.clip(0, height - 1)[:, None], columns.clip(0, width - 1)
            out[:, i, j] = np.where(inside, value[:, :, nearest[0], nearest[1]], self.pad_value)
        return out.reshape(n, channels, high, wide)

    def _source(self, count: int, tap: int, axis: int) -> npt.NDArray[np.int64]:
        first = tap * self.dilation[axis] - self.pads[axis]
        return np.arange(count, dtype=np.int64) * self.step[axis] + first


NO_FOLD = Fold()
"""Leaves every value as it is."""


def _within(positions: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.bool_]:
    return (positions >= 0) & (positions < size)


Folded = tuple[g.Graph, tuple[Fold, ...]]
"""A graph on folded inputs, and the fold of each of its inputs in calling order."""


def fold_inputs(graph: g.Graph, config: HwConfig) -> Folded:
    """``graph`` on folded inputs, and the fold of each of its inputs in calling order.

    The new graph computes from the folded inputs what ``graph`` computes from its
    own, bit for bit. Its input ports have the folded shapes, layout "NCHW". An
    input is folded if a convolution alone reads it, if that leaves at least half
    of the lanes empty, and if the estimated cost of that convolution falls.
    """
    return next(fold_alternatives(graph, config))


def fold_alternatives(graph: g.Graph, config: HwConfig) -> Iterator[Folded]:
    """What ``fold_inputs`` gives, then the same with one input folded in another way."""
    options = [_options(graph, port.value, config) for port in graph.inputs]
    yield _with_folds(graph, [each[0] for each in options])
    for number, each in enumerate(options):
        for other in each[1:]:
            yield _with_folds(
                graph, [other if n == number else own[0] for n, own in enumerate(options)]
            )


def _options(graph: g.Graph, name: str, config: HwConfig) -> list[tuple[Fold, g.Conv2d | None]]:
    """The folds of one input with the convolution on it, the cheapest first."""
    conv, image = _only_reader(graph, name), graph.node(name)
    if conv is None or conv.groups != 1 or 2 * image.shape[1] >= config.block:
        return [(NO_FOLD, None)]
    found = [(NO_FOLD, conv), *choices(image, conv)]
    found.sort(key=lambda choice: _cost(choice[0].folded(image.shape), choice[1], config))
    return [*found]


def _with_folds(graph: g.Graph, chosen: list[tuple[Fold, g.Conv2d | None]]) -> Folded:
    changed: dict[str, g.Node] = {}
    for port, (fold, conv) in zip(graph.inputs, chosen, strict=True):
        if conv is not None and fold is not NO_FOLD:
            image = graph.node(port.value)
            changed[port.value] = replace(image, shape=fold.folded(image.shape))
            changed[conv.name] = conv
    nodes = tuple(changed.get(node.name, node) for node in graph.nodes)
    ports = tuple(_port(port, changed.get(port.value)) for port in graph.inputs)
    return replace(graph, nodes=nodes, inputs=ports), tuple(fold for fold, _ in chosen)


def _port(port: g.Port, folded: g.Node | None) -> g.Port:
    return port if folded is None else g.Port(port.value, folded.shape)


def _only_reader(graph: g.Graph, name: str) -> g.Conv2d | None:
    """The convolution that is the one use of the value ``name``."""
    readers = [node for node in graph.nodes if name in node.inputs]
    exposed = any(port.value == name for port in graph.outputs)
    if exposed or len(readers) != 1 or not isinstance(readers[0], g.Conv2d):
        return None
    return readers[0]


def choices(image: g.Node, conv: g.Conv2d) -> Iterator[tuple[Fold, g.Conv2d]]:
    """Folds of all kernel columns and of one, a stride's worth, or all of the kernel's rows."""
    (kh, kw), (sh, sw), (dh, dw) = conv.weight.shape[2:], conv.stride, conv.dilation
    top, left, bottom, right = conv.pads
    value = conv.pad_value
    columns = Fold((1, kw), (1, sw), (1, dw), (0, left, 0, right), value)
    yield columns, _on_fold(conv, 1, (sh, 1), (dh, 1), (top, 0, bottom, 0))
    if sh > 1 and dh == 1:
        rows = conv.shape[2] + blocks(kh, sh) - 1
        below = rows * sh - image.shape[2] - top
        phases = Fold((sh, kw), conv.stride, conv.dilation, (top, left, below, right), value)
        yield phases, _on_fold(conv, sh)
    yield Fold((kh, kw), conv.stride, conv.dilation, conv.pads, value), _on_fold(conv, kh)


def _on_fold(
    conv: g.Conv2d,
    rows: int,
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    pads: g.Pads = (0, 0, 0, 0),
) -> g.Conv2d:
    """``conv`` on its folded input, with the geometry that the fold left to it."""
    weight = fold_weight(conv.weight, rows)
    return replace(conv, weight=weight, stride=stride, dilation=dilation, pads=pads)


def fold_weight(weight: npt.NDArray[np.int16], rows: int) -> npt.NDArray[np.int16]:
    """[K, C, KH, KW] to [K, rows * KW * C, ceil(KH / rows), 1]; taps that are missing are 0."""
    k, c, kh, kw = weight.shape
    left = blocks(kh, rows)
    filled = np.zeros((k, c, left * rows, kw), np.int16)
    filled[:, :, :kh] = weight
    split = filled.reshape(k, c, left, rows, kw).transpose(0, 3, 4, 1, 2)
    return np.ascontiguousarray(split).reshape(k, rows * kw * c, left, 1)


def _cost(dims: g.Shape, conv: g.Conv2d, config: HwConfig) -> tuple[int, int]:
    """Estimated cycles of ``conv`` on an input of ``dims``, and the input's bytes in DRAM."""
    n, channels, height, width = dims
    k, _, *kernel = conv.weight.shape
    vectors = blocks(channels, config.block)
    size = n * vectors * height * width * config.block
    pixels = n * conv.shape[2] * conv.shape[3]
    steps = blocks(k, config.block) * vectors * kernel[0] * kernel[1]
    cycles = -(-pixels // config.rows) * steps
    return max(cycles, -(-size // config["DRAM_BYTES_PER_CYCLE"])), size
