"""POST passes: parameters in the constant pool and in PAR, and the instruction itself."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter

from zebra.codegen.constants import ConstantPool, needs_wide, pack_parameters
from zebra.codegen.emitter import Emitter, Tile, merge_levels
from zebra.codegen.slots import Slots
from zebra.graph.nodes import Finish, Scale
from zebra.hw import HwConfig
from zebra.isa.insns import Memory, Post, PostLevel, PostOp

KNOWN_LEVELS = 4096
"""Nests over tiles that are kept: a layer has few of them."""

_VALUES = attrgetter("extent", "dst", "a", "b", "par")


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
            ((blocks * plan.vectors, size, 1),),
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
    to_act = dst[0] is Memory.ACT
    table = emitter.load_table(plan.table) if plan.table is not None and to_act else None
    finish = plan.finish if to_act else Finish()
    clamp = finish.offset, finish.low, finish.high
    modes = plan.op, plan.truncate, plan.wide, dst[0], a[0]
    emitter.repeat(
        (Post, *modes, table, *clamp, *map(_VALUES, levels)),
        (dst[1], a[1], b, par),
        lambda: Post(
            op=plan.op,
            truncate=plan.truncate,
            wide=plan.wide,
            lookup=table is not None,
            dst_memory=dst[0],
            a_memory=a[0],
            table=table or 0,
            offset=finish.offset,
            low=finish.low,
            high=finish.high,
            loops=merge_levels(levels) or (PostLevel(),),
        ),
    )


def post_levels(
    tile: Tile, plan: PostPlan, dst: tuple[int, int] | None = None, both: bool = False
) -> tuple[PostLevel, ...]:
    """The loops over a tile [blocks][rows][columns] from A to the destination.

    ``dst``: the destination's strides of (row, block), if they are not the tile's own.
    ``both``: operand B lies as A does.
    """
    source = tile.columns[1], tile.pixels
    size = tile.blocks, tile.rows[1], tile.columns[1]
    return _tile_levels(size, dst or source, source, source if both else None, plan.stride)


@lru_cache(maxsize=KNOWN_LEVELS)
def _tile_levels(
    size: tuple[int, int, int],
    dst: tuple[int, int],
    a: tuple[int, int],
    b: tuple[int, int] | None,
    par: int,
) -> tuple[PostLevel, ...]:
    blocks, rows, columns = size
    row, block = b or (0, 0)
    return (
        PostLevel(columns, 1, 1, int(b is not None)),
        PostLevel(rows, dst[0], a[0], row),
        PostLevel(blocks, dst[1], a[1], block, par),
    )
