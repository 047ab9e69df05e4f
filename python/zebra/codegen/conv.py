"""One tile of a convolution: its weights in WGT, the GEMM instruction, and making it in ACT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from zebra.codegen.constants import ConstantPool, pack_weights
from zebra.codegen.emitter import Emitter, Tile, pixel_nest
from zebra.codegen.maker import Maker
from zebra.codegen.post import PostPlan, issue_post, load_parameters, plan_post, post_levels
from zebra.codegen.room import Room
from zebra.codegen.slots import MAX_SLOTS, Slots
from zebra.hw import HwConfig
from zebra.isa.insns import Gemm, GemmLevel, Memory, PostOp
from zebra.schedule.layers import GemmLayer, Window
from zebra.schedule.workloads import input_ranges, split_weights

Span = tuple[int, int]
"""(start, count)."""


class Part(NamedTuple):
    """A part of the reduction: input blocks within the output's range, kernel rows and columns."""

    blocks: Span
    kernel_rows: Span
    kernel_columns: Span


@dataclass(frozen=True, slots=True)
class ConvPlan:
    """A convolution with its constants in place."""

    layer: GemmLayer
    ranges: tuple[Span, ...]
    """Input blocks that each output block reads."""
    in_blocks: int
    """Input blocks packed per output block."""
    weights: tuple[int, ...]
    """Addresses of the packed weights, one per pass."""
    post: PostPlan

    @property
    def whole(self) -> Part:
        """All of the reduction."""
        kernel = self.layer.window.kernel
        return Part((0, self.in_blocks), (0, kernel[0]), (0, kernel[1]))


def plan_conv(layer: GemmLayer, pool: ConstantPool, config: HwConfig) -> ConvPlan:
    """Pack weights and parameters."""
    ranges = input_ranges(layer, config.block)
    in_blocks = max(count for _, count in ranges)
    weights = tuple(
        pool.add(pack_weights(part, layer.groups, config.block, in_blocks))
        for part in split_weights(layer.weight)
    )
    channels = layer.weight.shape[0]
    post = plan_post(PostOp.SCALE, (layer.scale,), channels, layer.finish, pool, config)
    return ConvPlan(layer, ranges, in_blocks, weights, post)


def load_weights(
    plan: ConvPlan, slots: Slots, emitter: Emitter, base: int, channels: Span, part: Part
) -> int:
    """WGT address of the weights of ``channels`` (output blocks) and ``part``."""
    address, held = slots.get((base, channels, part))
    if not held:
        fetch_weights(plan, emitter, base, address, channels, part)
    return address


def fetch_weights(
    plan: ConvPlan, emitter: Emitter, base: int, address: int, channels: Span, part: Part
) -> None:
    """Load the weights of ``channels`` and ``part`` to WGT at ``address``."""
    kh, kw = plan.layer.window.kernel
    (row, rows), (column, columns) = part.kernel_rows, part.kernel_columns
    size = emitter.config.block**2
    offset = ((channels[0] * plan.in_blocks + part.blocks[0]) * kh + row) * kw + column
    taps = rows * columns
    levels = (
        (columns, size, 1),
        (rows, kw * size, columns),
        (part.blocks[1], kh * kw * size, taps),
        (channels[1], plan.in_blocks * kh * kw * size, part.blocks[1] * taps),
    )
    emitter.load_entries(Memory.WGT, base + offset * size, address, levels)


def source_tile(plan: ConvPlan, tile: Tile, part: Part) -> Tile:
    """The input tile that output ``tile`` reads for ``part`` of the reduction."""
    window, first = plan.layer.window, plan.ranges[tile.block][0]
    rows = window.reach(tile.rows, part.kernel_rows, 0)
    columns = window.reach(tile.columns, part.kernel_columns, 1)
    return Tile(tile.n, first + part.blocks[0], part.blocks[1], rows, columns)


def issue_gemm(
    plan: ConvPlan,
    emitter: Emitter,
    tile: Tile,
    part: Part,
    source: tuple[Tile, int],
    weights: int,
    acc: int,
    overwrite: bool,
) -> None:
    """Multiply ``source`` (input tile, ACT address) by ``weights`` into ACC at ``acc``."""
    (extent, address), blocks = source, source[0].blocks
    rows, columns = tile.rows[1], tile.columns[1]
    kh, kw = part.kernel_rows[1], part.kernel_columns[1]
    window = plan.layer.window
    out, reduction = (tile.blocks, rows, columns), (blocks, kh, kw)
    act = extent.pixels, extent.columns[1]
    emitter.repeat(
        (Gemm, overwrite, window.stride, window.dilation, out, reduction, act),
        (address, weights, acc),
        lambda: Gemm(
            overwrite=overwrite,
            loops=gemm_nest(
                window, out, reduction, act, (blocks * kh * kw, kh * kw, kw), rows * columns
            ),
        ),
    )


def gemm_nest(
    window: Window,
    out: tuple[int, int, int],
    reduction: tuple[int, int, int],
    act: tuple[int, int],
    wgt: tuple[int, int, int],
    acc: int,
) -> tuple[GemmLevel, ...]:
    """The loops of a convolution.

    ``out``: output (blocks, rows, columns); ``reduction``: input blocks, kernel rows
    and columns; strides: ``act`` of (block, row), ``wgt`` of (output block, input
    block, kernel row), ``acc`` of a block.
    """
    blocks, rows, columns = out
    pixels = (
        GemmLevel(columns, window.stride[1], 0, 1),
        GemmLevel(rows, window.stride[0] * act[1], 0, columns),
    )
    others = (
        GemmLevel(blocks, 0, wgt[0], acc),
        GemmLevel(reduction[2], window.dilation[1], 1, 0),
        GemmLevel(reduction[1], window.dilation[0] * act[1], wgt[2], 0),
        GemmLevel(reduction[0], act[0], wgt[1], 0),
    )
    return pixel_nest(pixels, others)


class ConvMaker(Maker):
    """Computes tiles of a convolution in ACT for the layer behind it."""

    def __init__(
        self, plan: ConvPlan, piece: Tile, pieces: int, spare: int, emitter: Emitter, room: Room
    ) -> None:
        """``piece``: the largest tile asked for; ``spare``: WGT tiles to leave in ``room``."""
        self.plan, self.emitter = plan, emitter
        source = source_tile(plan, piece, plan.whole).vectors
        self.sources = room.slots(Memory.ACT, source, room.copies(2, act=source))
        height, width = plan.layer.out.dims[2:]
        vectors = piece.blocks * min(piece.rows[1], height) * min(piece.columns[1], width)
        self.accs = room.slots(Memory.ACC, vectors, room.copies(2, acc=vectors))
        kernel = plan.layer.window.kernel
        tiles = piece.blocks * plan.in_blocks * kernel[0] * kernel[1]
        count = pieces * len(plan.weights)
        room_for = (room.left(Memory.WGT) - spare) // tiles
        self.weights = room.slots(
            Memory.WGT,
            tiles,
            count if count <= min(room_for, MAX_SLOTS) else max(1, min(2, room_for)),
        )
        par = plan.post.entries(piece.blocks)
        self.pars = room.slots(Memory.PAR, par, room.copies(2, par=par))
        self._made = 0

    def early(self, tile: Tile, target: int, on_array: int = 0) -> None:
        """All of ``tile``."""
        self.make(tile, target)

    def make(self, tile: Tile, target: int, pad_value: int = 0) -> None:
        """Compute ``tile`` into ACT at ``target``, [blocks][rows][columns], padding filled."""
        framed = self.emitter.frame(self.plan.layer.out.dims, tile, target, pad_value)
        if framed is None:
            return
        inside, origin = framed
        acc = self._multiply(inside)
        plan, channels = self.plan.post, (tile.block, tile.blocks)
        par = load_parameters(self.emitter, plan, self.pars, channels, *channels)
        levels = post_levels(inside, plan, (tile.columns[1], tile.pixels))
        issue_post(self.emitter, plan, par, (Memory.ACC, acc), (Memory.ACT, origin), levels)

    def _multiply(self, tile: Tile) -> int:
        """The accumulators of ``tile``."""
        plan, emitter, channels = self.plan, self.emitter, (tile.block, tile.blocks)
        acc, _ = self.accs.get(self._made)
        self._made += 1
        extent = source_tile(plan, tile, plan.whole)
        address, held = self.sources.get(extent)
        if not held:
            view, value = plan.layer.inputs[0], plan.layer.window.pad_value
            emitter.load_tile(view, extent, address, value)
        for number, base in enumerate(plan.weights):
            weights = load_weights(plan, self.weights, emitter, base, channels, plan.whole)
            source = (extent, address)
            issue_gemm(plan, emitter, tile, plan.whole, source, weights, acc, number == 0)
        return acc
