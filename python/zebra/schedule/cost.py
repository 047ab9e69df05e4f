"""The analytic cost of a tiling, in cycles, and the choice of the cheapest.

A coarse roofline: each tile costs the longest of its GEMM, VEC and DRAM times
when two tiles' buffers fit (double buffering), their sum when they do not.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from zebra.errors import UnsupportedError
from zebra.hw import HwConfig
from zebra.schedule.layers import Window
from zebra.schedule.tiling import (
    GemmCandidates,
    GemmTiling,
    GemmWorkload,
    Order,
    PixelTiling,
    WindowTiling,
    gemm_candidates,
    pixel_tilings,
    window_tilings,
)

TILE_OVERHEAD = 32
"""Cycles charged per instruction sequence of a tile: fetch, tokens, pipeline fill."""

FloatArray = npt.NDArray[np.float64]


def _ceil(a: npt.NDArray[np.int64] | int, b: npt.NDArray[np.int64] | int) -> FloatArray:
    return np.asarray(-(-np.asarray(a) // np.asarray(b)), np.float64)


def gemm_cycles(work: GemmWorkload, config: HwConfig, cand: GemmCandidates) -> list[FloatArray]:
    """Estimated cycles of every candidate, for each Order."""
    block = config.block
    pixel_tiles = _ceil(work.out_size[0], cand.rows) * _ceil(work.out_size[1], cand.columns)
    pixel_tiles = pixel_tiles * work.batch
    out_tiles = _ceil(work.out_blocks, cand.out_blocks)
    taps = work.kernel[0] * work.kernel[1]
    steps = (
        _ceil(work.in_blocks, cand.in_blocks)
        * _ceil(work.kernel[0], cand.kernel_rows)
        * _ceil(work.kernel[1], cand.kernel_columns)
        * work.passes
    )
    row_groups = cand.rows * _ceil(cand.columns, config.rows)
    gemm = (
        pixel_tiles * out_tiles * cand.out_blocks * row_groups
        * work.in_blocks * taps * work.passes
    )  # fmt: skip
    vec = pixel_tiles * out_tiles * cand.out_blocks * row_groups
    input_bytes = pixel_tiles * steps / work.passes * cand.act_in * block
    weight_bytes = float(work.out_blocks * work.in_blocks * taps * block * block * work.passes)
    out_bytes = pixel_tiles * out_tiles * cand.act_out * block
    doubled = (
        (2 * (cand.act_in + cand.act_out) <= config.act_entries)
        & (2 * cand.weights <= config.wgt_entries)
        & (2 * cand.act_out <= config.acc_entries)
    )
    all_weights = cand.weights * steps * out_tiles <= config.wgt_entries
    one_column = cand.weights * steps <= config.wgt_entries
    one_input = cand.act_in * steps / work.passes + 2 * cand.act_out <= config.act_entries
    overhead = pixel_tiles * out_tiles * steps * TILE_OVERHEAD
    costs = []
    for order in Order:
        if order is Order.PIXELS_OUTER:
            reads = input_bytes * np.where(one_input, 1.0, out_tiles)
            loads = weight_bytes * np.where(all_weights, 1.0, pixel_tiles)
        else:
            reads = input_bytes * out_tiles
            loads = weight_bytes * np.where(one_column, 1.0, pixel_tiles)
        dram = (reads + loads + out_bytes) / config["DRAM_BYTES_PER_CYCLE"]
        busiest = np.maximum(np.maximum(gemm, vec), dram)
        costs.append(np.where(doubled, busiest, gemm + vec + dram) + overhead)
    return costs


@lru_cache(maxsize=4096)
def best_gemm_tiling(work: GemmWorkload, config: HwConfig) -> GemmTiling:
    """The cheapest legal tiling; ties go to the first, so the choice is deterministic."""
    cand = gemm_candidates(work, config)
    costs = gemm_cycles(work, config, cand)
    order = min(Order, key=lambda o: (float(costs[o].min()), o))
    best = int(np.argmin(costs[order]))
    return GemmTiling(
        int(cand.out_blocks[best]),
        int(cand.in_blocks[best]),
        (int(cand.kernel_rows[best]), int(cand.kernel_columns[best])),
        (int(cand.rows[best]), int(cand.columns[best])),
        order,
    )


def best_window_tiling(
    blocks: int, out_size: tuple[int, int], window: Window, parameters: int, config: HwConfig
) -> WindowTiling:
    """The largest tile that fits twice, or once where that is impossible."""
    for slots in (2, 1):
        tilings = window_tilings(blocks, out_size, window, parameters, config, slots)
        best = max(tilings, key=_window_work, default=None)
        if best is not None:
            return best
    raise UnsupportedError(
        f"no tiling of a {window.kernel[0]}x{window.kernel[1]} window fits {config.name}"
    )


def _window_work(tiling: WindowTiling) -> tuple[int, int, int]:
    taps = tiling.kernel[0] * tiling.kernel[1]
    pixels = tiling.pixels[0] * tiling.pixels[1]
    return taps, tiling.blocks * pixels, tiling.pixels[1]


def best_pixel_tiling(
    blocks: int, out_size: tuple[int, int], vectors: int, parameters: int, config: HwConfig
) -> PixelTiling:
    """The largest element-wise tile that fits twice, or once where that is impossible."""
    for slots in (2, 1):
        best = _largest(
            pixel_tilings(
                blocks,
                out_size,
                vectors,
                config.act_entries // slots,
                parameters,
                config.par_entries // slots,
            )
        )
        if best is not None:
            return best
    raise UnsupportedError(
        f"no element-wise tile of {vectors} vectors per pixel fits configuration {config.name}"
    )


def _largest(tilings: Iterable[PixelTiling]) -> PixelTiling | None:
    return max(
        tilings, key=lambda t: (t.blocks * t.pixels[0] * t.pixels[1], t.pixels[1]), default=None
    )
