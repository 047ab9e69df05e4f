"""The analytic cost of a tiling, in cycles, and the choice of the cheapest.

A roofline over the whole layer: the longest of its GEMM, VEC and DRAM times where
two tiles' buffers fit (double buffering), their sum where they do not; and what no
engine can overlap, the first tile's loads and the last tile's results.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
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
    pixel_tiles,
    pixel_tilings,
    window_tilings,
)

TILE_OVERHEAD = 16
"""Cycles charged per tile and engine: fetch, tokens, pipeline fill."""

FloatArray = npt.NDArray[np.float64]


def _ceil(a: npt.NDArray[np.int64] | int, b: npt.NDArray[np.int64] | int) -> FloatArray:
    return np.asarray(-(-np.asarray(a) // np.asarray(b)), np.float64)


@dataclass(frozen=True, slots=True)
class GemmCost:
    """Cycles of every candidate by what they are spent on, for one loop order."""

    gemm: FloatArray
    vec: FloatArray
    dram: FloatArray
    edges: FloatArray
    """What overlaps with nothing of this layer: first loads, last results."""
    overlaps: npt.NDArray[np.bool_]
    """Two tiles' buffers fit, so that the engines work side by side."""

    @property
    def total(self) -> FloatArray:
        """The longest of the three where they overlap, else their sum; and the edges."""
        busiest = np.maximum(np.maximum(self.gemm, self.vec), self.dram)
        return np.where(self.overlaps, busiest, self.gemm + self.vec + self.dram) + self.edges


@dataclass(frozen=True, slots=True)
class _Counts:
    """How many tiles there are, and the machine cycles to walk over one tile's pixels."""

    pixel_tiles: FloatArray
    out_tiles: FloatArray
    steps: FloatArray
    groups: FloatArray

    @classmethod
    def of(cls, work: GemmWorkload, config: HwConfig, cand: GemmCandidates) -> _Counts:
        steps = (
            _ceil(work.in_blocks, cand.in_blocks)
            * _ceil(work.kernel[0], cand.kernel_rows)
            * _ceil(work.kernel[1], cand.kernel_columns)
        )
        flat = 2 * cand.columns >= config.rows
        groups = np.where(
            flat,
            _ceil(cand.rows * cand.columns, config.rows),
            cand.rows * _ceil(cand.columns, config.rows),
        )
        out_tiles = _ceil(work.out_blocks, cand.out_blocks)
        return cls(pixel_tiles(work, cand).astype(np.float64), out_tiles, steps, groups)


def gemm_costs(work: GemmWorkload, config: HwConfig, cand: GemmCandidates) -> list[GemmCost]:
    """The estimated cost of every candidate, for each Order."""
    counts = _Counts.of(work, config, cand)
    taps = work.kernel[0] * work.kernel[1]
    tiles = counts.pixel_tiles * counts.out_tiles
    out_vectors = tiles * cand.out_blocks * counts.groups
    gemm = out_vectors * work.in_blocks * taps * work.passes
    gemm = gemm + tiles * counts.steps * work.passes * TILE_OVERHEAD
    vec = out_vectors * (1 + work.after) + tiles * TILE_OVERHEAD
    bandwidth = config["DRAM_BYTES_PER_CYCLE"]
    source, read = _input_bytes(work, config, cand)
    written = _row_bytes(
        cand.out_blocks * cand.rows, cand.columns, cand.columns >= work.out_size[1], config
    )
    weights = float(work.out_blocks * work.in_blocks * taps * config.block**2 * work.passes)
    tile_weights = cand.weights * float(config.block**2)
    results = written * (2 if work.after else 1)
    overlaps = _overlaps(work, config, cand)
    costs = []
    for order in Order:
        again, repeats = _repeats(work, config, cand, counts, order)
        dram = counts.pixel_tiles * read * again + weights * repeats + tiles * results
        maker = counts.pixel_tiles * again * _before_cycles(work, cand, counts)
        edges = (
            (source + tile_weights) / bandwidth / 2
            + _before_cycles(work, cand, counts)
            + cand.out_blocks * counts.groups * (1 + work.after)
            + written / bandwidth
            + 2 * config["DRAM_LATENCY"]
        )
        costs.append(GemmCost(gemm, vec + maker, dram / bandwidth, edges, overlaps))
    return costs


def _before_cycles(work: GemmWorkload, cand: GemmCandidates, counts: _Counts) -> FloatArray:
    """VEC cycles to compute one input tile; zero where it is loaded."""
    if work.before is None:
        return np.zeros(cand.rows.shape)
    return work.in_blocks * counts.groups * work.before.cycles


def _row_bytes(
    rows: npt.NDArray[np.int64],
    columns: npt.NDArray[np.int64],
    whole: npt.NDArray[np.bool_],
    config: HwConfig,
) -> FloatArray:
    """DRAM bytes of ``rows`` image rows; parts of rows are widened to bursts."""
    burst = config["DRAM_BURST_BYTES"]
    exact = columns * config.block
    ragged = -(-(exact + burst - config.block) // burst) * burst
    return np.asarray(rows * np.where(whole, exact, ragged), np.float64)


def _input_bytes(
    work: GemmWorkload, config: HwConfig, cand: GemmCandidates
) -> tuple[FloatArray, FloatArray]:
    """(bytes of one load, bytes for all channels and taps of one pixel tile)."""
    height, width = cand.height, cand.width
    if work.before is not None:
        before = work.before
        height = (height - 1) * before.stride[0] + before.kernel[0]
        width = (width - 1) * before.stride[1] + before.kernel[1]
    scale = work.before.stride if work.before is not None else (1, 1)
    size = (work.in_size[0] * scale[0], work.in_size[1] * scale[1])
    height, width = np.minimum(height, size[0]), np.minimum(width, size[1])
    plane = _row_bytes(height, width, width >= size[1], config)
    operands = work.before.operands if work.before is not None else 1
    parts = _ceil(work.kernel[0], cand.kernel_rows) * _ceil(work.kernel[1], cand.kernel_columns)
    return plane * cand.in_blocks * operands, plane * work.in_blocks * operands * parts


def _overlaps(work: GemmWorkload, config: HwConfig, cand: GemmCandidates) -> npt.NDArray[np.bool_]:
    areas = 3 if work.after else 2
    alone = np.zeros(cand.rows.shape, np.bool_)
    if work.before is not None:
        alone = pixel_tiles(work, cand) == 1
    inputs = np.where(alone, 1, 2)
    result: npt.NDArray[np.bool_] = (
        (inputs * cand.act_in + areas * cand.act_out <= config.act_entries)
        & (2 * cand.weights <= config.wgt_entries)
        & (2 * cand.act_out <= config.acc_entries)
    )
    return result


def _repeats(
    work: GemmWorkload, config: HwConfig, cand: GemmCandidates, counts: _Counts, order: Order
) -> tuple[FloatArray, FloatArray]:
    """How often each input byte of a pixel tile and each weight is brought in."""
    steps = counts.steps
    areas = 3 if work.after else 2
    everything = cand.weights * steps * counts.out_tiles * work.passes <= config.wgt_entries
    column = cand.weights * steps * work.passes <= config.wgt_entries
    held = cand.act_in * steps + areas * cand.act_out <= config.act_entries
    if order is Order.PIXELS_OUTER:
        again = np.where(held, 1.0, counts.out_tiles)
        return again, np.where(everything, 1.0, counts.pixel_tiles)
    all_held = cand.act_in * steps * counts.pixel_tiles + areas * cand.act_out
    holds = all_held <= config.act_entries
    if work.before is not None:
        holds = counts.pixel_tiles == 1
    again = np.where(holds, 1.0, counts.out_tiles)
    return again, np.where(column, 1.0, counts.pixel_tiles)


@lru_cache(maxsize=4096)
def best_gemm_tiling(work: GemmWorkload, config: HwConfig) -> GemmTiling:
    """The cheapest legal tiling; ties go to the first, so the choice is deterministic."""
    cand = gemm_candidates(work, config)
    totals = [cost.total for cost in gemm_costs(work, config, cand)]
    order = min(Order, key=lambda o: (float(totals[o].min()), o))
    return cand.tiling(int(np.argmin(totals[order])), order)


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
