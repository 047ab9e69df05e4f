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
from zebra.isa.fields import WORD_BYTES
from zebra.schedule.layers import Window
from zebra.schedule.tiling import (
    GemmCandidates,
    GemmTiling,
    GemmWorkload,
    Order,
    PixelTiling,
    WindowTiling,
    gemm_candidates,
    input_slots,
    pixel_tiles,
    pixel_tilings,
    window_tilings,
)

TILE_OVERHEAD = 16
"""Cycles charged per tile and engine: fetch, tokens, pipeline fill."""

SUM_LATENCY = 4
"""Cycles until a sum in ACC can be added to again; docs/cycle_model.md has the exact rule."""
TRAFFIC = 0.03
"""What a cycle of DRAM traffic counts that nothing waits for: energy, and others' bandwidth."""

FloatArray = npt.NDArray[np.float64]


def _ceil(a: npt.NDArray[np.int64] | int, b: npt.NDArray[np.int64] | int) -> FloatArray:
    return np.asarray(-(-np.asarray(a) // np.asarray(b)), np.float64)


@dataclass(frozen=True, slots=True)
class GemmCost:
    """Cycles of every candidate by what they are spent on, for one loop order."""

    gemm: FloatArray
    vec: FloatArray
    dram: FloatArray
    turns: FloatArray
    """How fast two slots each of ACC, results and second operands can be used in turn."""
    edges: FloatArray
    """What overlaps with nothing of this layer: first loads, last results."""
    overlaps: npt.NDArray[np.bool_]
    """Two tiles' buffers fit, so that the engines work side by side."""

    @property
    def total(self) -> FloatArray:
        """The longest of them where tiles overlap, else their sum; and the edges."""
        busiest = np.maximum(np.maximum(self.gemm, self.vec), np.maximum(self.dram, self.turns))
        return np.where(self.overlaps, busiest, self.gemm + self.vec + self.dram) + self.edges

    @property
    def price(self) -> FloatArray:
        """What a tiling is chosen by: its cycles, and a little of its DRAM traffic."""
        return self.total + TRAFFIC * self.dram


@dataclass(frozen=True, slots=True)
class _Counts:
    """How many tiles there are, and the machine cycles to walk over one tile's pixels."""

    pixel_tiles: FloatArray
    out_tiles: FloatArray
    in_tiles: FloatArray
    """Tiles of input channels."""
    steps: FloatArray
    """Input tiles and parts of the kernel behind one output tile."""
    groups: FloatArray

    @classmethod
    def of(cls, work: GemmWorkload, config: HwConfig, cand: GemmCandidates) -> _Counts:
        in_tiles = _ceil(work.in_blocks, cand.in_blocks)
        steps = (
            in_tiles
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
        count = pixel_tiles(work, cand).astype(np.float64)
        return cls(count, out_tiles, in_tiles, steps, groups)


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
    tile = float(config.block**2)
    weights = work.out_blocks * work.in_blocks * taps * work.passes * tile
    results = written * (2 if work.after else 1)
    overlaps = _overlaps(work, config, cand)
    made = _made(work, config, cand, counts)
    fetched = WORD_BYTES * tiles * (3 * counts.steps * work.passes + (6 if work.after else 3))
    turns = _turns(tiles, gemm / tiles, vec / tiles, written / bandwidth, work.after > 0, config)
    costs = []
    for order in Order:
        again, repeats = _repeats(work, config, cand, counts, order)
        inputs = counts.pixel_tiles * again
        dram = inputs * read + weights * repeats + tiles * results
        dram = dram + _before_weights(work, config, cand, inputs) + fetched
        edges = (
            (source + cand.weights * tile) / bandwidth / 2
            + np.maximum(made.vec, made.gemm) / counts.in_tiles
            + cand.out_blocks * counts.groups * (1 + work.after)
            + written / bandwidth
            + 2 * config["DRAM_LATENCY"]
        )
        costs.append(
            GemmCost(
                gemm + inputs * made.gemm,
                vec + inputs * made.vec,
                dram / bandwidth,
                turns,
                edges,
                overlaps,
            )
        )
    return costs


def _turns(
    tiles: FloatArray,
    gemm: FloatArray,
    vec: FloatArray,
    moved: FloatArray,
    operand: bool,
    config: HwConfig,
) -> FloatArray:
    """Cycles of all tiles if only the turns of double-buffered slots counted.

    A slot of ACC is taken from the multiplication's start to the requantization's
    end, a result's from there to the end of the store, a second operand's from its
    load to the end of the store; each step adds its pipeline or the DRAM's latency.
    """
    latency = config["DRAM_LATENCY"]
    longest = np.maximum(gemm + vec + 2 * TILE_OVERHEAD, vec + moved + TILE_OVERHEAD)
    if operand:
        longest = np.maximum(longest, 2 * moved + vec + latency + TILE_OVERHEAD)
    result: FloatArray = tiles * longest / 2
    return result


@dataclass(frozen=True, slots=True)
class _Made:
    """Cycles that ``before`` takes to compute the inputs of one tile of pixels."""

    gemm: FloatArray
    vec: FloatArray


def _made(work: GemmWorkload, config: HwConfig, cand: GemmCandidates, counts: _Counts) -> _Made:
    if work.before is None:
        return _Made(np.zeros(cand.rows.shape), np.zeros(cand.rows.shape))
    before = work.before
    vectors = work.in_blocks * counts.groups
    moved = vectors * before.taps * cand.on_array / cand.rows
    overhead = counts.in_tiles * _ceil(cand.in_blocks, np.maximum(cand.chunk, 1)) * TILE_OVERHEAD
    gemm, vec = vectors * before.gemm + moved, vectors * before.vec - moved + overhead
    if before.first is None:
        return _Made(gemm, vec)
    read = before.inside(*before.extent(cand.rows, cand.columns))
    sources = work.in_blocks * _ceil(read, config.rows)
    return _Made(gemm + sources * before.first.gemm, vec + sources + overhead)


def _before_weights(
    work: GemmWorkload, config: HwConfig, cand: GemmCandidates, inputs: FloatArray
) -> FloatArray:
    """DRAM bytes of the weights that ``before`` has on the array, for the whole layer."""
    before = work.before
    if before is None:
        return np.zeros(cand.rows.shape)
    per_block = before.gemm + (before.first.gemm if before.first is not None else 0)
    tiles = work.in_blocks * (per_block + before.taps * (cand.on_array > 0))
    stay = tiles + 2 * cand.weights <= config.wgt_entries
    times = np.where(stay, 1.0, inputs)
    return np.asarray(tiles * times * config.block**2, np.float64)


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
    """(bytes of one load, bytes for all channels and taps of one tile of pixels)."""
    height, width, size = cand.height, cand.width, work.in_size
    blocks, whole, operands = cand.in_blocks, work.in_blocks, 1
    layer = work.before
    while layer is not None:
        height, width = layer.extent(height, width)
        size, operands = layer.in_size, layer.operands
        if layer.in_blocks:
            blocks, whole = np.full_like(cand.in_blocks, layer.in_blocks), layer.in_blocks
        layer = layer.first
    height, width = np.minimum(height, size[0]), np.minimum(width, size[1])
    plane = _row_bytes(height, width, width >= size[1], config) * operands
    parts = _ceil(work.kernel[0], cand.kernel_rows) * _ceil(work.kernel[1], cand.kernel_columns)
    return plane * blocks, plane * whole * parts


def _overlaps(work: GemmWorkload, config: HwConfig, cand: GemmCandidates) -> npt.NDArray[np.bool_]:
    areas = 3 if work.after else 2
    inputs = input_slots(work, cand) * cand.act_in
    result: npt.NDArray[np.bool_] = (
        (inputs + areas * cand.act_out <= config.act_entries)
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
    if order is Order.PIXELS_OUTER:
        held = cand.act_in * steps + areas * cand.act_out <= config.act_entries
        if work.before is not None:
            held = counts.in_tiles == 1
        return np.where(held, 1.0, counts.out_tiles), np.where(everything, 1.0, counts.pixel_tiles)
    held = cand.act_in * steps * counts.pixel_tiles + areas * cand.act_out <= config.act_entries
    if work.before is not None:
        held = (counts.pixel_tiles == 1) & (counts.in_tiles == 1)
    return np.where(held, 1.0, counts.out_tiles), np.where(column, 1.0, counts.pixel_tiles)


def best_gemm_tiling(work: GemmWorkload, config: HwConfig) -> GemmTiling:
    """The cheapest legal tiling; UnsupportedError if none is legal."""
    return cheapest(work, config)[0]


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a layer is thought to take."""

    cycles: float
    bytes: float
    """Moved to and from DRAM, instructions included."""

    def price(self, config: HwConfig) -> float:
        """Cycles, and DRAM traffic as if it delayed others a little."""
        return self.cycles + TRAFFIC * self.bytes / config["DRAM_BYTES_PER_CYCLE"]

    def __add__(self, other: Estimate) -> Estimate:
        return Estimate(self.cycles + other.cycles, self.bytes + other.bytes)


@lru_cache(maxsize=4096)
def cheapest(work: GemmWorkload, config: HwConfig) -> tuple[GemmTiling, Estimate]:
    """The best legal tiling and what it takes; ties go to the first, always the same one."""
    cand = gemm_candidates(work, config)
    costs = gemm_costs(work, config, cand)
    prices = [cost.price for cost in costs]
    order = min(Order, key=lambda o: (float(prices[o].min()), o))
    best = int(np.argmin(prices[order]))
    cost = costs[order]
    moved = float(cost.dram[best]) * config["DRAM_BYTES_PER_CYCLE"]
    return cand.tiling(best, order), Estimate(float(cost.total[best]), moved)


def best_window_tiling(
    blocks: int,
    out_size: tuple[int, int],
    window: Window,
    parameters: int,
    config: HwConfig,
    weighted: bool,
) -> WindowTiling:
    """The largest tile that fits twice, or once where that is impossible."""
    for slots in (2, 1):
        tilings = window_tilings(blocks, out_size, window, parameters, config, slots, weighted)
        best = max(tilings, key=lambda tiling: _window_work(tiling, weighted, config), default=None)
        if best is not None:
            return best
    raise UnsupportedError(
        f"no tiling of a {window.kernel[0]}x{window.kernel[1]} window fits {config.name}"
    )


def _window_work(
    tiling: WindowTiling, weighted: bool, config: HwConfig
) -> tuple[int, int, int, int]:
    """How good a tile is: eighths of all rows that are busy, then its taps and its size."""
    taps = tiling.kernel[0] * tiling.kernel[1]
    pixels = tiling.pixels[0] * tiling.pixels[1]
    inner = tiling.blocks if pixels == 1 and not weighted else pixels
    groups = -(-inner // config.rows)
    cycles = groups if groups == 1 else max(groups, SUM_LATENCY)
    rate = round(8 * inner / (cycles * config.rows))
    return rate, taps, tiling.blocks * pixels, tiling.pixels[1]


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
