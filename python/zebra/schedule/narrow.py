"""Layers on narrower images: rows of one channel block, or parts of rows.

Line buffers of a chain hold whole rows. Where these are too wide for ACT, layers that
mix no channels can take the channel blocks for images, and layers that look at no
neighbours can take any part of a row for one. The bytes stay where they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from zebra.graph.nodes import Scale
from zebra.schedule.layers import (
    AccumLayer,
    BinaryLayer,
    GemmLayer,
    Layer,
    MoveLayer,
    TableLayer,
)
from zebra.schedule.views import View


def by_blocks(layers: Sequence[Layer]) -> list[Layer] | None:
    """Layers that work channel by channel, on one image for each channel block.

    A line buffer then holds rows of one block. None if channels of a layer mix, its
    parameters differ by channel, or there is one block or more than one image.
    """
    found: list[Layer] = []
    for layer in layers:
        views = [_block_images(view, layer.out) for view in (*layer.inputs, layer.out)]
        kept = [view for view in views if view is not None]
        if not _channel_by_channel(layer) or len(kept) < len(views):
            return None
        found.append(replace(layer, inputs=tuple(kept[:-1]), out=kept[-1]))
    return found


def _channel_by_channel(layer: Layer) -> bool:
    """Whether a layer of whole values treats all channels alike, each by itself."""
    if layer.whole is not None or layer.source is not None:
        return False
    if isinstance(layer, AccumLayer):
        scales = [scale for scale in (layer.scale, layer.divide) if scale is not None]
        return layer.taps is None and all(map(_per_tensor, scales))
    if isinstance(layer, BinaryLayer):
        return _per_tensor(layer.scale_a) and _per_tensor(layer.scale_b)
    return isinstance(layer, TableLayer | MoveLayer)


def _per_tensor(scale: Scale) -> bool:
    return scale.multiplier.size == scale.shift.size == scale.bias.size == 1


def _block_images(view: View, out: View) -> View | None:
    n, c, rows, columns = view.dims
    ragged = c % view.block and not view.whole
    if n > 1 or view.lane or ragged or c <= view.block or c != out.dims[1]:
        return None
    dims = (view.channel_blocks, view.block, rows, columns)
    return replace(view, dims=dims, strides=(view.strides[1], view.strides[1], *view.strides[2:]))


def narrowed(layers: Sequence[Layer], parts: int) -> list[Layer] | None:
    """Pixel by pixel layers on images of ``parts`` times the rows and less wide ones.

    Line buffers hold whole rows; where nothing looks at neighbours, any part of a row
    can be one. None if a layer does look, or does not divide so.
    """
    found: list[Layer] = []
    for layer in layers:
        views = [_narrow(view, layer.out, parts) for view in (*layer.inputs, layer.out)]
        point = isinstance(layer, BinaryLayer | TableLayer) or (
            isinstance(layer, GemmLayer)
            and layer.window.kernel == layer.window.stride == (1, 1)
            and layer.window.pad == (0, 0)
        )
        kept = [view for view in views if view is not None]
        if not point or layer.whole is not None or len(kept) < len(views):
            return None
        found.append(replace(layer, inputs=tuple(kept[:-1]), out=kept[-1]))
    return found


def _narrow(view: View, out: View, parts: int) -> View | None:
    n, c, rows, columns = view.dims
    row, column = view.strides[2:]
    if view.dims[2:] != out.dims[2:] or columns % parts or row != columns * column:
        return None
    strides = (*view.strides[:2], column * columns // parts, column)
    return replace(view, dims=(n, c, rows * parts, columns // parts), strides=strides)
