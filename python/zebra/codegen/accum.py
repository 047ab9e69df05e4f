"""Per-channel windows on the VEC engine: depthwise convolution and pooling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zebra.codegen.constants import ConstantPool, pack_diagonal, pack_taps
from zebra.codegen.conv import ConvMaker
from zebra.codegen.emitter import Emitter, Tile, pixel_nest, steps
from zebra.codegen.maker import Maker, emit_tiles
from zebra.codegen.post import PostPlan, issue_post, load_parameters, plan_post, post_levels
from zebra.codegen.room import Room
from zebra.graph.nodes import Finish, Scale
from zebra.hw import HwConfig
from zebra.isa.insns import (
    Accum,
    AccumLevel,
    AccumOp,
    Gemm,
    GemmLevel,
    Memory,
    PostOp,
)
from zebra.schedule.cost import best_window_tiling
from zebra.schedule.layers import AccumLayer, Window
from zebra.schedule.tiling import WindowTiling, window_gap, window_share
from zebra.schedule.views import blocks

IDENTITY = Scale(np.full(1, 1 << 30, np.int32), np.full(1, 30, np.int32))
"""requantize(x, 2**30, 30) == x for every int32 x."""


@dataclass(frozen=True, slots=True)
class AccumPlan:
    """An AccumLayer with its tiling and its constants in place."""

    layer: AccumLayer
    tiling: WindowTiling
    taps: int | None
    """Address of the packed depthwise taps."""
    widen: bool
    """The taps fit int8 and lie in DRAM as such."""
    passes: tuple[PostPlan, ...]
    """POST passes in order; all but the last stay in ACC."""
    diagonal: int | None
    """Address of the taps as diagonal weight tiles, for the array."""
    alone: bool
    """It loads its input itself, and spreads channel blocks as window_gap says."""
    rows_on_array: int
    """Rows of each tile that the array sums, if it is alone."""

    @property
    def diagonal_tiles(self) -> int:
        """WGT tiles of one slot for diagonal weights; 0 without them."""
        if self.diagonal is None:
            return 0
        return self.tiling.blocks * self.tiling.kernel[0] * self.tiling.kernel[1]


def plan_accum(
    layer: AccumLayer,
    pool: ConstantPool,
    config: HwConfig,
    tiling: WindowTiling | None = None,
    on_array: bool = False,
) -> AccumPlan:
    """Choose the tiling unless it is given; pack the constants (also for GEMM: ``on_array``)."""
    channels = layer.out.dims[1]
    passes = []
    if layer.divide is not None:
        finish = Finish() if layer.scale is not None else layer.finish
        passes.append(
            plan_post(PostOp.SCALE, (layer.divide,), channels, finish, pool, config, truncate=True)
        )
    if layer.scale is not None or layer.divide is None:
        scale = layer.scale or IDENTITY
        passes.append(plan_post(PostOp.SCALE, (scale,), channels, layer.finish, pool, config))
    alone = tiling is None
    address, widen = None, False
    if layer.taps is not None:
        packed = pack_taps(layer.taps, config.block)
        widen = bool((packed >= -128).all() and (packed <= 127).all())
        address = pool.add(packed.astype(np.int8) if widen else packed)
    if tiling is None:
        tiling = best_window_tiling(
            blocks(channels, config.block),
            (layer.out.dims[2], layer.out.dims[3]),
            layer.window,
            sum(plan.vectors for plan in passes),
            config,
            layer.taps is not None,
        )
    diagonal, rows = None, 0
    if alone and widen and window_share(layer, tiling, config):
        on_array, rows = True, window_share(layer, tiling, config)
    if on_array and layer.taps is not None:
        diagonal = pool.add(pack_diagonal(layer.taps, config.block))
    return AccumPlan(layer, tiling, address, widen, tuple(passes), diagonal, alone, rows)


def accum_nest(
    window: Window,
    mac: bool,
    out: tuple[int, int, int],
    kernel: tuple[int, int],
    act: tuple[int, int],
    acc: int,
    par: int,
) -> tuple[AccumLevel, ...]:
    """The loops of a window.

    ``out``: (blocks, rows, columns); strides: ``act`` of (block, row), ``acc`` and ``par``
    (depthwise taps) of a block.
    """
    blocks, rows, columns = out
    kh, kw = kernel
    pixels = (
        AccumLevel(columns, window.stride[1], 1, 0),
        AccumLevel(rows, window.stride[0] * act[1], columns, 0),
    )
    taps = (
        AccumLevel(kw, window.dilation[1], 0, int(mac)),
        AccumLevel(kh, window.dilation[0] * act[1], 0, mac * kw),
    )
    planes = AccumLevel(blocks, act[0], acc, mac * par)
    if rows == columns == 1 and not mac:
        # A global pool: channel blocks, not the one pixel, keep the accumulators apart.
        return pixel_nest((planes,), taps)
    return pixel_nest(pixels, (*taps, planes))


def diagonal_nest(
    window: Window, out: tuple[int, int, int], act: tuple[int, int], acc: int
) -> tuple[GemmLevel, ...]:
    """The loops of a depthwise window on the array, each channel block by its own weights.

    ``out``: (blocks, rows, columns); strides: ``act`` of (block, row), ``acc`` of a block.
    """
    (blocks, rows, columns), (kh, kw) = out, window.kernel
    pixels = (
        GemmLevel(columns, window.stride[1], 0, 1),
        GemmLevel(rows, window.stride[0] * act[1], 0, columns),
    )
    others = (
        GemmLevel(blocks, act[0], kh * kw, acc),
        GemmLevel(kw, window.dilation[1], 1, 0),
        GemmLevel(kh, window.dilation[0] * act[1], kw, 0),
    )
    return pixel_nest(pixels, others)


class AccumMaker(Maker):
    """Computes tiles of an AccumLayer in ACT."""

    def __init__(
        self,
        plan: AccumPlan,
        emitter: Emitter,
        room: Room,
        outs: int = 0,
        first: ConvMaker | None = None,
        diagonals: int = 2,
    ) -> None:
        """``outs``: ACT vectors per copy that the caller will still take from ``room``.

        ``first`` computes what the layer reads; without it that is loaded. ``diagonals``:
        slots for the taps as weights, if the array takes a share.
        """
        self.first = first
        self.plan, self.emitter = plan, emitter
        self.layer, self.tiling = plan.layer, plan.tiling
        tiling, window = plan.tiling, plan.layer.window
        self.size = tiling.blocks * tiling.pixels[0] * tiling.pixels[1]
        source = window.span(tiling.pixels[0], tiling.kernel[0], 0)
        source *= window.span(tiling.pixels[1], tiling.kernel[1], 1)
        source = tiling.blocks * (source + self._gap(source))
        taps = tiling.blocks * tiling.kernel[0] * tiling.kernel[1] if plan.taps is not None else 0
        self.count = room.copies(2, act=source + outs, acc=self.size)
        self.sources = room.slots(Memory.ACT, source, self.count)
        self.accs = room.slots(Memory.ACC, self.size, self.count)
        entries = [post.entries(tiling.blocks) for post in plan.passes]
        sets = room.copies(2, par=sum(entries) + taps)
        self.taps = room.slots(Memory.PAR, taps, sets)
        self.pars = [room.slots(Memory.PAR, size, sets) for size in entries]
        if plan.diagonal is not None:
            diagonals = room.copies(diagonals, wgt=plan.diagonal_tiles)
            self.diagonals = room.slots(Memory.WGT, plan.diagonal_tiles, diagonals)

    def share(self, tile: Tile) -> int:
        """Rows of ``tile`` that the array sums."""
        return tile.rows[1] * self.plan.rows_on_array // self.tiling.pixels[0]

    def early(self, tile: Tile, target: int, on_array: int = 0) -> None:
        """All of ``tile``, or what VEC sums of it: all but the last ``on_array`` rows."""
        kernel = self.layer.window.kernel
        rows = tile.rows[1] - on_array
        if on_array:
            self._load_source(tile, (0, kernel[0]), (0, kernel[1]))
        fresh = True
        for kernel_rows in steps(kernel[0], self.tiling.kernel[0]):
            for kernel_columns in steps(kernel[1], self.tiling.kernel[1]):
                if rows:
                    self._accumulate(tile, rows, kernel_rows, kernel_columns, fresh)
                fresh = False
        if not on_array:
            self._finish(tile, target)

    def late(self, tile: Tile, target: int, on_array: int = 0) -> None:
        """GEMM's share of ``tile``, and its result."""
        if on_array:
            self._multiply(tile, on_array)
            self._finish(tile, target)

    def _multiply(self, tile: Tile, rows: int) -> None:
        """GEMM sums the last ``rows``: taps as diagonal weights, own input blocks only."""
        window, plan = self.layer.window, self.plan
        assert plan.diagonal is not None
        (kh, kw), taps = window.kernel, window.kernel[0] * window.kernel[1]
        source, address = self._load_source(tile, (0, kh), (0, kw))
        acc, _ = self.accs.get(tile)
        weights, held = self.diagonals.get(tile.block)
        if not held:
            size = self.emitter.config.block**2
            level = (tile.blocks * taps, size, 1)
            start = plan.diagonal + tile.block * taps * size
            self.emitter.load_entries(Memory.WGT, start, weights, (level,))
        width, columns = source.columns[1], tile.columns[1]
        first = tile.rows[1] - rows
        out, act = (tile.blocks, rows, columns), (source.pixels, width)
        self.emitter.repeat(
            (
                Gemm,
                "diagonal",
                window.stride,
                window.dilation,
                window.kernel,
                out,
                act,
                tile.pixels,
            ),
            (address + first * window.stride[0] * width, weights, acc + first * columns),
            lambda: Gemm(overwrite=True, loops=diagonal_nest(window, out, act, tile.pixels)),
        )

    def _accumulate(
        self,
        tile: Tile,
        rows: int,
        kernel_rows: tuple[int, int],
        kernel_columns: tuple[int, int],
        fresh: bool,
    ) -> None:
        """VEC sums the first ``rows``."""
        source_tile, source = self._load_source(tile, kernel_rows, kernel_columns)
        par = 0
        if self.plan.taps is not None:
            par = self._load_taps(tile, kernel_rows, kernel_columns)
        kernel = kernel_rows[1], kernel_columns[1]
        op, window = self.layer.op, self.layer.window
        out = tile.blocks, rows, tile.columns[1]
        act, acc = (source_tile.plane, source_tile.columns[1]), tile.pixels
        taps = kernel[0] * kernel[1]
        self.emitter.repeat(
            (Accum, op, fresh, window.stride, window.dilation, out, kernel, act, acc),
            (source, self.accs.get(tile)[0], par),
            lambda: Accum(
                op=op,
                overwrite=fresh,
                loops=accum_nest(window, op is AccumOp.MAC, out, kernel, act, acc, taps),
            ),
        )

    def _load_source(
        self, tile: Tile, kernel_rows: tuple[int, int], kernel_columns: tuple[int, int]
    ) -> tuple[Tile, int]:
        """The input tile under ``tile`` and the taps, and its ACT address."""
        window = self.layer.window
        rows = window.reach(tile.rows, kernel_rows, 0)
        columns = window.reach(tile.columns, kernel_columns, 1)
        gap = self._gap(rows[1] * columns[1])
        source = Tile(tile.n, tile.block, tile.blocks, rows, columns, gap)
        address, held = self.sources.get(source)
        if held:
            return source, address
        if self.first is not None:
            self.first.make(source, address, window.pad_value)
        else:
            self.emitter.load_tile(self.layer.inputs[0], source, address, window.pad_value)
        return source, address

    def _gap(self, size: int) -> int:
        plan = self.plan
        return window_gap(size, plan.tiling.pixels, plan.taps is not None) if plan.alone else 0

    def _load_taps(
        self, tile: Tile, kernel_rows: tuple[int, int], kernel_columns: tuple[int, int]
    ) -> int:
        assert self.plan.taps is not None
        address, held = self.taps.get((tile.block, tile.blocks, kernel_rows, kernel_columns))
        if held:
            return address
        kh, kw = self.layer.window.kernel
        size = self.emitter.config.block * (1 if self.plan.widen else 4)
        offset = (tile.block * kh + kernel_rows[0]) * kw + kernel_columns[0]
        taps = kernel_rows[1] * kernel_columns[1]
        levels = (
            (kernel_columns[1], size, 1),
            (kernel_rows[1], kw * size, kernel_columns[1]),
            (tile.blocks, kh * kw * size, taps),
        )
        self.emitter.load_entries(
            Memory.PAR, self.plan.taps + offset * size, address, levels, self.plan.widen
        )
        return address

    def _finish(self, tile: Tile, out: int) -> None:
        acc, _ = self.accs.get(tile)
        for number, (post, slots) in enumerate(zip(self.plan.passes, self.pars)):
            key = (tile.block, tile.blocks)
            par = load_parameters(self.emitter, post, slots, key, tile.block, tile.blocks)
            last = number == len(self.plan.passes) - 1
            target = (Memory.ACT, out) if last else (Memory.ACC, acc)
            levels = post_levels(tile, post)
            issue_post(self.emitter, post, par, (Memory.ACC, acc), target, levels)


def emit_accum(plan: AccumPlan, emitter: Emitter) -> None:
    """The whole layer."""
    tiling = plan.tiling
    room = Room(emitter)
    maker = AccumMaker(
        plan, emitter, room, outs=tiling.blocks * tiling.pixels[0] * tiling.pixels[1]
    )
    emit_tiles(maker, plan.layer.out, tiling, emitter, room)
