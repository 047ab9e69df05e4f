"""Convolutions on the array, alone or with what is fused to them: GEMM, then POST."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from typing import NamedTuple

from zebra.codegen.accum import AccumMaker, AccumPlan, plan_accum
from zebra.codegen.constants import ConstantPool
from zebra.codegen.conv import (
    ConvMaker,
    ConvPlan,
    Part,
    issue_gemm,
    load_weights,
    plan_conv,
    source_tile,
)
from zebra.codegen.elementwise import (
    POST_OPS,
    ElementwiseMaker,
    ElementwisePlan,
    plan_elementwise,
)
from zebra.codegen.emitter import Emitter, Tile, steps
from zebra.codegen.maker import Maker
from zebra.codegen.post import PostPlan, issue_post, load_parameters, plan_post, post_levels
from zebra.codegen.room import Room
from zebra.codegen.slots import MAX_SLOTS
from zebra.hw import HwConfig
from zebra.isa.insns import Memory
from zebra.schedule.layers import AccumLayer, BinaryLayer, FusedLayer, GemmLayer
from zebra.schedule.tiling import (
    GemmTiling,
    GemmWorkload,
    Order,
    PixelTiling,
    WindowTiling,
)
from zebra.schedule.views import View
from zebra.schedule.workloads import gemm_workload

BeforePlan = AccumPlan | ConvPlan | ElementwisePlan


@dataclass(frozen=True, slots=True)
class AfterPlan:
    """The operator fused behind a convolution."""

    post: PostPlan
    other: View
    """The operand that does not come from the convolution."""
    first: bool
    """The convolution's result is operand A."""


@dataclass(frozen=True, slots=True)
class GemmPlan:
    """A convolution, alone or fused, with its tiling and its constants in place."""

    conv: ConvPlan
    out: View
    tiling: GemmTiling
    before: BeforePlan | None
    after: AfterPlan | None
    first: ConvPlan | None = None


def plan_gemm(
    layer: GemmLayer | FusedLayer,
    pool: ConstantPool,
    config: HwConfig,
    choose: Callable[[GemmWorkload, HwConfig], GemmTiling],
) -> GemmPlan:
    """Choose the tiling and pack the constants."""
    tiling = choose(gemm_workload(layer, config), config)
    if isinstance(layer, GemmLayer):
        return GemmPlan(plan_conv(layer, pool, config), layer.out, tiling, None, None)
    return GemmPlan(
        plan_conv(layer.gemm, pool, config),
        layer.out,
        tiling,
        _plan_before(layer, tiling, pool, config),
        None if layer.after is None else _plan_after(layer.after, layer.gemm, pool, config),
        None if layer.first is None else plan_conv(layer.first, pool, config),
    )


def retile(plan: GemmPlan, tiling: GemmTiling) -> GemmPlan:
    """``plan`` with another tiling; both have rows on the array, or neither has."""
    before = plan.before
    if isinstance(before, AccumPlan):
        before = replace(before, tiling=_window_tiling(before.layer, tiling))
    elif isinstance(before, ElementwisePlan):
        before = replace(before, tiling=PixelTiling(tiling.chunk, tiling.pixels))
    return replace(plan, tiling=tiling, before=before)


def _window_tiling(layer: AccumLayer, tiling: GemmTiling) -> WindowTiling:
    return WindowTiling(tiling.chunk, layer.window.kernel, tiling.pixels)


def _plan_before(
    fused: FusedLayer, tiling: GemmTiling, pool: ConstantPool, config: HwConfig
) -> BeforePlan | None:
    layer = fused.before
    if layer is None:
        return None
    if isinstance(layer, GemmLayer):
        return plan_conv(layer, pool, config)
    if isinstance(layer, AccumLayer):
        window = _window_tiling(layer, tiling)
        return plan_accum(layer, pool, config, window, tiling.on_array > 0)
    return plan_elementwise(layer, pool, config, PixelTiling(tiling.chunk, tiling.pixels))


def _plan_after(
    layer: BinaryLayer, gemm: GemmLayer, pool: ConstantPool, config: HwConfig
) -> AfterPlan:
    first = layer.inputs[0] == gemm.out
    post = plan_post(
        POST_OPS[layer.kind],
        (layer.scale_a, layer.scale_b),
        layer.out.dims[1],
        layer.finish,
        pool,
        config,
        Memory.ACT,
    )
    return AfterPlan(post, layer.inputs[1 if first else 0], first)


class _Step(NamedTuple):
    """One multiplication of an output tile: a part of its reduction."""

    output: int
    """Number of the output tile."""
    tile: Tile
    part: Part
    first: bool
    last: bool

    @property
    def input(self) -> tuple[object, ...]:
        """What tells one input tile that ``before`` computes from another."""
        return self.tile.n, self.tile.rows, self.tile.columns, self.part.blocks


class _Piece(NamedTuple):
    """A piece of input tile ``number`` to compute."""

    number: int
    tile: Tile
    offset: int
    on_array: int
    """Rows that GEMM sums."""


class GemmGenerator:
    """Emits one convolution with what is fused to it."""

    def __init__(self, plan: GemmPlan, emitter: Emitter) -> None:
        self.plan, self.emitter, self.tiling = plan, emitter, plan.tiling
        self.steps = list(_steps(plan))
        first = self.steps[0]
        inputs = [step.input for step in self.steps]
        self._begins = [True, *(a != b for a, b in pairwise(inputs))]
        """Whether each step reads another input tile than the one before it."""
        rows, columns = plan.tiling.pixels
        self._largest = Tile(0, 0, plan.tiling.out_blocks, (0, rows), (0, columns))
        part = first.part._replace(blocks=(0, plan.tiling.in_blocks))
        source = source_tile(plan.conv, self._largest, part).vectors
        kernel = plan.tiling.kernel
        tiles = plan.tiling.out_blocks * plan.tiling.in_blocks * kernel[0] * kernel[1]
        room = Room(emitter)
        self._give_outputs(room, source)
        self._give_inputs(room, source, tiles)
        self.weights = room.slots(Memory.WGT, tiles, room.copies(MAX_SLOTS, wgt=tiles))
        par = plan.conv.post.entries(plan.tiling.out_blocks)
        self.pars = room.slots(Memory.PAR, par, room.copies(MAX_SLOTS, par=par))

    def _give_outputs(self, room: Room, source: int) -> None:
        """Slots for accumulators, results and the second operand."""
        out, after = self._largest.vectors, self.plan.after
        self.accs = room.slots(Memory.ACC, out, room.copies(2, acc=out))
        if after is None:
            self.outs = room.slots(Memory.ACT, out, room.copies(2, act=source + out))
            return
        # The operator works in the second operand's slot; the result waits for it only on VEC.
        self.outs = room.slots(Memory.ACT, out, 1)
        inputs = 2 * source if room.left(Memory.ACT) >= 2 * (source + out) else source
        spare = (room.left(Memory.ACT) - inputs) // out
        most = 3 if self.plan.before is None else 2
        self.skips = room.slots(Memory.ACT, out, max(1, min(most, spare)))
        entries = after.post.entries(self.tiling.out_blocks)
        self.after_pars = room.slots(Memory.PAR, entries, 1)

    def _give_inputs(self, room: Room, source: int, tiles: int) -> None:
        """Slots for input tiles, and what computes them if that is fused."""
        before, tiling = self.plan.before, self.tiling
        if before is None:
            fit = min(MAX_SLOTS, room.left(Memory.ACT) // source)
            self.sources = room.slots(Memory.ACT, source, fit)
            return
        self.sources = room.slots(Memory.ACT, source, 2 if any(self._begins[1:]) else 1)
        rows, columns = tiling.pixels
        piece = Tile(0, 0, tiling.chunk, (0, rows), (0, columns))
        pieces = -(-self.plan.conv.in_blocks // tiling.chunk)
        if isinstance(before, ConvPlan):
            self.maker: Maker = ConvMaker(before, piece, pieces, 2 * tiles, self.emitter, room)
        elif isinstance(before, AccumPlan):
            first = None
            if self.plan.first is not None:
                spare = 2 * tiles + 2 * before.diagonal_tiles
                window = before.layer.window
                reach = piece._replace(
                    rows=window.reach((0, rows), (0, window.kernel[0]), 0),
                    columns=window.reach((0, columns), (0, window.kernel[1]), 1),
                )
                first = ConvMaker(self.plan.first, reach, pieces, spare, self.emitter, room)
            slots = 2
            if before.diagonal_tiles:
                fit = (room.left(Memory.WGT) - 2 * tiles) // before.diagonal_tiles
                slots = max(2, min(pieces, fit, MAX_SLOTS))
            self.maker = AccumMaker(before, self.emitter, room, 0, first, slots)
        else:
            self.maker = ElementwiseMaker(before, self.emitter, room)

    def emit(self) -> None:
        """All output tiles in the tiling's order.

        What ``before`` computes is emitted one input tile ahead, in pieces between
        the multiplications, so that VEC works on it while GEMM multiplies.
        """
        queue = self._made_ahead()
        number = -1
        for position, step in enumerate(self.steps):
            number += self._begins[position]
            if self.plan.before is not None:
                # Most recently used, so that the next input tile takes the other slot.
                self.sources.get(number)
            # VEC sums the next input tile under this multiplication, GEMM sums behind it.
            pending = self._make_pieces(queue[position], number) if queue else None
            self._multiply(step, number)
            if step.last:
                self._finish(step.tile, step.output)
            if pending is not None:
                self._late(pending)

    def _make_pieces(self, pieces: list[_Piece], current: int) -> _Piece | None:
        """Emit what can run now; the piece returned still lacks GEMM's share."""
        pending: _Piece | None = None
        for piece in pieces:
            if pending is not None:
                self._late(pending)
            self._early(piece)
            pending = piece
        if pending is not None and pending.number == current:
            self._late(pending)
            return None
        return pending

    def _made_ahead(self) -> list[list[_Piece]]:
        """For each step, the pieces of input tiles to compute before it is multiplied, if any."""
        if self.plan.before is None:
            return []
        queue: list[list[_Piece]] = [[] for _ in self.steps]
        starts = [position for position, begins in enumerate(self._begins) if begins]
        for number, first in enumerate(starts):
            start = starts[number - 1] if number else 0
            pieces = self._pieces(number, self.steps[first])
            places = max(first - start, 1)
            for place, piece in enumerate(pieces):
                queue[start + place * places // len(pieces)].append(piece)
        return queue

    def _pieces(self, number: int, step: _Step) -> list[_Piece]:
        """The pieces of one input tile."""
        tile, (first, count) = step.tile, step.part.blocks
        on_array = tile.rows[1] * self.tiling.on_array // self.tiling.pixels[0]
        return [
            _Piece(
                number,
                Tile(tile.n, first + start, size, tile.rows, tile.columns),
                start * tile.pixels,
                on_array,
            )
            for start, size in steps(count, self.tiling.chunk)
        ]

    def _early(self, piece: _Piece) -> None:
        address = self.sources.get(piece.number)[0] + piece.offset
        self.maker.early(piece.tile, address, piece.on_array)

    def _late(self, piece: _Piece) -> None:
        address = self.sources.get(piece.number)[0] + piece.offset
        self.maker.late(piece.tile, address, piece.on_array)

    def _multiply(self, step: _Step, number: int) -> None:
        conv, emitter, tile = self.plan.conv, self.emitter, step.tile
        acc, _ = self.accs.get(step.output)
        channels = (tile.block, tile.blocks)
        # Weights first: they wait for no other layer, so they come in early.
        weights = load_weights(conv, self.weights, emitter, conv.weights[0], channels, step.part)
        extent = source_tile(conv, tile, step.part)
        if self.plan.before is not None:
            address = self.sources.get(number)[0]
        else:
            address, held = self.sources.get(extent)
            if not held:
                emitter.load_tile(
                    conv.layer.inputs[0], extent, address, conv.layer.window.pad_value
                )
        for place, base in enumerate(conv.weights):
            if place:
                weights = load_weights(conv, self.weights, emitter, base, channels, step.part)
            fresh = step.first and place == 0
            issue_gemm(conv, emitter, tile, step.part, (extent, address), weights, acc, fresh)

    def _finish(self, tile: Tile, index: int) -> None:
        plan, post = self.plan, self.plan.conv.post
        acc, _ = self.accs.get(index)
        out, _ = self.outs.get(index)
        channels = (tile.block, tile.blocks)
        skip = 0
        if plan.after is not None:
            skip, _ = self.skips.get(index)
            self.emitter.load_tile(plan.after.other, tile, skip)
        par = load_parameters(self.emitter, post, self.pars, channels, *channels)
        levels = post_levels(tile, post)
        issue_post(self.emitter, post, par, (Memory.ACC, acc), (Memory.ACT, out), levels)
        if plan.after is not None:
            self._combine(plan.after, tile, out, skip)
            out = skip
        self.emitter.store_tile(plan.out, tile, out)

    def _combine(self, after: AfterPlan, tile: Tile, out: int, skip: int) -> None:
        """The fused operator, in place of the second operand."""
        par = load_parameters(
            self.emitter, after.post, self.after_pars, tile.block, tile.block, tile.blocks
        )
        a, b = (out, skip) if after.first else (skip, out)
        levels = post_levels(tile, after.post, both=True)
        issue_post(self.emitter, after.post, par, (Memory.ACT, a), (Memory.ACT, skip), levels, b)


def _steps(plan: GemmPlan) -> Iterator[_Step]:
    """All multiplications in the order they run."""
    conv, tiling = plan.conv, plan.tiling
    kernel = conv.layer.window.kernel

    @cache
    def parts(blocks: int) -> list[Part]:
        return [
            Part(some, rows, columns)
            for some in steps(blocks, tiling.in_blocks)
            for rows in steps(kernel[0], tiling.kernel[0])
            for columns in steps(kernel[1], tiling.kernel[1])
        ]

    for output, tile in enumerate(_out_tiles(plan)):
        reduction = parts(conv.ranges[tile.block][1])
        last = len(reduction) - 1
        for place, part in enumerate(reduction):
            yield _Step(output, tile, part, place == 0, place == last)


def _out_tiles(plan: GemmPlan) -> Iterator[Tile]:
    out, tiling = plan.conv.layer.out, plan.tiling
    channels = steps(len(plan.conv.ranges), tiling.out_blocks)
    pixels = [
        (n, rows, columns)
        for n in range(out.dims[0])
        for rows in steps(out.dims[2], tiling.pixels[0])
        for columns in steps(out.dims[3], tiling.pixels[1])
    ]
    if tiling.order is Order.PIXELS_OUTER:
        for n, rows, columns in pixels:
            yield from (Tile(n, *part, rows, columns) for part in channels)
    else:
        for part in channels:
            yield from (Tile(n, *part, rows, columns) for n, rows, columns in pixels)
