"""Convolutions on the array: tiles of GEMM, requantized by POST."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from zebra.codegen.accum import AccumMaker, AccumPlan, plan_accum
from zebra.codegen.constants import ConstantPool, pack_weights
from zebra.codegen.elementwise import (
    POST_OPS,
    ElementwiseMaker,
    ElementwisePlan,
    plan_elementwise,
)
from zebra.codegen.emitter import Emitter, Tile, pixel_nest, steps
from zebra.codegen.post import PostPlan, issue_post, load_parameters, plan_post
from zebra.codegen.slots import MAX_SLOTS, Room
from zebra.hw import HwConfig
from zebra.isa.insns import DmaLevel, Gemm, GemmLevel, Memory, PostLevel, PostOp
from zebra.schedule.layers import AccumLayer, BinaryLayer, FusedLayer, GemmLayer, TableLayer
from zebra.schedule.tiling import GemmTiling, GemmWorkload, Order, PixelTiling, WindowTiling
from zebra.schedule.views import View
from zebra.schedule.workloads import gemm_workload, input_ranges, split_weights


@dataclass(frozen=True, slots=True)
class GemmPlan:
    """A convolution, alone or fused, with its tiling and its constants in place."""

    layer: GemmLayer
    out: View
    tiling: GemmTiling
    ranges: tuple[tuple[int, int], ...]
    """Input blocks (first, count) that each output block reads."""
    in_blocks: int
    """Input blocks packed per output block."""
    weights: tuple[int, ...]
    """Addresses of the packed weights, one per pass."""
    post: PostPlan
    before: AccumPlan | ElementwisePlan | None
    after: AfterPlan | None


@dataclass(frozen=True, slots=True)
class AfterPlan:
    """The operator fused behind a convolution."""

    post: PostPlan
    other: View
    """The operand that does not come from the convolution."""
    first: bool
    """The convolution's result is operand A."""


def plan_gemm(
    layer: GemmLayer | FusedLayer,
    pool: ConstantPool,
    config: HwConfig,
    choose: Callable[[GemmWorkload, HwConfig], GemmTiling],
) -> GemmPlan:
    """Choose the tiling and pack the constants."""
    gemm = layer.gemm if isinstance(layer, FusedLayer) else layer
    work = gemm_workload(layer, config)
    tiling = choose(work, config)
    packed = [
        pack_weights(part, gemm.groups, config.block, work.in_blocks)
        for part in split_weights(gemm.weight)
    ]
    weights = tuple(pool.add(part) for part in packed)
    post = plan_post(PostOp.SCALE, (gemm.scale,), gemm.weight.shape[0], gemm.finish, pool, config)
    before, after = None, None
    if isinstance(layer, FusedLayer):
        before = _plan_before(layer.before, tiling, pool, config)
        after = _plan_after(layer.after, gemm, pool, config)
    ranges = input_ranges(gemm, config.block)
    return GemmPlan(gemm, layer.out, tiling, ranges, work.in_blocks, weights, post, before, after)


def _plan_before(
    layer: AccumLayer | BinaryLayer | TableLayer | None,
    tiling: GemmTiling,
    pool: ConstantPool,
    config: HwConfig,
) -> AccumPlan | ElementwisePlan | None:
    if layer is None:
        return None
    if isinstance(layer, AccumLayer):
        window = WindowTiling(tiling.chunk, layer.window.kernel, tiling.pixels)
        return plan_accum(layer, pool, config, window)
    return plan_elementwise(layer, pool, config, PixelTiling(tiling.chunk, tiling.pixels))


def _plan_after(
    layer: BinaryLayer | None, gemm: GemmLayer, pool: ConstantPool, config: HwConfig
) -> AfterPlan | None:
    if layer is None:
        return None
    first = layer.inputs[0] == gemm.out
    scales = (layer.scale_a, layer.scale_b)
    post = plan_post(
        POST_OPS[layer.kind], scales, layer.out.dims[1], layer.finish, pool, config, Memory.ACT
    )
    return AfterPlan(post, layer.inputs[1 if first else 0], first)


@dataclass(frozen=True, slots=True)
class _OutTile:
    """One output tile: image, channel blocks and pixels."""

    n: int
    channels: tuple[int, int]
    rows: tuple[int, int]
    columns: tuple[int, int]

    @property
    def pixels(self) -> tuple[int, tuple[int, int], tuple[int, int]]:
        """What tells one tile of pixels from another."""
        return self.n, self.rows, self.columns


class GemmGenerator:
    """Emits one convolution with what is fused to it."""

    def __init__(self, plan: GemmPlan, emitter: Emitter) -> None:
        self.plan, self.emitter = plan, emitter
        self.layer, self.tiling = plan.layer, plan.tiling
        tiling, window = plan.tiling, plan.layer.window
        rows, columns = tiling.pixels
        source = (
            tiling.in_blocks
            * window.span(rows, tiling.kernel[0], 0)
            * window.span(columns, tiling.kernel[1], 1)
        )
        out = tiling.out_blocks * rows * columns
        room = Room(emitter)
        self._divide_act(room, source, out)
        tiles = tiling.out_blocks * tiling.in_blocks * tiling.kernel[0] * tiling.kernel[1]
        self.weights = room.slots(Memory.WGT, tiles, room.copies(MAX_SLOTS, wgt=tiles))
        par = plan.post.entries(tiling.out_blocks)
        others = room.left(Memory.PAR) // 2 if plan.before is not None else room.left(Memory.PAR)
        self.pars = room.slots(Memory.PAR, par, max(1, min(MAX_SLOTS, others // par)))

    def _divide_act(self, room: Room, source: int, out: int) -> None:
        """Slots for results, for the second operand, for what ``before`` reads, for inputs."""
        plan = self.plan
        self.accs = room.slots(Memory.ACC, out, room.copies(2, acc=out))
        skip = out if plan.after is not None else 0
        count = room.copies(2, act=source + out + skip)
        if count == 1 and skip:
            count = 2 if 2 * (source + out) + skip <= room.left(Memory.ACT) else 1
            self.skips = room.slots(Memory.ACT, skip, 1)
        else:
            self.skips = room.slots(Memory.ACT, skip, count)
        self.outs = room.slots(Memory.ACT, out, count)
        if plan.after is not None:
            entries = plan.after.post.entries(self.tiling.out_blocks)
            self.after_pars = room.slots(Memory.PAR, entries, 1)
        if plan.before is None:
            fit = min(MAX_SLOTS, room.left(Memory.ACT) // source)
            self.sources = room.slots(Memory.ACT, source, fit)
            return
        images, _, height, width = self.layer.out.dims
        alone = self.tiling.pixels == (height, width) and images == 1
        self.sources = room.slots(Memory.ACT, source, 1 if alone else 2)
        self.maker = _maker(plan.before, self.emitter, room)

    def emit(self) -> None:
        """All output tiles in the tiling's order.

        What ``before`` computes is emitted one pixel tile ahead, in pieces between
        the output tiles, so that VEC works on it while GEMM multiplies.
        """
        tiles = list(self._out_tiles())
        queue = self._made_ahead(tiles)
        self._current = -1
        for index, tile in enumerate(tiles):
            self._current += _begins(tiles, index)
            if self.plan.before is not None:
                # Most recently used, so that the next input tile takes the other slot.
                self.sources.get(self._current)
            for piece in queue[index]:
                self._make(*piece)
            self._emit_tile(tile, index)

    def _made_ahead(self, tiles: list[_OutTile]) -> list[list[tuple[int, Tile]]]:
        """For each output tile, the pieces of input tiles to compute before it is multiplied.

        A piece comes with its input tile's number.
        """
        queue: list[list[tuple[int, Tile]]] = [[] for _ in tiles]
        if self.plan.before is None:
            return queue
        starts = [index for index in range(len(tiles)) if _begins(tiles, index)]
        for number, first in enumerate(starts):
            start = starts[number - 1] if number else 0
            pieces = self._pieces(tiles[first])
            places = max(first - start, 1)
            for position, piece in enumerate(pieces):
                queue[start + position * places // len(pieces)].append((number, piece))
        return queue

    def _pieces(self, tile: _OutTile) -> list[Tile]:
        return [
            Tile(tile.n, *part, tile.rows, tile.columns)
            for part in steps(self.plan.in_blocks, self.tiling.chunk)
        ]

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

    def _make(self, number: int, piece: Tile) -> None:
        """Compute a piece of input tile ``number``."""
        address, _ = self.sources.get(number)
        self.maker.make(piece, address + piece.block * piece.pixels)

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
                    source, source_tile = self._source(tile, first, part, taps)
                    for base in self.plan.weights:
                        weights = self._load_weights(base, tile.channels, part, taps)
                        self._gemm(tile, source_tile, taps, source, weights, acc, fresh)
                        fresh = False
        self._finish(tile, index, acc)

    def _source(
        self,
        tile: _OutTile,
        first: int,
        part: tuple[int, int],
        taps: tuple[tuple[int, int], tuple[int, int]],
    ) -> tuple[int, Tile]:
        """ACT address and extent of the input tile, which is loaded unless it is there."""
        window = self.layer.window
        spans = (window.reach(tile.rows, taps[0], 0), window.reach(tile.columns, taps[1], 1))
        source_tile = Tile(tile.n, first + part[0], part[1], spans[0], spans[1])
        if self.plan.before is not None:
            return self.sources.get(self._current)[0], source_tile
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
        out, _ = self.outs.get(index)
        target = Tile(tile.n, first, count, tile.rows, tile.columns)
        skip = 0
        if self.plan.after is not None:
            skip, _ = self.skips.get(index)
            self.emitter.load_tile(self.plan.after.other, target, skip)
        par = load_parameters(self.emitter, self.plan.post, self.pars, tile.channels, first, count)
        levels = _post_levels(target, self.plan.post)
        issue_post(self.emitter, self.plan.post, par, (Memory.ACC, acc), (Memory.ACT, out), levels)
        if self.plan.after is not None:
            self._combine(self.plan.after, target, out, skip)
        self.emitter.store_tile(self.plan.out, target, out)

    def _combine(self, after: AfterPlan, tile: Tile, out: int, skip: int) -> None:
        """The fused operator, in place of the convolution's result."""
        par = load_parameters(
            self.emitter, after.post, self.after_pars, tile.block, tile.block, tile.blocks
        )
        a, b = (out, skip) if after.first else (skip, out)
        levels = tuple(replace(level, b=level.a) for level in _post_levels(tile, after.post))
        issue_post(self.emitter, after.post, par, (Memory.ACT, a), (Memory.ACT, out), levels, b)


def _begins(tiles: list[_OutTile], index: int) -> bool:
    """Whether output tile ``index`` has another input tile than the one before."""
    return index == 0 or tiles[index].pixels != tiles[index - 1].pixels


def _post_levels(tile: Tile, post: PostPlan) -> tuple[PostLevel, ...]:
    stride = post.vectors if post.per_channel else 0
    columns = tile.columns[1]
    return (
        PostLevel(columns, 1, 1),
        PostLevel(tile.rows[1], columns, columns),
        PostLevel(tile.blocks, tile.pixels, tile.pixels, 0, stride),
    )


def _maker(
    plan: AccumPlan | ElementwisePlan, emitter: Emitter, room: Room
) -> AccumMaker | ElementwiseMaker:
    if isinstance(plan, AccumPlan):
        return AccumMaker(plan, emitter, room)
    return ElementwiseMaker(plan, emitter, room)
