"""Layers that only move data: copies, padding, upsampling, fills."""

from __future__ import annotations

from dataclasses import dataclass

from zebra.codegen.emitter import Emitter, Tile, steps
from zebra.codegen.room import Room
from zebra.hw import HwConfig
from zebra.isa.insns import Fill, FillLevel, Memory
from zebra.schedule.cost import best_pixel_tiling
from zebra.schedule.layers import FillLayer, MoveLayer
from zebra.schedule.tiling import PixelTiling


@dataclass(frozen=True, slots=True)
class MovePlan:
    """A movement with its tiling, which counts pixels before upsampling."""

    layer: MoveLayer | FillLayer
    tiling: PixelTiling
    factor: tuple[int, int]


def plan_move(layer: MoveLayer | FillLayer, config: HwConfig) -> MovePlan:
    """Choose the tiling."""
    factor = layer.factor if isinstance(layer, MoveLayer) else (1, 1)
    out = layer.out
    size = (out.dims[2] // factor[0], out.dims[3] // factor[1])
    return MovePlan(layer, best_pixel_tiling(out.channel_blocks, size, 1, 0, config), factor)


def emit_move(plan: MovePlan, emitter: Emitter) -> None:
    """Load (or fill) each tile and store it."""
    layer, tiling = plan.layer, plan.tiling
    size = tiling.blocks * tiling.pixels[0] * tiling.pixels[1]
    room = Room(emitter)
    slots = room.slots(Memory.ACT, size, room.copies(2, act=size))
    n, _, height, width = layer.out.dims
    height, width = height // plan.factor[0], width // plan.factor[1]
    index = 0
    for image in range(n):
        for part in steps(layer.out.channel_blocks, tiling.blocks):
            for rows in steps(height, tiling.pixels[0]):
                for columns in steps(width, tiling.pixels[1]):
                    tile = Tile(image, *part, rows, columns)
                    address, _ = slots.get(index)
                    index += 1
                    _bring(layer, tile, address, emitter)
                    emitter.store_tile(layer.out, tile, address, plan.factor)


def _bring(layer: MoveLayer | FillLayer, tile: Tile, address: int, emitter: Emitter) -> None:
    if isinstance(layer, FillLayer):
        levels = (FillLevel(tile.pixels, 1), FillLevel(tile.blocks, tile.pixels))
        emitter.issue(Fill(sram=address, value=layer.value, loops=levels))
        return
    top, left = layer.pad
    source = Tile(
        tile.n,
        tile.block,
        tile.blocks,
        (tile.rows[0] - top, tile.rows[1]),
        (tile.columns[0] - left, tile.columns[1]),
    )
    emitter.load_tile(layer.inputs[0], source, address, layer.value)
