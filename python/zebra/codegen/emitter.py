"""Emission of single tiles: the vocabulary the layer generators share."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any, NamedTuple, TypeVar

from zebra.codegen.shapes import Addresses, Shape, Shapes, addresses_of
from zebra.codegen.slots import Slots
from zebra.codegen.tokens import TokenStream
from zebra.errors import EncodingError
from zebra.hw import HwConfig
from zebra.isa.codec import token_bits
from zebra.isa.fields import WORD_BYTES
from zebra.isa.insns import (
    AccumLevel,
    DmaLevel,
    Fill,
    FillLevel,
    GemmLevel,
    Insn,
    Load,
    Memory,
    PostLevel,
    Store,
)
from zebra.schedule.views import Run, View, channel_runs

Level = TypeVar("Level", DmaLevel, FillLevel, GemmLevel, AccumLevel, PostLevel)

MAX_EXTENT = {DmaLevel: 1 << 16, FillLevel: 1 << 16}
"""Largest loop extent per level type; 4096 for the others."""

_VALUES: dict[type, Callable[[Any], tuple[int, ...]]] = {
    kind: attrgetter(*(field.name for field in fields(kind)))
    for kind in (DmaLevel, FillLevel, GemmLevel, AccumLevel, PostLevel)
}
"""What a level holds: its extent, then its strides."""


def merge_levels(levels: Sequence[Level]) -> tuple[Level, ...]:
    """Drop loops of one iteration and join loops that continue each other; same iterations."""
    result: list[Level] = []
    for level in levels:
        if level.extent == 1:
            continue
        joined = _joined(result[-1], level) if result else None
        if joined is None:
            result.append(level)
        else:
            result[-1] = joined
    return tuple(result)


def _joined(inner: Level, outer: Level) -> Level | None:
    """One level for two, or None where ``outer`` does not continue ``inner``."""
    kind = type(inner)
    extent, *strides = _VALUES[kind](inner)
    times, *jumps = _VALUES[kind](outer)
    if extent * times > MAX_EXTENT.get(kind, 1 << 12):
        return None
    if jumps != [extent * stride for stride in strides]:
        return None
    return kind(extent * times, *strides)


def pixel_nest(pixels: Sequence[Level], others: Sequence[Level]) -> tuple[Level, ...]:
    """A nest whose level 0 is the pixel level, even when a tile has one pixel only."""
    inner = merge_levels(pixels) or tuple(pixels[:1])
    return inner + merge_levels(others)


class Tile(NamedTuple):
    """Part of a view: image n, channel blocks, and rows and columns as (start, count).

    Rows and columns may reach outside the image: there lies padding.
    """

    n: int
    block: int
    blocks: int
    rows: tuple[int, int]
    columns: tuple[int, int]
    gap: int = 0
    """Unused vectors behind each channel block."""

    @property
    def pixels(self) -> int:
        """Pixels of one channel block."""
        return self.rows[1] * self.columns[1]

    @property
    def plane(self) -> int:
        """Vectors from one channel block to the next."""
        return self.pixels + self.gap

    @property
    def vectors(self) -> int:
        """ACT vectors the tile takes: [blocks][rows][columns]."""
        return self.blocks * self.plane


class Emitter:
    """Issues instructions in sequential order; tokens follow from what they touch.

    ``part`` is the number of the part of a layer that what is issued next works for
    (``LayerSpan.owners``).
    """

    part = 0

    def __init__(
        self,
        config: HwConfig,
        addresses: Mapping[str, int],
        shapes: Shapes | None = None,
    ) -> None:
        """``shapes``: those that other programs for ``config`` have found already."""
        self.config = config
        self.stream = TokenStream()
        self._addresses = addresses
        self._tables = Slots(range(config.tab_entries))
        self._shapes = shapes or Shapes(config)
        self._words: list[int] = []
        self._parts: list[int] = []

    def issue(self, insn: Insn) -> None:
        """Append one instruction; EncodingError names it and the field that does not fit."""
        try:
            shape = self._shapes.of(insn)
        except EncodingError as error:
            raise EncodingError(f"instruction {len(self._words)}: {error}") from None
        self._append(shape, addresses_of(insn))

    def repeat(self, key: Hashable, addresses: Addresses, make: Callable[[], Insn]) -> None:
        """Append the instruction that ``make`` returns, but at ``addresses``.

        ``key`` tells it from all others but for those: ``make`` is called once for equal
        keys. It starts with the instruction's class.
        """
        self._append(self._shapes.like(key, make), addresses)

    def _append(self, shape: Shape, addresses: Addresses) -> None:
        try:
            word, touched = shape.instance(addresses)
        except EncodingError as error:
            raise EncodingError(f"instruction {len(self._words)}: {error}") from None
        self._words.append(word)
        self._parts.append(self.part)
        self.stream.add(shape.kind.ENGINE, touched)

    def owners(self, first: int) -> tuple[int, ...]:
        """The ``part`` of every instruction from ``first`` on."""
        return tuple(self._parts[first:])

    def code(self) -> bytes:
        """The encoded program so far, with its tokens."""
        return b"".join(
            (word | token_bits(*masks)).to_bytes(WORD_BYTES, "little")
            for word, masks in zip(self._words, self.stream.masks(), strict=True)
        )

    def oldest_first(self, memory: Memory, base: int, size: int, count: int) -> Slots:
        """``count`` slots of ``size`` entries from ``base`` on, the longest untouched first.

        A layer's first tiles then take memory that the layer before it is done with.
        """
        starts = [base + index * size for index in range(count)]
        if size == 0 or not len(self.stream):
            return Slots(starts)
        return Slots(sorted(starts, key=lambda at: self.stream.last_touch(memory, at, at + size)))

    def load_entries(
        self,
        memory: Memory,
        address: int,
        sram: int,
        levels: tuple[tuple[int, int, int], ...],
        widen: bool = False,
    ) -> None:
        """Load whole WGT, PAR or TAB entries from a constant's address.

        ``levels``: (extent, DRAM stride, scratchpad stride), innermost first.
        """
        self.repeat(
            (Load, memory, widen, levels),
            (address, sram),
            lambda: Load(
                memory=memory,
                widen=widen,
                lanes=self.config.block,
                loops=merge_levels([DmaLevel(*level) for level in levels]),
            ),
        )

    def load_table(self, address: int) -> int:
        """The TAB entry that holds the table stored at ``address``."""
        slot, held = self._tables.get(address)
        if not held:
            self.load_entries(Memory.TAB, address, slot, ())
        return slot

    def load_tile(self, view: View, tile: Tile, sram: int, pad_value: int = 0) -> None:
        """Bring a tile to ACT as [blocks][rows][columns], padding filled."""
        framed = self.frame(view.dims, tile, sram, pad_value)
        if framed is None:
            return
        inside, origin = framed
        self.load_rows(view, inside, origin, tile.columns[1], tile.plane)

    def load_rows(self, view: View, tile: Tile, sram: int, pitch: int, plane: int) -> None:
        """Bring a tile that lies inside the image to ACT, ``sram`` being its first pixel.

        ``pitch`` vectors lie between rows and ``plane`` between channel blocks.
        """
        for run in channel_runs(view, tile.block, tile.blocks):
            self._load_run(view, tile, run, sram, pitch, plane)

    def frame(
        self, dims: tuple[int, int, int, int], tile: Tile, sram: int, pad_value: int
    ) -> tuple[Tile, int] | None:
        """Fill what of a tile lies outside an image of ``dims``.

        Returns the part inside and the address of its first pixel; None if all is outside.
        """
        rows = _clip(tile.rows, dims[2])
        columns = _clip(tile.columns, dims[3])
        if rows == tile.rows and columns == tile.columns:
            return tile, sram
        if rows[1] <= 0 or columns[1] <= 0:
            self._fill(tile, sram, (0, tile.rows[1]), (0, tile.columns[1]), pad_value)
            return None
        top, left = rows[0] - tile.rows[0], columns[0] - tile.columns[0]
        bottom, right = top + rows[1], left + columns[1]
        height, width = tile.rows[1], tile.columns[1]
        if top:
            self._fill(tile, sram, (0, top), (0, width), pad_value)
        if bottom < height:
            self._fill(tile, sram, (bottom, height - bottom), (0, width), pad_value)
        if left:
            self._fill(tile, sram, (top, rows[1]), (0, left), pad_value)
        if right < width:
            self._fill(tile, sram, (top, rows[1]), (right, width - right), pad_value)
        inside = tile._replace(rows=rows, columns=columns)
        return inside, sram + top * tile.columns[1] + left

    def _fill(
        self,
        tile: Tile,
        sram: int,
        rows: tuple[int, int],
        columns: tuple[int, int],
        value: int,
    ) -> None:
        width = tile.columns[1]
        sizes = ((columns[1], 1), (rows[1], width), (tile.blocks, tile.plane))
        self.repeat(
            (Fill, value, sizes),
            (sram + rows[0] * width + columns[0],),
            lambda: Fill(value=value, loops=merge_levels([FillLevel(*size) for size in sizes])),
        )

    def _load_run(
        self, view: View, inside: Tile, run: Run, sram: int, pitch: int, plane: int
    ) -> None:
        _, channels, row, column = view.strides
        levels = (
            (inside.columns[1], column, 1),
            (inside.rows[1], row, pitch),
            (run.count, channels, plane),
        )
        self.repeat(
            (Load, run.lane, run.lanes, view.lane_stride, levels),
            (self._address(view, inside, run), sram + (run.first - inside.block) * plane),
            lambda: Load(
                memory=Memory.ACT,
                merge=run.lane > 0,
                lane=run.lane,
                lanes=run.lanes,
                lane_stride=view.lane_stride,
                loops=merge_levels([DmaLevel(*level) for level in levels]),
            ),
        )

    def store_tile(
        self, view: View, tile: Tile, sram: int, repeat: tuple[int, int] = (1, 1)
    ) -> None:
        """Write a tile [blocks][rows][columns] of ACT to DRAM, each pixel ``repeat`` times."""
        self.store_rows(view, tile, sram, tile.columns[1], tile.plane, repeat)

    def store_rows(
        self,
        view: View,
        tile: Tile,
        sram: int,
        pitch: int,
        plane: int,
        repeat: tuple[int, int] = (1, 1),
    ) -> None:
        """Write a tile whose rows lie ``pitch`` and whose blocks lie ``plane`` vectors apart."""
        rows, columns = tile.rows, tile.columns
        target = tile
        if repeat != (1, 1):
            target = tile._replace(
                rows=(rows[0] * repeat[0], rows[1] * repeat[0]),
                columns=(columns[0] * repeat[1], columns[1] * repeat[1]),
            )
        _, channels, row, column = view.strides
        for run in channel_runs(view, tile.block, tile.blocks):
            levels = (
                (repeat[1], column, 0),
                (columns[1], column * repeat[1], 1),
                (rows[1], row * repeat[0], pitch),
                (run.count, channels, plane),
            )
            base, start = self._address(view, target, run), sram + (run.first - tile.block) * plane
            for copy in range(repeat[0]):
                self._store_run(view, run, levels, (base + copy * row, start))

    def _store_run(
        self,
        view: View,
        run: Run,
        levels: tuple[tuple[int, int, int], ...],
        addresses: tuple[int, int],
    ) -> None:
        self.repeat(
            (Store, run.lane, run.lanes, view.lane_stride, levels),
            addresses,
            lambda: Store(
                lane=run.lane,
                lanes=run.lanes,
                lane_stride=view.lane_stride,
                loops=merge_levels([DmaLevel(*level) for level in levels]),
            ),
        )

    def _address(self, view: View, tile: Tile, run: Run) -> int:
        n, q, h, w = view.strides
        return (
            self._addresses[view.buffer]
            + view.offset
            + tile.n * n
            + run.dram_block * q
            + run.dram_lane * view.lane_stride
            + tile.rows[0] * h
            + tile.columns[0] * w
        )


def _clip(span: tuple[int, int], size: int) -> tuple[int, int]:
    start, stop = max(span[0], 0), min(span[0] + span[1], size)
    return start, stop - start


def steps(extent: int, size: int) -> list[tuple[int, int]]:
    """(start, count) of the tiles that cover ``extent``; the last may be smaller."""
    return [(start, min(size, extent - start)) for start in range(0, extent, size)]


def tiles(out: View, blocks: int, pixels: tuple[int, int]) -> Iterator[Tile]:
    """The tiles that cover a view: images, channel blocks, rows, columns."""
    for n in range(out.dims[0]):
        for part in steps(out.channel_blocks, blocks):
            for rows in steps(out.dims[2], pixels[0]):
                for columns in steps(out.dims[3], pixels[1]):
                    yield Tile(n, *part, rows, columns)
