"""Convolutions on the array: tiles of GEMM, requantized by POST."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from zebra.codegen.constants import (
    ConstantPool,
    input_block_range,
    pack_weights,
    split_weights,
)
from zebra.codegen.emitter import Emitter, Slots, Tile, pixel_nest, steps
from zebra.codegen.post import PostPlan, issue_post, load_parameters, plan_post
from zebra.hw import HwConfig
from zebra.isa.insns import DmaLevel, Gemm, GemmLevel, Memory, PostLevel, PostOp
from zebra.schedule.cost import best_gemm_tiling
from zebra.schedule.layers import GemmLayer
from zebra.schedule.tiling import GemmTiling, GemmWorkload, Order
from zebra.schedule.views import blocks

MAX_SLOTS = 64


@dataclass(frozen=True, slots=True)
class GemmPlan:
    """A GemmLayer with its tiling and its constants in place."""

    layer: GemmLayer
    tiling: GemmTiling
    ranges: tuple[tuple[int, int], ...]
    """Input blocks (first, count) that each output block reads."""
    in_blocks: int
    """Input blocks packed per output block."""
    weights: tuple[int, ...]
    """Addresses of the packed weights, one per pass."""
    post: PostPlan


def workload(layer: GemmLayer, config: HwConfig) -> tuple[GemmWorkload, list[tuple[int, int]]]:
    """The layer's tiling problem, and the input blocks each output block reads."""
    k = layer.weight.shape[0]
    channels = layer.inputs[0].dims[1]
    out_blocks = blocks(k, config.block)
    ranges = [
        input_block_range(o, k, channels, layer.groups, config.block) for o in range(out_blocks)
    ]
    window = layer.window
    return (
        GemmWorkload(
            layer.out.dims[0],
            out_blocks,
            max(count for _, count in ranges),
            (layer.out.dims[2], layer.out.dims[3]),
            window.kernel,
            window.stride,
            window.dilation,
            len(split_weights(layer.weight)),
            len(set(ranges)) > 1,
        ),
        ranges,
    )


def plan_gemm(layer: GemmLayer, pool: ConstantPool, config: HwConfig) -> GemmPlan:
    """Choose the tiling and pack the constants."""
    work, ranges = workload(layer, config)
    packed = [
        pack_weights(part, layer.groups, config.block, work.in_blocks)
        for part in split_weights(layer.weight)
    ]
    post = plan_post(
        PostOp.SCALE, (layer.scale,), layer.weight.shape[0], layer.finish, pool, config
    )
    return GemmPlan(
        layer,
        best_gemm_tiling(work, config),
        tuple(ranges),
        work.in_blocks,
        tuple(pool.add(part) for part in packed),
        post,
    )


@dataclass(frozen=True, slots=True)
class _OutTile:
    """One output tile: image, channel blocks and pixels."""

    n: int
    channels: tuple[int, int]
    rows: tuple[int, int]
    columns: tuple[int, int]


class GemmGenerator:
    """Emits one GemmLayer."""

    def __init__(self, plan: GemmPlan, emitter: Emitter) -> None:
        self.plan, self.emitter = plan, emitter
        self.layer, self.tiling = plan.layer, plan.tiling
        config, tiling, window = emitter.config, plan.tiling, plan.layer.window
        rows, columns = tiling.pixels
        source = (
            tiling.in_blocks
            * window.span(rows, tiling.kernel[0], 0)
            * window.span(columns, tiling.kernel[1], 1)
        )
        out = tiling.out_blocks * rows * columns
        outs = 2 if 2 * (source + out) <= config.act_entries else 1
        self.outs = Slots(0, out, outs)
        self.sources = Slots(outs * out, source, _fit(config.act_entries - outs * out, source))
        tiles = tiling.out_blocks * tiling.in_blocks * tiling.kernel[0] * tiling.kernel[1]
        self.weights = Slots(0, tiles, _fit(config.wgt_entries, tiles))
        self.accs = Slots(0, out, min(2, _fit(config.acc_entries, out)))
        par = plan.post.entries(tiling.out_blocks)
        self.pars = Slots(0, par, _fit(config.par_entries, par))

    def emit(self) -> None:
        """All output tiles in the tiling's order."""
        for index, tile in enumerate(self._out_tiles()):
            self._emit_tile(tile, index)

    def _out_tiles(self) -> Iterator[_OutTile]:
        out = self.layer.out
        channels = steps(len(self.plan.ranges), self.tiling.out_blocks)
        pixels = [
            (n, rows, columns)
            for n in range(out.dims[0])
            for rows in steps(out.dims[2], self.tiling.pixels[0])
            for columns in steps(out.dims[3], self.tiling.pixels[1])
        ]
        if self.tiling.order is Order.PIXELS_OUTER:
            for n, rows, columns in pixels:
                yield from (_OutTile(n, part, rows, columns) for part in channels)
        else:
            for part in channels:
                yield from (_OutTile(n, part, rows, columns) for n, rows, columns in pixels)

    def _emit_tile(self, tile: _OutTile, index: int) -> None:
        acc, _ = self.accs.get(index)
        fresh = True
        first, count = self.plan.ranges[tile.channels[0]]
        for part in steps(count, self.tiling.in_blocks):
            for kernel_rows in steps(self.layer.window.kernel[0], self.tiling.kernel[0]):
                for kernel_columns in steps(self.layer.window.kernel[1], self.tiling.kernel[1]):
                    taps = (kernel_rows, kernel_columns)
                    # Weights first: they wait for no other layer, so they come in early.
                    self._load_weights(self.plan.weights[0], tile.channels, part, taps)
                    source, source_tile = self._load_source(tile, first, part, taps)
                    for base in self.plan.weights:
                        weights = self._load_weights(base, tile.channels, part, taps)
                        self._gemm(tile, source_tile, taps, source, weights, acc, fresh)
                        fresh = False
        self._finish(tile, index, acc)

    def _load_source(
        self,
        tile: _OutTile,
        first: int,
        part: tuple[int, int],
        taps: tuple[tuple[int, int], tuple[int, int]],
    ) -> tuple[int, Tile]:
        window = self.layer.window
        spans = (window.reach(tile.rows, taps[0], 0), window.reach(tile.columns, taps[1], 1))
        source_tile = Tile(tile.n, first + part[0], part[1], spans[0], spans[1])
        address, held = self.sources.get(source_tile)
        if not held:
            view = self.layer.inputs[0]
            self.emitter.load_tile(view, source_tile, address, window.pad_value)
        return address, source_tile

    def _load_weights(
        self,
        base: int,
        channels: tuple[int, int],
        part: tuple[int, int],
        taps: tuple[tuple[int, int], tuple[int, int]],
    ) -> int:
        address, held = self.weights.get((base, channels, part, taps))
        if held:
            return address
        kh, kw = self.layer.window.kernel
        (row, rows), (column, columns) = taps
        size = self.emitter.config.block**2
        offset = ((channels[0] * self.plan.in_blocks + part[0]) * kh + row) * kw + column
        levels = (
            DmaLevel(columns, size, 1),
            DmaLevel(rows, kw * size, columns),
            DmaLevel(part[1], kh * kw * size, rows * columns),
            DmaLevel(channels[1], self.plan.in_blocks * kh * kw * size, part[1] * rows * columns),
        )
        self.emitter.load_entries(Memory.WGT, base + offset * size, address, levels)
        return address

    def _gemm(
        self,
        tile: _OutTile,
        source_tile: Tile,
        taps: tuple[tuple[int, int], tuple[int, int]],
        source: int,
        weights: int,
        acc: int,
        fresh: bool,
    ) -> None:
        window = self.layer.window
        rows, columns = tile.rows[1], tile.columns[1]
        width = source_tile.columns[1]
        kh, kw = taps[0][1], taps[1][1]
        in_blocks = source_tile.blocks
        pixels = (
            GemmLevel(columns, window.stride[1], 0, 1),
            GemmLevel(rows, window.stride[0] * width, 0, columns),
        )
        others = (
            GemmLevel(tile.channels[1], 0, in_blocks * kh * kw, rows * columns),
            GemmLevel(kw, window.dilation[1], 1, 0),
            GemmLevel(kh, window.dilation[0] * width, kw, 0),
            GemmLevel(in_blocks, source_tile.pixels, kh * kw, 0),
        )
        self.emitter.issue(
            Gemm(
                overwrite=fresh,
                act=source,
                wgt=weights,
                acc=acc,
                loops=pixel_nest(pixels, others),
            )
        )

    def _finish(self, tile: _OutTile, index: int, acc: int) -> None:
        first, count = tile.channels
        par = load_parameters(self.emitter, self.plan.post, self.pars, tile.channels, first, count)
        out, _ = self.outs.get(index)
        rows, columns = tile.rows[1], tile.columns[1]
        stride = self.plan.post.vectors if self.plan.post.per_channel else 0
        levels = (
            PostLevel(columns, 1, 1),
            PostLevel(rows, columns, columns),
            PostLevel(count, rows * columns, rows * columns, 0, stride),
        )
        issue_post(self.emitter, self.plan.post, par, (Memory.ACC, acc), (Memory.ACT, out), levels)
        self.emitter.store_tile(
            self.layer.out, Tile(tile.n, first, count, tile.rows, tile.columns), out
        )


def _fit(entries: int, size: int) -> int:
    return min(max(entries // size, 1), MAX_SLOTS)
