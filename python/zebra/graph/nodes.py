"""Typed, frozen nodes of a quantized network region.

Every value is an int8 tensor [N, C, H, W] (dense vectors are [N, C, 1, 1]).
Scales are gone: what is left of them are integer multipliers and shifts in
numerics.requantize's form. A Graph is a topologically ordered tuple of nodes;
each node names the value it defines.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from zebra.numerics import INT8_MAX, INT8_MIN

Int8Array = npt.NDArray[np.int8]
Int32Array = npt.NDArray[np.int32]
Shape = tuple[int, int, int, int]
Pads = tuple[int, int, int, int]
"""(top, left, bottom, right), as Relay orders them."""


@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    """x -> requantize(x + bias, m, s): int32 arrays of one element, or one per channel."""

    multiplier: Int32Array
    shift: Int32Array
    bias: Int32Array = field(default_factory=lambda: np.zeros(1, np.int32))


@dataclass(frozen=True, slots=True, eq=False)
class Finish:
    """y -> int8: add ``offset`` (the zero point), clamp to [low, high], look up ``table``.

    ``table`` is int8[256], indexed by the clamped byte taken as unsigned; a
    table is how any further unary operator is fused.
    """

    offset: int = 0
    low: int = INT8_MIN
    high: int = INT8_MAX
    table: Int8Array | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One operator. ``name`` is the value it defines, ``inputs`` the values it reads."""

    name: str
    inputs: tuple[str, ...]
    shape: Shape
    """Shape of the value defined, [N, C, H, W]."""
    origin: str = field(default="", kw_only=True)
    """Where it came from, for people: the source operators, e.g. "conv2d+add+relu"."""


@dataclass(frozen=True, slots=True, eq=False)
class Input(Node):
    """A value the region receives."""


@dataclass(frozen=True, slots=True, eq=False)
class Constant(Node):
    """A constant tensor (an operand of add or multiply); data int8 [N, C, H, W]."""

    data: Int8Array


@dataclass(frozen=True, slots=True, eq=False)
class Conv2d(Node):
    """acc[k] = sum x * weight + bias[k]; then scale (bias included there) and finish.

    weight int16 [K, C / groups, KH, KW], each value in -256..254 (a value outside
    int8 costs a second pass: it is the sum of two int8); scale.bias is int32 [K]
    with the zero points folded in. ``pad_value`` is the input's zero point.
    Groups = C = K is depthwise. A pad may be negative: it crops.
    """

    weight: npt.NDArray[np.int16]
    scale: Scale
    finish: Finish
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    pads: Pads = (0, 0, 0, 0)
    pad_value: int = 0
    groups: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class ConvTranspose2d(Node):
    """out[o] = sum over i, k with i * stride + k - pad_begin = o of x[i] * weight[k], per group.

    weight int16 [K, C / groups, KH, KW] (already output-channel major, kernel not
    flipped); the output's size is ``shape`` (output padding included). How many
    taps meet the image depends on the output pixel, so here the zero point is not
    folded: acc sums (x - zero_point) * weight, and scale.bias is the plain bias.
    """

    weight: npt.NDArray[np.int16]
    scale: Scale
    finish: Finish
    stride: tuple[int, int] = (1, 1)
    pads: Pads = (0, 0, 0, 0)
    groups: int = 1
    zero_point: int = 0


class PoolKind(enum.Enum):
    """Reduction of a pooling window."""

    MAX = "max"
    AVERAGE = "average"


@dataclass(frozen=True, slots=True, eq=False)
class Pool(Node):
    """Pooling over explicit windows: covers padding, ceil mode, global and adaptive pools.

    Output (i, j) reduces rows [start, start + length) of rows[i] and the columns
    of columns[j], clipped to the image. MAX: the maximum, then finish.
    AVERAGE: acc = sum of (x - zero_point) over the clipped window; v = trunc(acc * gain /
    divisor(i, j)); then scale, finish. divisor is ``count`` if set (padding counted),
    else the window's clipped area.
    """

    kind: PoolKind
    rows: tuple[tuple[int, int], ...]
    columns: tuple[tuple[int, int], ...]
    finish: Finish
    scale: Scale | None = None
    gain: int = 1
    count: int | None = None
    zero_point: int = 0


class BinaryKind(enum.Enum):
    """Element-wise operators of two tensors."""

    ADD = "add"
    SUBTRACT = "subtract"
    MULTIPLY = "multiply"


@dataclass(frozen=True, slots=True, eq=False)
class Binary(Node):
    """ADD, SUBTRACT: finish(scale_a(a) +- scale_b(b)). MULTIPLY: see below.

    MULTIPLY: finish(requantize((a + scale_a.bias) * (b + scale_b.bias)) with
    scale_a's multiplier and shift). Operands broadcast as NumPy does: each of
    N, C, H, W is equal or 1.
    """

    kind: BinaryKind
    scale_a: Scale
    scale_b: Scale
    finish: Finish


@dataclass(frozen=True, slots=True, eq=False)
class Table(Node):
    """Any unary int8 -> int8 function: table int8[256], indexed by the byte as unsigned."""

    table: Int8Array


@dataclass(frozen=True, slots=True, eq=False)
class Concat(Node):
    """Concatenation along ``axis`` (0..3)."""

    axis: int


@dataclass(frozen=True, slots=True, eq=False)
class Slice(Node):
    """x[begin::stride] per axis, ``shape`` elements of each; strides >= 1."""

    begin: Shape
    stride: Shape = (1, 1, 1, 1)


@dataclass(frozen=True, slots=True, eq=False)
class Pad(Node):
    """Constant padding of C, H or W; ``before`` elements in front on each axis."""

    before: Shape
    value: int


@dataclass(frozen=True, slots=True, eq=False)
class Upsample(Node):
    """Nearest neighbour by integer factors: out[i] = in[i // factor]."""

    factor: tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Relayout(Node):
    """Transpose by ``permutation`` (NumPy's meaning), then reshape row-major to ``shape``.

    ``source`` is the 4-D (or any-D) logical shape the input is first reshaped to.
    """

    source: tuple[int, ...]
    permutation: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output of the region as its caller sees it.

    ``layout`` is how the caller's dense row-major array of ``shape`` maps to the
    value [N, C, H, W]: "NCHW" (any shape, reshaped row-major) or "NHWC" (4-D).
    """

    value: str
    shape: tuple[int, ...]
    layout: str = "NCHW"


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """A region: nodes in topological order, its inputs and outputs in calling order."""

    name: str
    nodes: tuple[Node, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    def node(self, value: str) -> Node:
        """The node that defines ``value``; KeyError if none does."""
        for node in self.nodes:
            if node.name == value:
                return node
        raise KeyError(value)
