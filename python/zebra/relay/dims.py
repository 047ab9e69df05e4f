"""Which axis of [N, C, H, W] each axis of a Relay tensor is."""

from __future__ import annotations

from collections.abc import Sequence

from zebra.graph.nodes import Shape

Axes = tuple[int, ...]
"""For each axis of a Relay tensor, the axis of [N, C, H, W] it is."""


def graph_dims(tensor: Sequence[int], axes: Sequence[int]) -> Shape:
    """[N, C, H, W] of a tensor whose axes are these; axes it does not have are 1."""
    dims = [1, 1, 1, 1]
    for size, axis in zip(tensor, axes, strict=True):
        dims[axis] = size
    return dims[0], dims[1], dims[2], dims[3]
