"""POST passes: parameters in the constant pool and in PAR, and the instruction itself."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from zebra.codegen.constants import ConstantPool, needs_wide, pack_parameters
from zebra.codegen.emitter import Emitter, Tile, merge_levels
from zebra.codegen.slots import Slots
from zebra.graph.nodes import Finish, Scale
from zebra.hw import HwConfig
from zebra.isa.insns import DmaLevel, Memory, Post, PostLevel, PostOp


@dataclass(frozen=True, slots=True)
class PostPlan:
    """One POST pass of a layer with its parameters placed in the constant segment."""

    op: PostOp
    address: int
    vectors: int
    """PAR vectors per channel block."""
    per_channel: bool
    wide: bool
    truncate: bool
    finish: Finish
    table: int | None
    """Address of the table in the constant segment."""

    @property
    def stride(self) -> int:
        """PAR vectors from one channel block's parameters to the next's."""
        return self.vectors if self.per_channel else 0

    def entries(self, blocks: int) -> int:
        """PAR vectors that ``blocks`` channel blocks need."""
        return self.vectors * (blocks if self.per_channel else 1)


def plan_post(
    op: PostOp,
    scales: Sequence[Scale],
    channels: int,
    finish: Finish,
    pool: ConstantPool,
    config: HwConfig,
    a_memory: Memory = Memory.ACC,
    truncate: bool = False,
) -> PostPlan:
    """Store the parameters of a POST pass; multipliers too wide for one pass make it wide."""
    packed = pack_parameters(list(scales), channels, config.block)
    large = a_memory is Memory.ACC or op is PostOp.MUL
    wide = large and needs_wide(packed, config.mult_width)
    return PostPlan(
        op,
        pool.add(packed),
        packed.shape[1],
        packed.shape[0] > 1,
        wide,
        truncate,
        finish,
        None if finish.table is None else pool.add(finish.table),
    )


def load_parameters(
    emitter: Emitter, plan: PostPlan, slots: Slots, key: Hashable, first: int, blocks: int
) -> int:
    """PAR address of the parameters of channel blocks [first, first + blocks)."""
    if not plan.per_channel:
        key, first, blocks = "all", 0, 1
    slot, held = slots.get((plan.address, key))
    if not held:
        size = 4 * emitter.config.block
        emitter.load_entries(
            Memory.PAR,
            plan.address + first * plan.vectors * size,
            slot,
            (DmaLevel(blocks * plan.vectors, size, 1),),
        )
    return slot


def issue_post(
    emitter: Emitter,
    plan: PostPlan,
    par: int,
    a: tuple[Memory, int],
    dst: tuple[Memory, int],
    levels: Sequence[PostLevel],
    b: int = 0,
) -> None:
    """One POST over ``levels`` ([columns, rows, channel blocks], par strides filled in)."""
    finish = plan.finish
    to_act = dst[0] is Memory.ACT
    lookup = to_act and plan.table is not None
    emitter.issue(
        Post(
            op=plan.op,
            truncate=plan.truncate,
            wide=plan.wide,
            lookup=lookup,
            dst_memory=dst[0],
            a_memory=a[0],
            table=emitter.load_table(plan.table) if plan.table is not None and to_act else 0,
            offset=finish.offset if to_act else 0,
            low=finish.low if to_act else -128,
            high=finish.high if to_act else 127,
            dst=dst[1],
            a=a[1],
            b=b,
            par=par,
            loops=merge_levels(levels) or (PostLevel(),),
        )
    )


def post_levels(tile: Tile, plan: PostPlan) -> tuple[PostLevel, ...]:
    """The loops over a tile [blocks][rows][columns] from A to the destination."""
    columns = tile.columns[1]
    return (
        PostLevel(columns, 1, 1),
        PostLevel(tile.rows[1], columns, columns),
        PostLevel(tile.blocks, tile.pixels, tile.pixels, 0, plan.stride),
    )
