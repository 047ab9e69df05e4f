"""Element-wise layers: tables and operators of two tensors, as POST passes."""

from __future__ import annotations

from dataclasses import dataclass

from zebra.codegen.accum import IDENTITY
from zebra.codegen.constants import ConstantPool
from zebra.codegen.emitter import Emitter, Tile
from zebra.codegen.maker import Maker, emit_tiles
from zebra.codegen.post import PostPlan, issue_post, load_parameters, plan_post
from zebra.codegen.room import Room
from zebra.codegen.slots import Slots
from zebra.graph.nodes import BinaryKind, Finish
from zebra.hw import HwConfig
from zebra.isa.insns import Memory, PostLevel, PostOp
from zebra.schedule.cost import best_pixel_tiling
from zebra.schedule.layers import BinaryLayer, TableLayer
from zebra.schedule.tiling import PixelTiling
from zebra.schedule.views import View

POST_OPS = {
    BinaryKind.ADD: PostOp.ADD,
    BinaryKind.SUBTRACT: PostOp.SUB,
    BinaryKind.MULTIPLY: PostOp.MUL,
}


@dataclass(frozen=True, slots=True)
class ElementwisePlan:
    """A TableLayer or BinaryLayer with its tiling and its constants in place."""

    inputs: tuple[View, ...]
    out: View
    tiling: PixelTiling
    post: PostPlan


def plan_elementwise(
    layer: TableLayer | BinaryLayer,
    pool: ConstantPool,
    config: HwConfig,
    tiling: PixelTiling | None = None,
) -> ElementwisePlan:
    """Choose the tiling, unless it is given, and store parameters and table."""
    out = layer.out
    if isinstance(layer, TableLayer):
        op, scales, finish = PostOp.SCALE, [IDENTITY], Finish(table=layer.table)
    else:
        op, scales, finish = (
            POST_OPS[layer.kind],
            [layer.scale_a, layer.scale_b],
            layer.finish,
        )
    post = plan_post(op, scales, out.dims[1], finish, pool, config, Memory.ACT)
    if tiling is None:
        tiling = best_pixel_tiling(
            out.channel_blocks,
            (out.dims[2], out.dims[3]),
            len(layer.inputs) + 1,
            post.vectors,
            config,
        )
    return ElementwisePlan(layer.inputs, out, tiling, post)


class ElementwiseMaker(Maker):
    """Computes tiles of a TableLayer or BinaryLayer in ACT."""

    def __init__(self, plan: ElementwisePlan, emitter: Emitter, room: Room, outs: int = 0) -> None:
        """``outs``: ACT vectors per copy that the caller will still take from ``room``."""
        self.plan, self.emitter = plan, emitter
        tiling = plan.tiling
        size = tiling.blocks * tiling.pixels[0] * tiling.pixels[1]
        self.count = room.copies(2, act=len(plan.inputs) * size + outs)
        self.slots = [room.slots(Memory.ACT, size, self.count) for _ in plan.inputs]
        par = plan.post.entries(tiling.blocks)
        self.pars = room.slots(Memory.PAR, par, room.copies(2, par=par))

    def early(self, tile: Tile, target: int, on_array: int = 0) -> None:
        """All of ``tile``."""
        sources = [
            self._load(view, tile, slots) for view, slots in zip(self.plan.inputs, self.slots)
        ]
        post = self.plan.post
        par = load_parameters(
            self.emitter, post, self.pars, (tile.block, tile.blocks), tile.block, tile.blocks
        )
        levels = self._levels(tile, [source for source, _ in sources])
        a = (Memory.ACT, sources[0][1])
        b = sources[1][1] if len(sources) > 1 else 0
        issue_post(self.emitter, post, par, a, (Memory.ACT, target), levels, b)

    def _load(self, view: View, tile: Tile, slots: Slots) -> tuple[Tile, int]:
        """A broadcast axis of pixels is loaded once and read with stride 0."""
        needed = tile
        if view.strides[2] == 0:
            needed = needed._replace(rows=(0, 1))
        if view.strides[3] == 0:
            needed = needed._replace(columns=(0, 1))
        address, held = slots.get(needed)
        if not held:
            self.emitter.load_tile(view, needed, address)
        return needed, address

    def _levels(self, tile: Tile, sources: list[Tile]) -> tuple[PostLevel, ...]:
        strides = []
        for source in sources:
            column = 1 if source.columns[1] == tile.columns[1] else 0
            row = source.columns[1] if source.rows[1] == tile.rows[1] else 0
            strides.append((column, row, source.pixels))
        a = strides[0]
        b = strides[1] if len(strides) > 1 else (0, 0, 0)
        return (
            PostLevel(tile.columns[1], 1, a[0], b[0]),
            PostLevel(tile.rows[1], tile.columns[1], a[1], b[1]),
            PostLevel(tile.blocks, tile.pixels, a[2], b[2], self.plan.post.stride),
        )


def emit_elementwise(plan: ElementwisePlan, emitter: Emitter) -> None:
    """The whole layer."""
    tiling = plan.tiling
    room = Room(emitter)
    maker = ElementwiseMaker(
        plan, emitter, room, outs=tiling.blocks * tiling.pixels[0] * tiling.pixels[1]
    )
    emit_tiles(maker, plan.out, tiling, emitter, room)
