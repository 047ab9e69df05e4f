"""One layer made from its workload, to be timed without the network it comes from.

Time depends on sizes, addresses and modes, not on data: weights are all alike.
Padding, which a workload does not tell, is spread evenly.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from zebra.graph.nodes import BinaryKind, Finish, Scale
from zebra.isa.insns import AccumOp
from zebra.schedule.layers import (
    AccumLayer,
    BinaryLayer,
    FusedLayer,
    GemmLayer,
    TableLayer,
    Window,
)
from zebra.schedule.tiling import Before, GemmWorkload
from zebra.schedule.views import View

ADDRESSES = {"x": 2 << 30, "y": 5 << 29, "out": 3 << 30}
"""Where the inputs and the output lie: apart, behind the constants."""

Size = tuple[int, int]


def synthetic_layer(work: GemmWorkload, block: int) -> GemmLayer | FusedLayer:
    """A layer of which ``work`` is the workload with channel blocks of ``block``."""
    groups = work.out_blocks if work.separate_blocks else 1
    x = _view("x", work.batch, groups * work.in_blocks, work.in_size, block)
    out = _view("out", work.batch, work.out_blocks, work.out_size, block)
    window = _window(work.kernel, work.stride, work.dilation, work.in_size, work.out_size)
    gemm = _convolution(x, out, window, work.passes, groups)
    if work.before is None and not work.after:
        return gemm
    after = _operator(work.after, (out, replace(out, buffer="y")), out) if work.after else None
    before, first = None, None
    if work.before is not None:
        before, first = _before(work.before, x)
    source = first or before or gemm
    others = (after.inputs[1],) if after is not None else ()
    return FusedLayer("fused", "", (*source.inputs, *others), out, gemm, before, after, first)


def _view(buffer: str, batch: int, blocks: int, size: Size, block: int) -> View:
    return View.blocked(buffer, (batch, blocks * block, *size), block)


def _window(kernel: Size, stride: Size, dilation: Size, source: Size, out: Size) -> Window:
    window = Window(kernel, stride, dilation)
    top, left = (
        max(0, window.span(out[axis], kernel[axis], axis) - source[axis]) // 2 for axis in (0, 1)
    )
    return replace(window, pad=(top, left))


def _convolution(x: View, out: View, window: Window, passes: int, groups: int = 1) -> GemmLayer:
    shape = (out.dims[1], x.dims[1] // groups, *window.kernel)
    # A weight outside int8 takes the second pass.
    weight = np.full(shape, 0 if passes == 1 else 200, np.int16)
    scale = _scales(out.dims[1])
    return GemmLayer("gemm", "", (x,), out, window, weight, scale, Finish(), groups)


def _scales(channels: int) -> Scale:
    """Parameters of their own for every channel, narrow enough for one pass."""
    one = np.ones(channels, np.int32)
    return Scale(one, one, np.zeros(channels, np.int32))


def _operator(cycles: int, inputs: tuple[View, View], out: View) -> BinaryLayer:
    """The operator of two tensors that takes ``cycles`` per vector."""
    kind = BinaryKind.MULTIPLY if cycles == 3 else BinaryKind.ADD
    one = Scale(np.ones(1, np.int32), np.ones(1, np.int32))
    return BinaryLayer("operator", "", inputs, out, kind, one, one, Finish())


def _before(
    before: Before, made: View
) -> tuple[AccumLayer | BinaryLayer | GemmLayer | TableLayer, GemmLayer | None]:
    """The layer that computes ``made``, and the convolution in front of it if there is one."""
    batch, channels = made.dims[:2]
    blocks = before.in_blocks or channels // made.block
    x = _view("x", batch, blocks, before.in_size, made.block)
    size = (made.dims[2], made.dims[3])
    window = _window(before.kernel, before.stride, before.dilation, before.in_size, size)
    if before.gemm:
        taps = before.kernel[0] * before.kernel[1]
        return _convolution(x, made, window, before.gemm // (before.in_blocks * taps)), None
    if before.accumulates:
        first = _before(before.first, x)[0] if before.first is not None else None
        assert first is None or isinstance(first, GemmLayer)
        return _accumulation(before, window, x, made), first
    if before.operands == 2:
        return _operator(before.vec, (x, replace(x, buffer="y")), made), None
    return TableLayer("table", "", (x,), made, np.arange(256).astype(np.int8)), None


def _accumulation(before: Before, window: Window, x: View, made: View) -> AccumLayer:
    """Its passes and its taps follow from its cycles and parameters."""
    kernel, channels = before.kernel, made.dims[1]
    passes = before.vec - kernel[0] * kernel[1]
    taps: npt.NDArray[np.int32] | None = None
    if before.parameters > 3 * passes:
        taps = np.full((channels, *kernel), 0 if before.taps else 200, np.int32)
    op = AccumOp.SUM if taps is None else AccumOp.MAC
    scale = _scales(channels)
    divide = scale if passes == 2 else None
    return AccumLayer("before", "", (x,), made, op, window, Finish(), taps, divide, scale)
