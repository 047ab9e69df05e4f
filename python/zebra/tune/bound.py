"""Cycles that a tiling cannot beat, without emitting its instructions.

What every program of a layer must do: each multiplication on the array, each result
requantized, each byte moved once, each instruction fetched. A point whose bound is
above a measured time need not be measured.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from zebra.hw import HwConfig
from zebra.isa.fields import WORD_BYTES
from zebra.schedule.tiling import GemmCandidates, GemmWorkload, pixel_tiles

IntArray = npt.NDArray[np.int64]


def lower_bounds(work: GemmWorkload, config: HwConfig, cand: GemmCandidates) -> IntArray:
    """A lower bound on the cycles of each candidate, in any order of its loops."""
    taps = work.kernel[0] * work.kernel[1]
    groups = _groups(work, config.rows, cand)
    gemm = groups * work.out_blocks * work.in_blocks * taps * work.passes
    gemm = gemm + _first_tile(work, config, cand) + _last_tile(work, config, cand)
    vec = groups * (work.out_blocks * _vec_cycles(work) + work.in_blocks * _before_cycles(work))
    dram = _bytes_once(work, config.block) + WORD_BYTES * _instructions(work, cand)
    moved = -(-dram // config["DRAM_BYTES_PER_CYCLE"])
    bound: IntArray = np.maximum(np.maximum(gemm, vec), moved)
    return bound


def _vec_cycles(work: GemmWorkload) -> int:
    """Cycles of VEC for each group of a result: one, and two reads of ACT for a second operand."""
    return 3 if work.after else 1


def _before_cycles(work: GemmWorkload) -> int:
    """Cycles of VEC for each group of an input that is computed on the way."""
    before = work.before
    if before is None:
        return 0
    return before.kernel[0] * before.kernel[1] + 1 if before.accumulates else before.operands


def _first_tile(work: GemmWorkload, config: HwConfig, cand: GemmCandidates) -> IntArray:
    """Cycles before the first multiplication: its weights, and its input without any padding."""
    weights = cand.weights * config.block**2
    pixels = np.ones_like(cand.rows)
    for axis, extent in enumerate((cand.height, cand.width)):
        padding = 2 * (work.kernel[axis] - 1) * work.dilation[axis]
        pixels = pixels * np.maximum(np.minimum(extent, work.in_size[axis]) - padding, 0)
    if work.before is None:
        size = weights + cand.in_blocks * pixels * config.block
        return config["DRAM_LATENCY"] + -(-size // config["DRAM_BYTES_PER_CYCLE"])
    made = cand.in_blocks * -(-pixels // config.rows) * _before_cycles(work)
    return np.maximum(made, -(-weights // config["DRAM_BYTES_PER_CYCLE"]))


def _last_tile(work: GemmWorkload, config: HwConfig, cand: GemmCandidates) -> IntArray:
    """Cycles behind the last multiplication: its tile is requantized and stored."""
    pixels = _rest(work.out_size[0], cand.rows) * _rest(work.out_size[1], cand.columns)
    blocks = _rest(work.out_blocks, cand.out_blocks)
    stored = -(-(blocks * pixels * config.block) // config["DRAM_BYTES_PER_CYCLE"])
    cycles: IntArray = blocks * -(-pixels // config.rows) * _vec_cycles(work) + stored
    return cycles


def _rest(extent: int, size: IntArray) -> IntArray:
    """The size of the last tile of an axis."""
    return (extent - 1) % size + 1


def _groups(work: GemmWorkload, rows: int, cand: GemmCandidates) -> IntArray:
    """Groups of ROWS pixels of all tiles of one output block: a group never spans two tiles."""
    total = np.zeros_like(cand.rows)
    for height, high in _sizes(work.out_size[0], cand.rows):
        for width, wide in _sizes(work.out_size[1], cand.columns):
            total += high * wide * -(-(height * width) // rows)
    groups: IntArray = total * work.batch
    return groups


def _sizes(extent: int, size: IntArray) -> tuple[tuple[IntArray, IntArray], ...]:
    """(size, number) of the whole tiles of an axis and of the one at its end."""
    rest = extent % size
    return (size, extent // size), (rest, np.minimum(rest, 1))


def _bytes_once(work: GemmWorkload, block: int) -> int:
    """DRAM bytes of weights, results and second operand, and input pixels that are read for sure."""
    taps = work.kernel[0] * work.kernel[1]
    weights = work.out_blocks * work.in_blocks * taps * block**2 * work.passes
    results = work.batch * work.out_blocks * work.out_size[0] * work.out_size[1] * block
    images = work.batch * work.in_blocks * (work.out_blocks if work.separate_blocks else 1)
    pixels = _pixels_read(work, 0) * _pixels_read(work, 1)
    operands = work.before.operands if work.before is not None else 1
    return weights + results * (2 if work.after else 1) + images * pixels * operands * block


def _pixels_read(work: GemmWorkload, axis: int) -> int:
    """Input rows or columns that some output needs; fewer where dilation leaves holes."""
    kernel, stride, out = work.kernel[axis], work.stride[axis], work.out_size[axis]
    if work.dilation[axis] > 1 or kernel < stride:
        # Each output has a tap on an input of its own, but padding may hold a kernel's worth.
        reach = (kernel - 1) * work.dilation[axis]
        return max(min(out, work.in_size[axis]) - reach, 0)
    return min(work.in_size[axis], (out - 1) * stride + kernel)


def _instructions(work: GemmWorkload, cand: GemmCandidates) -> IntArray:
    """Instructions at least: GEMMs and weight loads of each step, POST and STORE of each tile."""
    steps = (
        -(-work.in_blocks // cand.in_blocks)
        * -(-work.kernel[0] // cand.kernel_rows)
        * -(-work.kernel[1] // cand.kernel_columns)
        * work.passes
    )
    out_tiles = -(-work.out_blocks // cand.out_blocks)
    tiles = out_tiles * pixel_tiles(work, cand)
    count: IntArray = tiles * (steps + (4 if work.after else 2)) + out_tiles * steps
    return count
