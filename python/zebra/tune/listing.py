"""An emitter that lists what it is asked for and leaves the rest to the native library."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping

from zebra.codegen.emitter import Emitter
from zebra.codegen.shapes import Addresses, Shape, Shapes
from zebra.codegen.slots import Slots
from zebra.hw import HwConfig
from zebra.isa.insns import Insn, Memory
from zebra.runtime.assemble import ShapeTable


class ListingEmitter(Emitter):
    """Emits one layer; ``code`` gives what an Emitter would.

    It knows no hazards before the end, so slots can be asked for only before the
    first instruction, when all memory has been untouched for equally long.
    """

    def __init__(
        self, config: HwConfig, addresses: Mapping[str, int], shapes: Shapes, table: ShapeTable
    ) -> None:
        """``table``: the shapes that were known when it was used last."""
        super().__init__(config, addresses, shapes)
        self._table = table
        self._numbers: list[int] = []
        self._at: list[int] = []

    def repeat(self, key: Hashable, addresses: Addresses, make: Callable[[], Insn]) -> None:
        """Append the instruction that ``make`` returns, but at ``addresses``."""
        self._numbers.append(self._shapes.like(key, make).number)
        self._at += addresses

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
