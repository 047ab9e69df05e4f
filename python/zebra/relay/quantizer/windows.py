"""Where the windows of a layer lie, and what each output of a convolution reads."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from zebra.relay.quantizer.steps import Linear

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Geometry:
    """Attributes of a layer's call as Python numbers; (rows, columns) where there are two."""

    operator: str
    groups: int = 1
    kernel: tuple[int, int] = (1, 1)
    strides: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Top, left, bottom, right."""


@lru_cache(maxsize=4096)
def geometry(step: Linear) -> Geometry:
    """Read once for each layer: every attribute is a call into TVM."""
    name, attrs = str(step.call.op.name), step.call.attrs
    if name == "nn.dense":
        return Geometry(name)
    top, left, bottom, right = (int(extent) for extent in attrs.padding)
    kernel, strides, dilation = (
        (int(pair[0]), int(pair[1]))
        for pair in (step.weight.shape[2:], attrs.strides, attrs.dilation)
    )
    return Geometry(name, int(attrs.groups), kernel, strides, dilation, (top, left, bottom, right))


def windows(step: Linear, data: Array) -> Array:
    """[N, C, H', W', KH, KW]: the input elements under each tap of nn.conv2d ``step``.

    A view of ``data`` [N, C, H, W] padded with zeros.
    """
    where = geometry(step)
    top, left, bottom, right = where.pads
    if any(where.pads):
        count, channels, rows, columns = data.shape
        padded = np.zeros(
            (count, channels, rows + top + bottom, columns + left + right), data.dtype
        )
        padded[:, :, top : top + rows, left : left + columns] = data
        data = padded
    (height, width), (down, across), (tall, wide) = where.kernel, where.strides, where.dilation
    reach = ((height - 1) * tall + 1, (width - 1) * wide + 1)
    view = sliding_window_view(data, reach, axis=(2, 3))
    return view[:, :, ::down, ::across, ::tall, ::wide]
