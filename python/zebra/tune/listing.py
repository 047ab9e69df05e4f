"""An emitter that lists what it is asked for and leaves the rest to the native library."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import NamedTuple

from zebra.codegen.emitter import Emitter, Tile
from zebra.codegen.shapes import Addresses, Shape, Shapes
from zebra.codegen.slots import Slots
from zebra.hw import HwConfig
from zebra.isa.insns import Insn, Memory
from zebra.runtime.assemble import ShapeTable
from zebra.schedule.views import View


class Loads(NamedTuple):
    """The instructions that load a tile."""

    view: View
    """Kept, so that no other has its id."""
    numbers: list[int]
    at: list[tuple[int, int]]
    """For each address 0 or 1 (it moves with the tile in ACT or in DRAM) and its offset."""


class ListingEmitter(Emitter):
    """Emits one layer; ``code`` gives what an Emitter would.

    It knows no hazards before the end, so slots can be asked for only before the
    first instruction, when all memory has been untouched for equally long.
    """

    def __init__(
        self,
        config: HwConfig,
        addresses: Mapping[str, int],
        shapes: Shapes,
        table: ShapeTable,
        loads: dict[Hashable, Loads],
    ) -> None:
        """``table`` and ``loads``: what programs with the same shapes and addresses left there."""
        super().__init__(config, addresses, shapes)
        self._known, self._table, self._loads = shapes.known, table, loads
        self._numbers: list[int] = []
        self._at: list[int] = []

    def repeat(self, key: Hashable, addresses: Addresses, make: Callable[[], Insn]) -> None:
        """Append the instruction that ``make`` returns, but at ``addresses``."""
        shape = self._known.get(key) or self._shapes.like(key, make)
        self._numbers.append(shape.number)
        self._at += addresses

    def load_tile(self, view: View, tile: Tile, sram: int, pad_value: int = 0) -> None:
        """Bring a tile to ACT; tiles that lie alike in the image are loaded alike."""
        n, block, blocks, (row, rows), (column, columns), gap = tile
        _, _, height, width = view.dims
        key = (
            id(view),
            *(block, blocks, rows, columns, gap, pad_value),
            *(row if row < 0 else 0, column if column < 0 else 0),
            *(max(row + rows - height, 0), max(column + columns - width, 0)),
        )
        batch, _, high, wide = view.strides
        dram = n * batch + row * high + column * wide
        loads = self._loads.get(key)
        if loads is None:
            first, start = len(self._numbers), len(self._at)
            super().load_tile(view, tile, sram, pad_value)
            self._loads[key] = self._noted(view, first, start, (sram, dram))
            return
        self._numbers += loads.numbers
        bases = (sram, dram)
        self._at += [bases[base] + offset for base, offset in loads.at]

    def _noted(self, view: View, first: int, start: int, bases: tuple[int, int]) -> Loads:
        """What was appended from instruction ``first`` and address ``start`` on."""
        numbers = self._numbers[first:]
        names = [name for number in numbers for name in self._shapes.found[number].names]
        kinds = [int(name == "dram") for name in names]
        at = [(kind, at - bases[kind]) for kind, at in zip(kinds, self._at[start:], strict=True)]
        return Loads(view, numbers, at)

    def oldest_first(self, memory: Memory, base: int, size: int, count: int) -> Slots:
        """``count`` slots of ``size`` entries from ``base`` on."""
        assert not self._numbers, "slots are given before the first instruction"
        return super().oldest_first(memory, base, size, count)

    def code(self) -> bytes:
        """The encoded program so far, with its tokens."""
        self._table.extend(self._shapes.found[len(self._table) :])
        return self._table.assemble(self._numbers, self._at)

    def _append(self, shape: Shape, addresses: Addresses) -> None:
        self._numbers.append(shape.number)
        self._at += addresses
