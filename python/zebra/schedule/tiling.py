"""Legal tilings: how a layer is cut so that every piece fits the scratchpads.

Pure functions of a layer's workload and a configuration. A tiling names the
size of a tile along each dimension; partial tiles at the edges are smaller.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from zebra.errors import UnsupportedError
from zebra.hw import HwConfig
from zebra.schedule.layers import Window

IntArray = npt.NDArray[np.int64]

MAX_EXTENT = 1 << 12
"""Largest loop extent of GEMM, ACCUM and POST."""
MAX_STRIDE = (1 << 16) - 1
"""Largest scratchpad stride."""
MAX_ITERATIONS = 1 << 24
"""Largest number of iterations of one instruction."""


class Order(enum.IntEnum):
    """Which operand's tiles stay while the loops run."""

    PIXELS_OUTER = 0
    """For each pixel tile, all output channels."""
    CHANNELS_OUTER = 1
    """For each tile of output channels, all pixels."""


@dataclass(frozen=True, slots=True)
class GemmWorkload:
    """What decides a convolution's tilings: sizes in channel blocks and pixels."""

    batch: int
    out_blocks: int
    in_blocks: int
    out_size: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    passes: int
    separate_blocks: bool
    """Each output block reads input blocks of its own (grouped convolution)."""


@dataclass(frozen=True, slots=True)
class GemmTiling:
    """Tile sizes of a GemmLayer: channel blocks, kernel taps and output pixels."""

    out_blocks: int
    in_blocks: int
    kernel: tuple[int, int]
    pixels: tuple[int, int]
    order: Order


@dataclass(frozen=True, slots=True)
class WindowTiling:
    """Tile sizes of an AccumLayer: channel blocks, kernel taps and output pixels."""

    blocks: int
    kernel: tuple[int, int]
    pixels: tuple[int, int]


@dataclass(frozen=True, slots=True)
class PixelTiling:
    """Tile sizes of an element-wise layer or a movement: channel blocks and output pixels."""

    blocks: int
    pixels: tuple[int, int]


def parts(extent: int, limit: int = MAX_EXTENT) -> list[int]:
    """Tile sizes worth trying: the smallest size for each number of tiles, largest first."""
    sizes = {-(-extent // count) for count in range(1, extent + 1)}
    return sorted((size for size in sizes if size <= limit), reverse=True)


def kernel_parts(kernel: tuple[int, int]) -> list[tuple[int, int]]:
    """Whole kernel, one row of it, one tap of it."""
    return list(dict.fromkeys([kernel, (1, kernel[1]), (1, 1)]))


@dataclass(frozen=True, slots=True)
class GemmCandidates:
    """All legal tilings of a workload as parallel arrays (one order; cost tries both)."""

    out_blocks: IntArray
    in_blocks: IntArray
    kernel_rows: IntArray
    kernel_columns: IntArray
    rows: IntArray
    columns: IntArray
    act_in: IntArray
    """ACT vectors of one input tile."""
    act_out: IntArray
    """ACT vectors of one output tile (as many ACC vectors)."""
    weights: IntArray
    """WGT tiles of one weight tile."""


def gemm_candidates(work: GemmWorkload, config: HwConfig) -> GemmCandidates:
    """Every legal (single-buffered) tiling; UnsupportedError if there is none."""
    out_sizes = [1] if work.separate_blocks else parts(work.out_blocks)
    kernels = kernel_parts(work.kernel)
    axes = np.meshgrid(
        out_sizes,
        parts(work.in_blocks),
        np.arange(len(kernels)),
        parts(work.out_size[0]),
        parts(work.out_size[1]),
        indexing="ij",
    )
    out_blocks, in_blocks, kernel, rows, columns = (axis.reshape(-1) for axis in axes)
    taps = np.array(kernels, np.int64)[kernel]
    height = (rows - 1) * work.stride[0] + (taps[:, 0] - 1) * work.dilation[0] + 1
    width = (columns - 1) * work.stride[1] + (taps[:, 1] - 1) * work.dilation[1] + 1
    act_in = in_blocks * height * width
    act_out = out_blocks * rows * columns
    weights = out_blocks * in_blocks * taps[:, 0] * taps[:, 1]
    legal = (
        (act_in + act_out <= config.act_entries)
        & (act_out <= config.acc_entries)
        & (weights <= config.wgt_entries)
        & (3 * out_blocks <= config.par_entries)
        & (in_blocks * taps[:, 0] * taps[:, 1] <= MAX_STRIDE)
        & (height * width <= MAX_STRIDE)
        & (rows * columns <= MAX_STRIDE)
        & (act_out * in_blocks * taps[:, 0] * taps[:, 1] <= MAX_ITERATIONS)
    )
    if not legal.any():
        raise UnsupportedError(
            f"no tiling of a {work.kernel[0]}x{work.kernel[1]} convolution fits configuration "
            f"{config.name}: one output pixel needs more scratchpad than it has"
        )
    keep = np.flatnonzero(legal)
    columns_of = (out_blocks, in_blocks, taps[:, 0], taps[:, 1], rows, columns)
    return GemmCandidates(
        *(array[keep].astype(np.int64) for array in (*columns_of, act_in, act_out, weights))
    )


def window_tilings(
    blocks: int,
    out_size: tuple[int, int],
    window: Window,
    parameters: int,
    config: HwConfig,
    slots: int,
) -> Iterator[WindowTiling]:
    """Legal AccumLayer tilings with ``slots`` buffers of each kind, most work per tile first.

    ``parameters`` is the number of PAR vectors per channel block besides the taps.
    """
    for kernel in kernel_parts(window.kernel):
        taps = kernel[0] * kernel[1]
        for count in parts(blocks):
            if slots * count * (parameters + taps) > config.par_entries:
                continue
            for rows in parts(out_size[0]):
                for columns in parts(out_size[1]):
                    source = window.span(rows, kernel[0], 0) * window.span(columns, kernel[1], 1)
                    pixels = rows * columns
                    if (
                        slots * count * (source + pixels) <= config.act_entries
                        and slots * count * pixels <= config.acc_entries
                        and source <= MAX_STRIDE
                        and count * pixels * taps <= MAX_ITERATIONS
                    ):
                        yield WindowTiling(count, kernel, (rows, columns))


def pixel_tilings(
    blocks: int, out_size: tuple[int, int], vectors: int, budget: int, parameters: int, params: int
) -> Iterator[PixelTiling]:
    """Legal tilings of element-wise layers: ``vectors`` ACT vectors per pixel within ``budget``,

    and ``parameters`` PAR vectors per channel block within ``params``.
    """
    for count in parts(blocks):
        if count * parameters > params:
            continue
        for rows in parts(out_size[0]):
            for columns in parts(out_size[1]):
                if count * rows * columns * vectors <= budget and rows * columns <= MAX_STRIDE:
                    yield PixelTiling(count, (rows, columns))
