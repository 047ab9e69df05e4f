"""Layers: the operators of a region in the machine's own terms.

A layer reads and writes Views and maps to one kind of instruction stream:
matrix multiplication (GEMM then POST), window accumulation (ACCUM then POST),
element-wise (POST), or movement (LOAD then STORE). Graph nodes become one or
more of them in select.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from zebra.graph.nodes import BinaryKind, Finish, Int8Array, Scale
from zebra.isa.insns import AccumOp
from zebra.schedule.views import View


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A sliding window: output pixel o reads input pixels o * stride + k * dilation - pad.

    Pixels outside the image read ``pad_value``. ``pad`` is (top, left); the
    bottom and right follow from the output's size.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    pad: tuple[int, int] = (0, 0)
    pad_value: int = 0

    def span(self, outputs: int, taps: int, axis: int) -> int:
        """Input pixels under ``outputs`` output pixels and ``taps`` kernel taps of one axis."""
        return (outputs - 1) * self.stride[axis] + (taps - 1) * self.dilation[axis] + 1

    def reach(self, outputs: tuple[int, int], taps: tuple[int, int], axis: int) -> tuple[int, int]:
        """(start, count) of the input pixels that outputs and taps (start, count) read."""
        start = outputs[0] * self.stride[axis] + taps[0] * self.dilation[axis] - self.pad[axis]
        return start, self.span(outputs[1], taps[1], axis)


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One layer: reads ``inputs``, writes ``out``."""

    name: str
    origin: str
    inputs: tuple[View, ...]
    out: View
    macs: int = field(default=0, kw_only=True)
    """Multiply-accumulates of the network's own operators that fall to this layer."""
    vec_macs: int = field(default=0, kw_only=True)
    """Those of ``macs`` that VEC does."""
    whole: View | None = field(default=None, kw_only=True)
    """The value of which ``out`` is a part, where several layers write one."""
    source: View | None = field(default=None, kw_only=True)
    """The value of which the first input is a part, where several layers read one in parts."""

    @property
    def written(self) -> tuple[View, ...]:
        """What it leaves in DRAM."""
        return (self.out,)


@dataclass(frozen=True, slots=True, eq=False)
class GemmLayer(Layer):
    """Convolution on the array.

    ``weight`` int16 [K, C / groups, KH, KW]; a value outside int8 takes a second
    pass (the sum of two int8 weights).
    """

    window: Window
    weight: npt.NDArray[np.int16]
    scale: Scale
    finish: Finish
    groups: int = 1
    passes: int = field(init=False)
    """GEMM passes: one, or two where a weight is outside int8."""

    def __post_init__(self) -> None:
        narrow = not self.weight.size or -128 <= self.weight.min() <= self.weight.max() <= 127
        object.__setattr__(self, "passes", 1 if narrow else 2)


@dataclass(frozen=True, slots=True, eq=False)
class AccumLayer(Layer):
    """Per-channel window reduction: depthwise convolution (MAC), SUM or MAX.

    ``taps`` int32 [C, KH, KW] for MAC. With ``divide`` the sum is first scaled by
    that, rounding toward zero (average pooling), then ``scale`` applies.
    """

    op: AccumOp
    window: Window
    finish: Finish
    taps: npt.NDArray[np.int32] | None = None
    divide: Scale | None = None
    scale: Scale | None = None


@dataclass(frozen=True, slots=True, eq=False)
class BinaryLayer(Layer):
    """Element-wise operator of two views; a view's dims may be 1 where it broadcasts."""

    kind: BinaryKind
    scale_a: Scale
    scale_b: Scale
    finish: Finish


@dataclass(frozen=True, slots=True, eq=False)
class TableLayer(Layer):
    """out = table[x]."""

    table: Int8Array


@dataclass(frozen=True, slots=True, eq=False)
class FusedLayer(Layer):
    """A convolution with its neighbours, tile by tile: what lies between them stays in ACT.

    ``before`` computes each tile that ``gemm`` reads, ``first`` each tile that
    ``before`` reads; ``after`` combines each tile that ``gemm`` writes with a second
    tensor of the same shape.
    """

    gemm: GemmLayer
    before: AccumLayer | BinaryLayer | GemmLayer | TableLayer | None = None
    after: BinaryLayer | None = None
    first: GemmLayer | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ChainLayer(Layer):
    """Layers that run as one pipeline of stripes; ``out`` is the last one's.

    ``outside`` are the buffers of theirs that others read or write, ``count`` the stripes.
    """

    parts: tuple[Layer, ...]
    outside: frozenset[str]
    count: int

    @property
    def written(self) -> tuple[View, ...]:
        """What it leaves in DRAM."""
        return tuple(part.out for part in self.parts if part.out.buffer in self.outside)


@dataclass(frozen=True, slots=True, eq=False)
class MoveLayer(Layer):
    """out = x, with ``pad`` (top, left) and ``value`` around it and nearest ``factor`` upsampling.

    ``out`` is [N, C, H', W'] with H' = (top + H + bottom) * factor; padding and
    upsampling are not combined.
    """

    pad: tuple[int, int] = (0, 0)
    value: int = 0
    factor: tuple[int, int] = field(default=(1, 1))


@dataclass(frozen=True, slots=True, eq=False)
class FillLayer(Layer):
    """out = value everywhere (channel padding)."""

    value: int = 0
