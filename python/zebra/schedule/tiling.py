"""Legal tilings: how a layer is cut so that every piece fits the scratchpads.

Pure functions of a layer's workload and a configuration. A tiling names the
size of a tile along each dimension; partial tiles at the edges are smaller.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from zebra.errors import UnsupportedError
from zebra.hw import HwConfig
from zebra.schedule.layers import AccumLayer, Window

IntArray = npt.NDArray[np.int64]

MAX_EXTENT = 1 << 12
"""Largest loop extent of GEMM, ACCUM and POST."""
MAX_STRIDE = (1 << 16) - 1
"""Largest scratchpad stride."""
SHARES = ((1, 4), (1, 3), (1, 2), (2, 3))
"""Shares of a depthwise layer's rows that the array may take over from VEC."""
MAX_ITERATIONS = 1 << 24
"""Largest number of iterations of one instruction."""


class Order(enum.IntEnum):
    """Which operand's tiles stay while the loops run."""

    PIXELS_OUTER = 0
    """For each pixel tile, all output channels."""
    CHANNELS_OUTER = 1
    """For each tile of output channels, all pixels."""


@dataclass(frozen=True, slots=True)
class Before:
    """A layer that computes a convolution's input tiles on the way: its window and costs.

    Costs count per vector of its result: one pixel of one channel block.
    """

    in_size: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    vec: int
    """VEC cycles."""
    parameters: int
    """PAR vectors per channel block."""
    operands: int = 1
    """Tensors it reads."""
    accumulates: bool = True
    """It sums in ACC before it writes ACT."""
    in_blocks: int = 0
    """Channel blocks that each of its results reads (a convolution); 0: its own only."""
    gemm: int = 0
    """GEMM cycles (a convolution); as many WGT tiles per channel block."""
    taps: int = 0
    """Taps that the array could sum instead of VEC (depthwise); 0: none."""
    first: Before | None = None
    """A convolution that computes what this layer reads."""

    def extent(self, height: IntArray, width: IntArray) -> tuple[IntArray, IntArray]:
        """Rows and columns that it reads for a tile of ``height`` x ``width``, padding included."""
        return (
            (height - 1) * self.stride[0] + (self.kernel[0] - 1) * self.dilation[0] + 1,
            (width - 1) * self.stride[1] + (self.kernel[1] - 1) * self.dilation[1] + 1,
        )

    def inside(self, height: IntArray, width: IntArray) -> IntArray:
        """The most pixels of its image among that many rows and columns."""
        return np.minimum(height, self.in_size[0]) * np.minimum(width, self.in_size[1])


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
    in_size: tuple[int, int]
    before: Before | None = None
    after: int = 0
    """VEC cycles per vector of a fused operator with a second operand; 0 if there is none."""


@dataclass(frozen=True, slots=True)
class GemmTiling:
    """Tile sizes of a GemmLayer: channel blocks, kernel taps and output pixels."""

    out_blocks: int
    in_blocks: int
    kernel: tuple[int, int]
    pixels: tuple[int, int]
    order: Order
    chunk: int = 0
    """Channel blocks that ``before`` computes at a time, a piece."""
    on_array: int = 0
    """How many rows of each input tile the array sums instead of VEC (depthwise)."""


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
    chunk: IntArray
    """Channel blocks of a piece that ``before`` computes at a time; 0 without it."""
    on_array: IntArray
    """Rows of each input tile that the array sums."""
    height: IntArray
    """Rows of one input tile."""
    width: IntArray
    """Columns of one input tile."""

    @property
    def act_in(self) -> IntArray:
        """ACT vectors of one input tile."""
        return self.in_blocks * self.height * self.width

    @property
    def act_out(self) -> IntArray:
        """ACT vectors of one output tile (as many ACC vectors)."""
        return self.out_blocks * self.rows * self.columns

    @property
    def weights(self) -> IntArray:
        """WGT tiles of one weight tile."""
        return self.out_blocks * self.in_blocks * self.kernel_rows * self.kernel_columns

    def select(self, keep: npt.NDArray[np.bool_]) -> GemmCandidates:
        """Those where ``keep`` is true."""
        return GemmCandidates(*(getattr(self, f.name)[keep] for f in fields(self)))

    def tiling(self, index: int, order: Order) -> GemmTiling:
        """Candidate ``index`` with its loop order."""
        return GemmTiling(
            int(self.out_blocks[index]),
            int(self.in_blocks[index]),
            (int(self.kernel_rows[index]), int(self.kernel_columns[index])),
            (int(self.rows[index]), int(self.columns[index])),
            order,
            int(self.chunk[index]),
            int(self.on_array[index]),
        )


def gemm_candidates(work: GemmWorkload, config: HwConfig) -> GemmCandidates:
    """Every legal (single-buffered) tiling; UnsupportedError if there is none."""
    cand = _grid(work)
    taps = cand.kernel_rows * cand.kernel_columns
    skip = cand.act_out if work.after else 0
    cand = cand.select(
        (cand.act_in + cand.act_out + skip <= config.act_entries)
        & (cand.act_out <= config.acc_entries)
        & (cand.weights <= config.wgt_entries)
        & (gemm_parameters(work, cand.out_blocks) <= config.par_entries)
        & (cand.in_blocks * taps <= MAX_STRIDE)
        & (cand.height * cand.width <= MAX_STRIDE)
        & (cand.rows * cand.columns <= MAX_STRIDE)
        & (cand.act_out * cand.in_blocks * taps <= MAX_ITERATIONS)
    )
    if work.before is not None:
        cand = _with_chunks(work, work.before, cand, config)
    if not cand.rows.size:
        raise UnsupportedError(
            f"no tiling of a {work.kernel[0]}x{work.kernel[1]} convolution fits configuration "
            f"{config.name}: one output pixel needs more scratchpad than it has"
        )
    return cand


def gemm_parameters(work: GemmWorkload, out_blocks: IntArray) -> IntArray:
    """PAR vectors of one output tile: requantization, and the operator fused behind it."""
    return 3 * out_blocks + (6 if work.after else 0)


def _grid(work: GemmWorkload) -> GemmCandidates:
    """All combinations of tile sizes, legal or not."""
    kernels = kernel_parts(work.kernel)
    axes = np.meshgrid(
        [1] if work.separate_blocks else parts(work.out_blocks),
        parts(work.in_blocks),
        np.arange(len(kernels)),
        parts(work.out_size[0]),
        parts(work.out_size[1]),
        indexing="ij",
    )
    out_blocks, in_blocks, kernel, rows, columns = (
        axis.reshape(-1).astype(np.int64) for axis in axes
    )
    taps = np.array(kernels, np.int64)[kernel]
    height = (rows - 1) * work.stride[0] + (taps[:, 0] - 1) * work.dilation[0] + 1
    width = (columns - 1) * work.stride[1] + (taps[:, 1] - 1) * work.dilation[1] + 1
    return GemmCandidates(
        out_blocks,
        in_blocks,
        taps[:, 0],
        taps[:, 1],
        rows,
        columns,
        np.zeros_like(rows),
        np.zeros_like(rows),
        height,
        width,
    )


def _with_chunks(
    work: GemmWorkload, before: Before, cand: GemmCandidates, config: HwConfig
) -> GemmCandidates:
    """Candidates that leave room for two pieces of what ``before`` reads, as large as fit."""
    height, width = before.extent(cand.rows, cand.columns)
    first = before.first
    act = config.act_entries - input_slots(work, cand) * cand.act_in
    act = act - (3 if work.after else 2) * cand.act_out
    acc = config.acc_entries - 2 * cand.act_out
    par = config.par_entries - gemm_parameters(work, cand.out_blocks)
    wgt = config.wgt_entries - 2 * cand.weights
    pixels = cand.rows * cand.columns * (1 if before.accumulates else 0)
    vectors, parameters, array = before.operands * height * width, before.parameters, before.gemm
    if before.in_blocks:
        act, vectors = act - 2 * before.in_blocks * height * width, np.zeros_like(act)
    if first is not None:
        rows, columns = first.extent(height, width)
        act = act - 2 * first.in_blocks * rows * columns
        pixels = pixels + before.inside(height, width)
        parameters, array = parameters + first.parameters, first.gemm
    least = (act >= 0) & (acc >= 0) & (par >= 0) & (wgt >= 0)
    largest = np.minimum(cand.in_blocks, par // (2 * parameters))
    for room, size in ((act, vectors), (acc, pixels), (wgt, np.full_like(act, array))):
        largest = np.minimum(largest, np.where(size > 0, room // np.maximum(2 * size, 1), largest))
    keep = least & (largest >= 1)
    cand, largest, wgt = cand.select(keep), largest[keep], wgt[keep]
    pieces = -(-cand.in_blocks // largest)
    cand = replace(cand, chunk=-(-cand.in_blocks // pieces))
    return _with_array(before, cand, wgt - 2 * cand.chunk * array) if before.taps else cand


def _with_array(before: Before, cand: GemmCandidates, wgt: IntArray) -> GemmCandidates:
    """The candidates with none, a quarter, a third, half ... of each tile's rows on the array."""
    fits = 2 * before.taps * cand.chunk <= wgt
    variants = [cand]
    for part, whole in SHARES:
        rows = cand.rows * part // whole
        variants.append(replace(cand, on_array=rows).select(fits & (rows > 0)))
    return GemmCandidates(
        *(np.concatenate([getattr(v, f.name) for v in variants]) for f in fields(cand))
    )


def input_slots(work: GemmWorkload, cand: GemmCandidates) -> IntArray:
    """Input tiles that lie in ACT at a time: two, but one where there is only one."""
    if work.before is None:
        return np.full(cand.rows.shape, 2)
    single = (pixel_tiles(work, cand) == 1) & (cand.in_blocks == work.in_blocks)
    return np.where(single, 1, 2)


def pixel_tiles(work: GemmWorkload, cand: GemmCandidates) -> IntArray:
    """How many tiles of pixels the output is cut into."""
    rows, columns = -(-work.out_size[0] // cand.rows), -(-work.out_size[1] // cand.columns)
    return rows * columns * work.batch


def window_gap(size: int, pixels: tuple[int, int], weighted: bool) -> int:
    """Unused ACT vectors behind each channel block, of ``size``, of a window's input tile.

    The sums of a tile of one pixel run side by side, a channel block in each row of the
    machine: an odd distance keeps their inputs in different banks.
    """
    return 1 - size % 2 if pixels == (1, 1) and not weighted else 0


def window_share(layer: AccumLayer, tiling: WindowTiling, config: HwConfig) -> int:
    """Rows of each tile of a depthwise layer, run alone, that the array sums.

    As many as make VEC, which also requantizes, and the array equally busy; none where
    the taps do not fit WGT as diagonal tiles, or take longer to load than they save.
    """
    kernel, (_, _, high, wide) = layer.window.kernel, layer.out.dims
    taps = kernel[0] * kernel[1]
    if tiling.kernel != kernel or tiling.blocks * taps > config.wgt_entries:
        return 0
    rows = tiling.pixels[0] * (taps + 1) // (2 * taps)
    saved = high * wide / config.rows * rows / tiling.pixels[0]
    return rows if saved > config.block**2 / config["DRAM_BYTES_PER_CYCLE"] else 0


def window_tilings(
    blocks: int,
    out_size: tuple[int, int],
    window: Window,
    parameters: int,
    config: HwConfig,
    slots: int,
    weighted: bool,
) -> Iterator[WindowTiling]:
    """Legal AccumLayer tilings with ``slots`` buffers of each kind, most work per tile first.

    ``parameters`` is the number of PAR vectors per channel block besides the taps,
    which are in PAR too if ``weighted``.
    """
    rows_of_taps = [(rows, window.kernel[1]) for rows in parts(window.kernel[0])]
    for kernel in dict.fromkeys([*rows_of_taps, (1, 1)]):
        taps = kernel[0] * kernel[1]
        for count in parts(blocks):
            if slots * count * (parameters + taps * weighted) > config.par_entries:
                continue
            for rows in parts(out_size[0]):
                for columns in parts(out_size[1]):
                    source = window.span(rows, kernel[0], 0) * window.span(columns, kernel[1], 1)
                    source += window_gap(source, (rows, columns), weighted)
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
