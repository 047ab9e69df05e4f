"""One layer made from its workload, to be timed without the network it comes from.

Time depends on sizes, addresses and modes, not on data, so weights are not
made: only the addresses where they would lie.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from zebra.codegen.constants import ConstantPool
from zebra.codegen.gemm import GemmPlan, plan_after, plan_before
from zebra.codegen.post import plan_post
from zebra.graph.nodes import BinaryKind, Finish, Scale
from zebra.hw import HwConfig
from zebra.isa.insns import AccumOp, PostOp
from zebra.schedule.layers import AccumLayer, BinaryLayer, GemmLayer, TableLayer, Window
from zebra.schedule.tiling import Before, GemmTiling, GemmWorkload
from zebra.schedule.views import Dims, View

Plan = Callable[[GemmTiling], GemmPlan]

ADDRESSES = {"x": 2 << 30, "y": 5 << 29, "out": 3 << 30}
"""Where the first input, the second and the output lie: apart, behind the constants."""
WEIGHTS = 1 << 30
"""Where the weights lie, behind the other constants."""


def synthetic_plan(work: GemmWorkload, config: HwConfig) -> Plan:
    """For any tiling of ``work`` the plan that codegen's generator takes."""
    pool = ConstantPool()
    gemm = _convolution(work, config.block)
    before = _before(work.before, gemm.inputs[0], config.block) if work.before else None
    after = _operator(work.after, gemm.out) if work.after else None
    scale = _scales(gemm.out.dims[1])
    post = plan_post(PostOp.SCALE, (scale,), gemm.out.dims[1], Finish(), pool, config)
    size = work.out_blocks * work.in_blocks * work.kernel[0] * work.kernel[1] * config.block**2
    weights = tuple(WEIGHTS + number * size for number in range(work.passes))
    step = work.in_blocks if work.separate_blocks else 0
    ranges = tuple((block * step, work.in_blocks) for block in range(work.out_blocks))
    behind = plan_after(after, gemm, pool, config)
    out = gemm.out if after is None else after.out

    def plan(tiling: GemmTiling) -> GemmPlan:
        made = plan_before(before, tiling, pool, config)
        return GemmPlan(gemm, out, tiling, ranges, work.in_blocks, weights, post, made, behind)

    return plan


def _convolution(work: GemmWorkload, block: int) -> GemmLayer:
    """Padding, which the workload does not tell, is spread evenly."""
    images = work.in_blocks * (work.out_blocks if work.separate_blocks else 1)
    x = View.blocked("x", (work.batch, images * block, *work.in_size), block)
    out = View.blocked("out", (work.batch, work.out_blocks * block, *work.out_size), block)
    window = Window(work.kernel, work.stride, work.dilation)
    missing = [
        max(0, window.span(work.out_size[axis], work.kernel[axis], axis) - work.in_size[axis])
        for axis in (0, 1)
    ]
    window = replace(window, pad=(missing[0] // 2, missing[1] // 2))
    no_weights = np.zeros((out.dims[1], 0, 0, 0), np.int16)
    return GemmLayer("gemm", "", (x,), out, window, no_weights, _scales(out.dims[1]), Finish())


def _scales(channels: int) -> Scale:
    """Parameters of their own for every channel, narrow enough for one pass."""
    return Scale(np.ones(channels, np.int32), np.ones(channels, np.int32), _zeros(channels))


def _zeros(channels: int) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    return np.zeros(channels, np.int32)


def _operator(cycles: int, out: View) -> BinaryLayer:
    """The operator of two tensors that takes ``cycles`` per vector, behind the convolution."""
    kind = BinaryKind.MULTIPLY if cycles == 3 else BinaryKind.ADD
    one = Scale(np.ones(1, np.int32), np.ones(1, np.int32))
    other = replace(out, buffer="y")
    return BinaryLayer("after", "", (out, other), out, kind, one, one, Finish())


def _before(before: Before, made: View, block: int) -> AccumLayer | BinaryLayer | TableLayer:
    """The VEC layer that computes ``made``."""
    window = Window(before.kernel, before.stride, before.dilation)
    n, c, *size = made.dims
    rows, columns = (window.span(size[axis], before.kernel[axis], axis) for axis in (0, 1))
    dims: Dims = (n, c, rows, columns)
    x = View.blocked("x", dims, block)
    if before.accumulates:
        return _accumulation(before, window, x, made)
    if before.operands == 2:
        return replace(_operator(before.cycles, x), out=made)
    return TableLayer("before", "", (x,), made, np.arange(256).astype(np.int8))


def _accumulation(before: Before, window: Window, x: View, made: View) -> AccumLayer:
    """Its passes and whether it has weights follow from its cycles and parameters."""
    taps = before.kernel[0] * before.kernel[1]
    passes = before.cycles - taps
    channels = made.dims[1]
    weights = None
    if before.parameters > 3 * passes:
        weights = np.zeros((channels, *before.kernel), np.int32)
    op = AccumOp.SUM if weights is None else AccumOp.MAC
    scale = _scales(channels)
    divide = scale if passes == 2 else None
    return AccumLayer("before", "", (x,), made, op, window, Finish(), weights, divide, scale)
