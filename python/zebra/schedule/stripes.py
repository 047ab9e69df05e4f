"""Several layers as one pipeline of stripes: which rows each computes when, and where they lie.

A chain of layers runs in steps. In each step every layer computes the next rows of
its result, a stripe, from rows that the layers before it computed in earlier steps;
what lies between the layers stays in line buffers in ACT and no row is computed or
loaded twice (the line buffers of Alwani et al., "Fused-layer CNN accelerators",
MICRO 2016, with reuse instead of recomputation). Pure functions of layers and a
configuration.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from zebra.schedule.layers import (
    AccumLayer,
    GemmLayer,
    Layer,
    MoveLayer,
    Window,
)
from zebra.schedule.views import View


@dataclass(frozen=True, slots=True)
class Place:
    """Pixel (r, c) of a part is pixel (row + r * rows, column + c * columns) of the whole."""

    row: int = 0
    rows: int = 1
    column: int = 0
    columns: int = 1


def placement(part: View, whole: View) -> Place | None:
    """Where ``part`` lies in ``whole``, all channels of it; None if it is no such part."""
    same = part.buffer == whole.buffer and part.lane == whole.lane
    if not same or part.dims[:2] != whole.dims[:2] or part.strides[:2] != whole.strides[:2]:
        return None
    if part.lane_stride != whole.lane_stride:
        return None
    row, column = whole.strides[2:]
    rest = part.offset - whole.offset
    if not row or not column or rest < 0 or part.strides[2] % row or part.strides[3] % column:
        return None
    place = Place(
        rest // row,
        part.strides[2] // row or 1,
        rest % row // column,
        part.strides[3] // column or 1,
    )
    low = place.row + (part.dims[2] - 1) * place.rows
    right = place.column + (part.dims[3] - 1) * place.columns
    return place if low < whole.dims[2] and right < whole.dims[3] else None


@dataclass(frozen=True, slots=True, eq=False)
class LineBuffer:
    """Some rows of a value in ACT, [rows][channel blocks][columns], reused in turn.

    Row r of the image, padding above it included, lies in slot (r + top) % rows.
    """

    view: View
    loaded: bool
    """From DRAM; otherwise stages make it."""
    stored: bool
    """Somebody outside of the chain reads it."""
    top: int = 0
    left: int = 0
    bottom: int = 0
    right: int = 0
    pad_value: int = 0
    ends: tuple[int, ...] = ()
    """Rows that are there after each stripe."""
    delay: int = 0
    """Stripe s comes in step s + delay."""
    rows: int = 0
    base: int = 0
    """ACT address of slot 0."""
    gap: int = 0
    """Unused vectors behind each row, which keep rows out of each other's banks."""

    @property
    def blocks(self) -> int:
        """Channel blocks."""
        return self.view.channel_blocks

    @property
    def width(self) -> int:
        """Vectors from one channel block's row to the next block's."""
        return self.left + self.view.dims[3] + self.right

    @property
    def pitch(self) -> int:
        """Vectors from row to row."""
        return self.blocks * self.width + self.gap

    @property
    def size(self) -> int:
        """ACT vectors."""
        return self.rows * self.pitch

    @property
    def repeats(self) -> bool:
        """One pixel that stands for all (broadcast)."""
        return self.view.strides[2] == 0

    def new(self, stripe: int) -> tuple[int, int]:
        """(first, count) of the rows that a stripe adds; none outside of the stripes."""
        if not 0 <= stripe < len(self.ends):
            return 0, 0
        start = self.ends[stripe - 1] if stripe else 0
        return start, self.ends[stripe] - start

    def address(self, row: int, column: int = 0) -> int:
        """ACT address of a pixel of the image, or of the padding around it."""
        return self.base + (row + self.top) % self.rows * self.pitch + self.left + column

    def run(self, row: int, count: int, step: int = 1) -> int:
        """How many of ``count`` rows, every ``step``-th from ``row`` on, lie in ascending order."""
        left = self.rows - 1 - (row + self.top) % self.rows
        return min(count, left // step + 1)


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """One layer of a chain."""

    layer: Layer
    window: Window
    """Of the rows and columns of its first source."""
    sources: tuple[int, ...]
    """Numbers of the line buffers it reads."""
    target: int
    place: Place
    """Where its result lies in the target."""
    delay: int
    """It computes stripe s in step s + delay."""
    starts: tuple[int, ...] = ()
    """The first row of each stripe, and the end of the last."""
    chunk: int = 0
    """Output channel blocks at a time."""
    high: int = 0
    """Rows at a time."""
    weights: int = 0
    """WGT tiles of one slot."""
    slots: int = 0
    """Slots of weights."""
    stays: bool = False
    """All its weights stay in WGT."""

    @property
    def out_blocks(self) -> int:
        """Channel blocks of its result."""
        return self.layer.out.channel_blocks

    @property
    def passes(self) -> int:
        """GEMM passes: 0 for what VEC computes."""
        return self.layer.passes if isinstance(self.layer, GemmLayer) else 0

    @property
    def chunks(self) -> int:
        """How many chunks its channel blocks are cut into."""
        return -(-self.out_blocks // self.chunk)

    def rows(self, stripe: int) -> tuple[int, int]:
        """(first, count) of the rows of its result in a stripe; none outside of them."""
        if not 0 <= stripe < len(self.starts) - 1:
            return 0, 0
        return self.starts[stripe], self.starts[stripe + 1] - self.starts[stripe]


@dataclass(frozen=True, slots=True, eq=False)
class Stripes:
    """A chain with everything placed."""

    stages: tuple[Stage, ...]
    buffers: tuple[LineBuffer, ...]

    @property
    def count(self) -> int:
        """Stripes of one image."""
        return max(len(buffer.ends) for buffer in self.buffers)

    @property
    def steps(self) -> range:
        """The steps of one image."""
        first = min(buffer.delay for buffer in self.buffers)
        return range(first, self.count + max(stage.delay for stage in self.stages))

    @property
    def act(self) -> int:
        """ACT vectors of all line buffers."""
        return sum(buffer.size for buffer in self.buffers)


def first_row(stage: Stage, row: int) -> int:
    """The first row of its source that a stage reads for ``row`` of its result; may be padding."""
    if isinstance(stage.layer, MoveLayer):
        row //= stage.layer.factor[0]
    return row * stage.window.stride[0] - stage.window.pad[0]


@dataclass(frozen=True, slots=True)
class WindowRows:
    """Output rows and kernel rows of a window whose input rows ascend in ACT: (start, count)."""

    rows: tuple[int, int]
    taps: tuple[int, int]


def window_rows(stage: Stage, buffer: LineBuffer, rows: tuple[int, int]) -> Iterator[WindowRows]:
    """``rows`` cut where the line buffer wraps around; for each row its first taps first."""
    taps, (step, _), (dilation, _) = (
        stage.window.kernel[0],
        stage.window.stride,
        stage.window.dilation,
    )
    row, stop = rows[0], rows[0] + rows[1]
    while row < stop:
        start = first_row(stage, row)
        whole = 1 + (buffer.run(start, buffer.rows) - 1 - (taps - 1) * dilation) // step
        if whole >= 1:
            count = min(whole, stop - row)
            yield WindowRows((row, count), (0, taps))
            row += count
            continue
        tap = 0
        while tap < taps:
            count = buffer.run(start + tap * dilation, taps - tap, dilation)
            yield WindowRows((row, 1), (tap, count))
            tap += count
        row += 1


def runs(rows: tuple[int, int], *buffers: tuple[LineBuffer, int, int]) -> Iterator[tuple[int, int]]:
    """``rows`` (first, count) cut where any of the buffers wraps around.

    A buffer comes with the row of it that row 0 is, and its rows from one row to the next.
    """
    row, stop = rows[0], rows[0] + rows[1]
    while row < stop:
        count = stop - row
        for buffer, first, step in buffers:
            if not buffer.repeats:
                count = buffer.run(first + row * step, count, step)
        yield row, count
        row += count


@lru_cache(maxsize=1 << 16)
def runs_on(stride: int, jump: int, extent: int, banks: int, rows: int) -> bool:
    """Whether groups of ``rows`` pixels may run on from one row of a tile to the next.

    ``stride`` and ``jump`` are the vectors from pixel to pixel and from row to row,
    ``extent`` the pixels of a row; the rule of docs/cycle_model.md, "Rows that run on".
    """
    slip = jump - extent * stride
    return not any(
        (m * stride + ends * slip) % banks == 0 and m * stride % banks
        for ends in (1, 2)
        for m in range(1 if ends == 1 else extent + 1, rows)
    )


def parameters(stage: Stage) -> int:
    """PAR vectors of a stage, all of which stay."""
    layer, blocks = stage.layer, stage.out_blocks
    if isinstance(layer, AccumLayer):
        passes = 2 if layer.divide is not None and layer.scale is not None else 1
        taps = layer.window.kernel[0] * layer.window.kernel[1] if layer.taps is not None else 0
        return blocks * (3 * passes + taps)
    return blocks * (3 if isinstance(layer, GemmLayer) else 6)


def weight_tiles(stage: Stage, buffers: Sequence[LineBuffer]) -> int:
    """WGT tiles per output block of a convolution; 0 for another layer."""
    if not isinstance(stage.layer, GemmLayer):
        return 0
    kernel = stage.window.kernel
    return buffers[stage.sources[0]].blocks * kernel[0] * kernel[1]
