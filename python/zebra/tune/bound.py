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
from zebra.schedule.tiling import Before, GemmCandidates, GemmWorkload, pixel_tiles

IntArray = npt.NDArray[np.int64]
Size = tuple[int, int]


def lower_bounds(work: GemmWorkload, config: HwConfig, cand: GemmCandidates) -> IntArray:
    """A lower bound on the cycles of each candidate, in any order of its loops."""
    taps = work.kernel[0] * work.kernel[1]
    groups = _groups(work, config.rows, cand)
    made = groups * work.in_blocks if work.before is not None else 0
    gemm = groups * work.out_blocks * work.in_blocks * taps * work.passes
    if work.before is not None:
        gemm = gemm + made * work.before.gemm
    gemm = gemm + _first_tile(work, config, cand) + _last_tile(work, config, cand)
    vec = groups * work.out_blocks * _vec_cycles(work) + made
    if work.before is not None and work.before.accumulates and not work.before.gemm:
        window = work.before.kernel[0] * work.before.kernel[1]
        vec = vec + groups * (work.in_blocks - cand.on_array) * window
    dram = _bytes_once(work, config.block) + WORD_BYTES * _instructions(work, cand)
    moved = -(-dram // config["DRAM_BYTES_PER_CYCLE"])
    bound: IntArray = np.maximum(np.maximum(gemm, vec), moved)
    return bound


def _vec_cycles(work: GemmWorkload) -> int:
    """Cycles of VEC for each group of a result: one, and two reads of ACT for a second operand."""
    return 3 if work.after else 1


def _first_tile(work: GemmWorkload, config: HwConfig, cand: GemmCandidates) -> IntArray:
    """Cycles before the first multiplication: its weights, and its input without any padding."""
    size = cand.weights * config.block**2
    if work.before is None:
        pixels = np.ones_like(cand.rows)
        for axis, extent in enumerate((cand.height, cand.width)):
            padding = 2 * (work.kernel[axis] - 1) * work.dilation[axis]
            pixels = pixels * np.maximum(np.minimum(extent, work.in_size[axis]) - padding, 0)
        size = size + cand.in_blocks * pixels * config.block
    cycles: IntArray = config["DRAM_LATENCY"] + -(-size // config["DRAM_BYTES_PER_CYCLE"])
    return cycles


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
    """DRAM bytes of weights, results and second operand, and of input pixels that are needed."""
    taps = work.kernel[0] * work.kernel[1]
    weights = work.out_blocks * work.in_blocks * taps * block**2 * work.passes
    results = work.batch * work.out_blocks * work.out_size[0] * work.out_size[1] * block
    twice = 2 if work.after else 1
    return weights + results * twice + work.batch * _vectors_read(work) * block


def _vectors_read(work: GemmWorkload) -> int:
    """Input vectors of one image that are read for sure."""
    before = work.before
    if before is None:
        blocks = work.in_blocks * (work.out_blocks if work.separate_blocks else 1)
        return blocks * _pixels_read(work, work.in_size, work.out_size)
    pixels = _pixels_read(before, before.in_size, work.in_size)
    if before.first is None:
        return (before.in_blocks or work.in_blocks) * before.operands * pixels
    return before.first.in_blocks * pixels if before.first.kernel == (1, 1) else 0


def _pixels_read(window: GemmWorkload | Before, source: Size, out: Size) -> int:
    """Input pixels that some output needs; padding may hold a kernel's worth of each axis."""
    pixels = 1
    for axis in (0, 1):
        kernel, stride = window.kernel[axis], window.stride[axis]
        dense = window.dilation[axis] == 1 and kernel >= stride
        reach = out[axis] * stride if dense else out[axis]
        pixels *= max(min(source[axis], reach) - 2 * (kernel - 1) * window.dilation[axis], 0)
    return pixels


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
