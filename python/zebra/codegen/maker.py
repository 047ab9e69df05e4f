"""What computes tiles of a layer in ACT, for the layer behind it or to be stored."""

from __future__ import annotations

from abc import ABC, abstractmethod

from zebra.codegen.emitter import Emitter, Tile, tiles
from zebra.codegen.room import Room
from zebra.isa.insns import Memory
from zebra.schedule.tiling import PixelTiling, WindowTiling
from zebra.schedule.views import View


class Maker(ABC):
    """Computes tiles [blocks][rows][columns] of one layer in ACT."""

    count = 1
    """Copies of its own slots: so many tiles may be under way at a time."""

    @abstractmethod
    def early(self, tile: Tile, target: int, on_array: int = 0) -> None:
        """What of ``tile`` can run before GEMM is free, into ACT at ``target``.

        That is all of it, unless GEMM has a share: the last ``on_array`` rows.
        """

    def share(self, tile: Tile) -> int:
        """Rows of ``tile`` that GEMM sums where the layer runs alone."""
        del tile
        return 0

    def late(self, tile: Tile, target: int, on_array: int = 0) -> None:
        """GEMM's share of ``tile``, and its result; nothing without one."""
        del tile, target, on_array


def emit_tiles(
    maker: Maker, out: View, tiling: PixelTiling | WindowTiling, emitter: Emitter, room: Room
) -> None:
    """Compute and store all tiles: images, channel blocks, rows, columns."""
    size = tiling.blocks * tiling.pixels[0] * tiling.pixels[1]
    outs = room.slots(Memory.ACT, size, maker.count)
    for index, tile in enumerate(tiles(out, tiling.blocks, tiling.pixels)):
        target, _ = outs.get(index)
        on_array = maker.share(tile)
        maker.early(tile, target, on_array)
        maker.late(tile, target, on_array)
        emitter.store_tile(out, tile, target)
