"""How a Relay tensor lies in a value [N, C, H, W]: reshapes and transposes cost nothing here.

A View is remembered for each Relay tensor; only an operator that needs its
operand in another order makes a Relayout node of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from zebra.graph.nodes import Shape
from zebra.relay.dims import graph_dims


def without_units(shape: Sequence[int]) -> tuple[int, ...]:
    """The axes longer than 1: units say nothing about the order of elements."""
    return tuple(size for size in shape if size != 1)


@dataclass(frozen=True, slots=True)
class View:
    """tensor = reshape(transpose(reshape(value, source), permutation), shape).

    ``source`` and ``permutation`` hold no axes of length 1.
    """

    value: str
    dims: Shape
    source: tuple[int, ...]
    permutation: tuple[int, ...]
    shape: tuple[int, ...]

    @classmethod
    def of(cls, value: str, dims: Shape, axes: Sequence[int]) -> View:
        """The tensor whose axis j is axis axes[j] of the value; missing axes are of length 1."""
        longer = [axis for axis in range(4) if dims[axis] != 1]
        permutation = tuple(longer.index(axis) for axis in axes if dims[axis] != 1)
        shape = tuple(dims[axis] for axis in axes)
        return cls(value, dims, without_units(dims), permutation, shape)

    @classmethod
    def row_major(cls, value: str, dims: Shape, shape: tuple[int, ...]) -> View:
        """The tensor that is the value's elements in their own order."""
        source = without_units(dims)
        return cls(value, dims, source, tuple(range(len(source))), shape)

    @property
    def permuted(self) -> tuple[int, ...]:
        """The source's axes in the tensor's order."""
        return tuple(self.source[axis] for axis in self.permutation)

    @property
    def in_order(self) -> bool:
        """True where the tensor's elements are in the value's own order."""
        return self.permutation == tuple(range(len(self.source)))

    def lies(self, axes: Sequence[int]) -> bool:
        """True where axis j of the tensor is axis axes[j] of the value, so that nothing moves."""
        turned = self.transpose(sorted(range(len(axes)), key=lambda j: axes[j]))
        return turned is not None and turned.in_order and self.dims == graph_dims(self.shape, axes)

    def reshape(self, shape: Sequence[int]) -> View:
        """The tensor reshaped, row-major."""
        return replace(self, shape=tuple(shape))

    def transpose(self, axes: Sequence[int]) -> View | None:
        """The tensor transposed, or None where its axes cut across the source's axes."""
        pieces = common_pieces(self.permuted, self.shape)
        if pieces is None:
            return None
        of_source, of_shape = pieces
        numbers: dict[int, list[int]] = {}
        for axis, lengths in zip(self.permutation, of_source, strict=True):
            numbers[axis] = list(lengths)
        starts: dict[int, int] = {}
        source: list[int] = []
        for axis in range(len(self.source)):
            starts[axis] = len(source)
            source += numbers[axis]
        order = [
            starts[axis] + step for axis in self.permutation for step in range(len(numbers[axis]))
        ]
        groups, position = [], 0
        for lengths in of_shape:
            groups.append(order[position : position + len(lengths)])
            position += len(lengths)
        permutation = [piece for axis in axes for piece in groups[axis]]
        merged = _merged(source, permutation)
        shape = tuple(self.shape[axis] for axis in axes)
        return View(self.value, self.dims, *merged, shape)


def _merged(
    source: Sequence[int], permutation: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The same order with axes that stay neighbours joined into one."""
    groups: list[list[int]] = []
    for axis in permutation:
        if groups and groups[-1][-1] == axis - 1:
            groups[-1].append(axis)
        else:
            groups.append([axis])
    by_source = sorted(groups)
    lengths = tuple(math.prod(source[axis] for axis in group) for group in by_source)
    return lengths, tuple(by_source.index(group) for group in groups)


def common_pieces(
    left: Sequence[int], right: Sequence[int]
) -> tuple[list[list[int]], list[list[int]]] | None:
    """Both shapes cut into the same factors: the factors of each axis, or None.

    (6, 4) and (2, 12) have the pieces 2, 3, 4: [[2, 3], [4]] and [[2], [3, 4]].
    An axis of length 1 has no pieces.
    """
    cuts = sorted(_suffix_products(left) | _suffix_products(right))
    if any(high % low for low, high in pairwise(cuts)):
        return None
    pieces = [high // low for low, high in pairwise(cuts)][::-1]
    return _dealt(pieces, left), _dealt(pieces, right)


def _suffix_products(shape: Sequence[int]) -> set[int]:
    return {math.prod(shape[index:]) for index in range(len(shape) + 1)}


def _dealt(pieces: Sequence[int], shape: Sequence[int]) -> list[list[int]]:
    dealt: list[list[int]] = []
    position = 0
    for size in shape:
        mine: list[int] = []
        while math.prod(mine) < size:
            mine.append(pieces[position])
            position += 1
        dealt.append(mine)
    return dealt
