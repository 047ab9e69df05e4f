"""Element-wise layers: tables and operators of two tensors, as POST passes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from zebra.codegen.accum import IDENTITY
from zebra.codegen.constants import ConstantPool
from zebra.codegen.emitter import Emitter, Slots, Tile, steps
from zebra.codegen.post import PostPlan, issue_post, load_parameters, plan_post
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
    layer: TableLayer | BinaryLayer, pool: ConstantPool, config: HwConfig
) -> ElementwisePlan:
    """Choose the tiling and store parameters and table."""
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
    tiling = best_pixel_tiling(
        out.channel_blocks,
        (out.dims[2], out.dims[3]),
        len(layer.inputs) + 1,
        post.vectors,
        config,
    )
    return ElementwisePlan(layer.inputs, out, tiling, post)


class ElementwiseGenerator:
    """Emits one TableLayer or BinaryLayer."""

    def __init__(self, plan: ElementwisePlan, emitter: Emitter) -> None:
        self.plan, self.emitter = plan, emitter
        config, tiling = emitter.config, plan.tiling
        size = tiling.blocks * tiling.pixels[0] * tiling.pixels[1]
        areas = len(plan.inputs) + 1
        count = 2 if 2 * areas * size <= config.act_entries else 1
        self.slots = [Slots(area * count * size, size, count) for area in range(areas)]
        par = plan.post.entries(tiling.blocks)
        self.pars = Slots(0, par, 2 if 2 * par <= config.par_entries else 1)

    def emit(self) -> None:
        """All tiles: images, channel blocks, rows, columns."""
        out, tiling = self.plan.out, self.plan.tiling
        index = 0
        for n in range(out.dims[0]):
            for part in steps(out.channel_blocks, tiling.blocks):
                for rows in steps(out.dims[2], tiling.pixels[0]):
                    for columns in steps(out.dims[3], tiling.pixels[1]):
                        self._emit_tile(Tile(n, *part, rows, columns), index)
                        index += 1

    def _emit_tile(self, tile: Tile, index: int) -> None:
        sources = [
            self._load(view, tile, slots) for view, slots in zip(self.plan.inputs, self.slots)
        ]
        post = self.plan.post
        par = load_parameters(
            self.emitter, post, self.pars, (tile.block, tile.blocks), tile.block, tile.blocks
        )
        out, _ = self.slots[-1].get(index)
        levels = self._levels(tile, [source for source, _ in sources])
        a = (Memory.ACT, sources[0][1])
        b = sources[1][1] if len(sources) > 1 else 0
        issue_post(self.emitter, post, par, a, (Memory.ACT, out), levels, b)
        self.emitter.store_tile(self.plan.out, tile, out)

    def _load(self, view: View, tile: Tile, slots: Slots) -> tuple[Tile, int]:
        """A broadcast axis of pixels is loaded once and read with stride 0."""
        needed = tile
        if view.strides[2] == 0:
            needed = replace(needed, rows=(0, 1))
        if view.strides[3] == 0:
            needed = replace(needed, columns=(0, 1))
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
        par = self.plan.post.vectors if self.plan.post.per_channel else 0
        return (
            PostLevel(tile.columns[1], 1, a[0], b[0]),
            PostLevel(tile.rows[1], tile.columns[1], a[1], b[1]),
            PostLevel(tile.blocks, tile.pixels, a[2], b[2], par),
        )
