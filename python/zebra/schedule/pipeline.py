"""A chain of layers as stripes: its line buffers, its steps and whether it fits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from zebra.hw import HwConfig
from zebra.schedule.layers import (
    AccumLayer,
    BinaryLayer,
    GemmLayer,
    Layer,
    MoveLayer,
    TableLayer,
    Window,
)
from zebra.schedule.stripes import (
    LineBuffer,
    Place,
    Stage,
    Stripes,
    parameters,
    placement,
    runs_on,
    weight_tiles,
)
from zebra.schedule.tiling import (
    MAX_EXTENT,
    MAX_ITERATIONS,
    MAX_STRIDE,
    IntArray,
    window_gap,
)
from zebra.schedule.views import View

POINT = Window((1, 1))
"""The window of an element-wise layer."""


def stage_window(layer: Layer) -> Window | None:
    """The window under which a layer reads its first input; None if it cannot be a stage."""
    if isinstance(layer, GemmLayer):
        return layer.window if layer.groups == 1 else None
    if isinstance(layer, AccumLayer):
        return layer.window
    if isinstance(layer, BinaryLayer | TableLayer):
        return POINT
    if isinstance(layer, MoveLayer) and layer.pad == (0, 0) and layer.factor != (1, 1):
        return POINT
    return None


@dataclass(slots=True)
class Chain:
    """A chain while it is put together."""

    stages: list[Stage] = field(default_factory=list)
    buffers: list[LineBuffer] = field(default_factory=list)

    def add(self, layer: Layer) -> bool:
        """Append a layer; False if it cannot be a stage of this chain."""
        window = stage_window(layer)
        if window is None or max(layer.out.dims[3], *window.kernel) > MAX_EXTENT:
            return False
        known = len(self.buffers)
        wholes = (layer.source, *[None] * len(layer.inputs))
        found = [self._source(view, whole, window) for view, whole in zip(layer.inputs, wholes)]
        if any(one is None for one in found):
            return False
        sources = [one for one in found if one is not None]
        moved = any(place != Place() for _, place in sources)
        if moved and not isinstance(layer, GemmLayer | AccumLayer):
            return False
        apart = self.stages and all(number >= known for number, _ in sources)
        images = {stage.layer.out.dims[0] for stage in self.stages}
        if apart and not (isinstance(layer, MoveLayer) and layer.out.dims[0] in images):
            return False
        if any(self.buffers[n].view.dims[0] != layer.out.dims[0] for n, _ in sources):
            return False
        delay = max((self._ready(number) for number, _ in sources), default=0)
        place = sources[0][1]
        if place != Place():
            if window.pad != (0, 0):
                return False
            window = _through(window, place)
        numbers = tuple(number for number, _ in sources)
        if not self._widen(numbers[0], layer, window):
            return False
        target, where = self._target(layer)
        self.stages.append(Stage(layer, window, numbers, target, where, delay))
        return True

    def _source(self, view: View, whole: View | None, window: Window) -> tuple[int, Place] | None:
        """The line buffer that holds ``view``, and where; a new one if it comes from DRAM.

        The new one is for all of ``whole`` if that is given.
        """
        for number, buffer in enumerate(self.buffers):
            if view == buffer.view:
                return number, Place()
            if view.buffer != buffer.view.buffer:
                continue
            place = placement(view, buffer.view)
            if place is not None and place != Place():
                return number, place
            if not buffer.loaded:
                return None
        rows, columns = view.strides[2:]
        if (rows == 0) != (columns == 0) or (rows == 0 and window != POINT):
            return None
        if rows == 0:
            view = replace(view, dims=(*view.dims[:2], 1, 1))
        place = None if whole is None else placement(view, whole)
        known = view if whole is None or place is None else whole
        self.buffers.append(LineBuffer(known, loaded=True, stored=False))
        return len(self.buffers) - 1, place or Place()

    def _ready(self, number: int) -> int:
        """The first step after the one in which a line buffer's first stripe is made."""
        makers = [stage.delay for stage in self.stages if stage.target == number]
        return max(makers) + 1 if makers else 0

    def _widen(self, number: int, layer: Layer, window: Window) -> bool:
        """Make room for the padding that a reader sees; False if it conflicts with another's."""
        buffer = self.buffers[number]
        if buffer.repeats:
            return True
        high, wide = buffer.view.dims[2:]
        _, _, rows, columns = layer.out.dims
        if isinstance(layer, MoveLayer):
            rows, columns = rows // layer.factor[0], columns // layer.factor[1]
        top, left = max(window.pad[0], 0), max(window.pad[1], 0)
        below = window.span(rows, window.kernel[0], 0) - window.pad[0] - high
        right = window.span(columns, window.kernel[1], 1) - window.pad[1] - wide
        pads = (top, left, max(below, 0), max(right, 0))
        if not any(pads):
            return True
        old = (buffer.top, buffer.left, buffer.bottom, buffer.right)
        if any(old) and buffer.pad_value != window.pad_value:
            return False
        top, left, below, right = (max(a, b) for a, b in zip(old, pads, strict=True))
        self.buffers[number] = replace(
            buffer, top=top, left=left, bottom=below, right=right, pad_value=window.pad_value
        )
        return True

    def _target(self, layer: Layer) -> tuple[int, Place]:
        whole = layer.whole or layer.out
        place = placement(layer.out, whole)
        assert place is not None, f"{layer.name} writes outside of its value"
        for number, buffer in enumerate(self.buffers):
            if buffer.view == whole and not buffer.loaded:
                return number, place
        self.buffers.append(LineBuffer(whole, loaded=False, stored=False))
        return len(self.buffers) - 1, place

    def plan(self, outside: Collection[str], count: int, config: HwConfig) -> Stripes | None:
        """The chain in ``count`` stripes.

        ``outside`` are the buffers that others than these layers read. None if line
        buffers, accumulators, weights or parameters do not fit.
        """
        read = {number for stage in self.stages for number in stage.sources}
        buffers = []
        for number, known in enumerate(self.buffers):
            buffer = _spread(number, known, self.stages) if config.rows > 1 else known
            stored = not buffer.loaded and buffer.view.buffer in outside
            gap = _gap(number, buffer, self.stages, config)
            buffers.append(replace(buffer, stored=stored, gap=gap))
        if any(not b.stored and number not in read for number, b in enumerate(buffers)):
            return None
        return _placed(list(self.stages), buffers, count, config)


def _through(window: Window, place: Place) -> Window:
    """A window without padding on a part of a value, as one on the whole."""
    return replace(
        window,
        stride=(window.stride[0] * place.rows, window.stride[1] * place.columns),
        dilation=(window.dilation[0] * place.rows, window.dilation[1] * place.columns),
        pad=(-place.row, -place.column),
    )


def unfinished(layers: Sequence[Layer]) -> bool:
    """Whether some value that these layers write in parts still lacks parts."""
    missing: Counter[View] = Counter()
    for layer in layers:
        if layer.whole is not None:
            if layer.whole not in missing:
                missing[layer.whole] = layer.whole.dims[2] * layer.whole.dims[3]
            missing[layer.whole] -= layer.out.dims[2] * layer.out.dims[3]
    return any(missing.values())


def plan_stripes(
    layers: Sequence[Layer], outside: Collection[str], count: int, config: HwConfig
) -> Stripes | None:
    """The chain of ``layers`` in ``count`` stripes; None if a layer cannot be a stage of it.

    Otherwise as Chain.plan.
    """
    chain = Chain()
    if not all(chain.add(layer) for layer in layers):
        return None
    return chain.plan(outside, count, config)


def _spread(number: int, buffer: LineBuffer, stages: Sequence[Stage]) -> LineBuffer:
    """With channel blocks in different banks, if they are summed side by side (window_gap)."""
    side_by_side = any(
        isinstance(stage.layer, AccumLayer)
        and window_gap(buffer.width, stage.layer.out.dims[2:], stage.layer.taps is not None)
        for stage in stages
        if number in stage.sources
    )
    return replace(buffer, right=buffer.right + 1) if side_by_side else buffer


def _gap(number: int, buffer: LineBuffer, stages: Sequence[Stage], config: HwConfig) -> int:
    """Vectors behind each row with which most of a line buffer's users run on over row ends."""
    rows, banks = config.rows, 2 * config.rows
    uses = []
    for stage in stages:
        columns = stage.layer.out.dims[3]
        if number in stage.sources:
            steps = stage.window.stride
            if isinstance(stage.layer, MoveLayer):
                columns //= stage.layer.factor[1]
            uses.append((steps[1], steps[0], columns))
        if number == stage.target:
            uses.append((stage.place.columns, stage.place.rows, columns))

    def works(gap: int) -> int:
        pitch = buffer.blocks * buffer.width + gap
        return sum(runs_on(s, t * pitch, extent, banks, rows) for s, t, extent in uses)

    return max(range(banks), key=lambda gap: (works(gap), -gap)) if rows > 1 else 0


def _placed(
    stages: list[Stage], buffers: list[LineBuffer], count: int, config: HwConfig
) -> Stripes | None:
    """A chain in ``count`` stripes; None where it does not fit."""
    steps = [max(*stage.window.stride, *stage.window.dilation) for stage in stages]
    if any(
        max(steps) * buffer.pitch > MAX_STRIDE or stage.place.rows * buffer.pitch > MAX_STRIDE
        for stage in stages
        for buffer in buffers
    ):
        return None
    _time(stages, buffers, count)
    base = 0
    for number, buffer in enumerate(buffers):
        rows = 1 if buffer.repeats else _capacity(number, stages, buffers)
        buffers[number] = replace(buffer, rows=rows, base=base)
        base += rows * buffer.pitch
    return _divided(stages, buffers, config) if base <= config.act_entries else None


def _time(stages: list[Stage], buffers: list[LineBuffer], count: int) -> None:
    """Set which rows each stage computes in each stripe, and the steps of each line buffer."""
    stripes = np.arange(1, count + 1)
    for number in reversed(range(len(buffers))):
        buffer = buffers[number]
        height = buffer.view.dims[2]
        readers = [stage for stage in stages if number in stage.sources]
        ends = np.zeros(count, np.int64) if readers else stripes * height // count
        for stage in readers:
            ends = np.maximum(ends, _reach(stage, height))
        if buffer.stored:
            ends[-1] = height
        ends = _even(ends)
        makers = [n for n, stage in enumerate(stages) if stage.target == number]
        if makers:
            delay = max(stages[n].delay for n in makers)
        else:
            delay = min(stage.delay for stage in readers) - 1
        buffers[number] = replace(buffer, ends=tuple(ends.tolist()), delay=delay)
        for n in makers:
            place, limit = stages[n].place, stages[n].layer.out.dims[2]
            own = (-(-(ends - place.row) // place.rows)).clip(0, limit)
            stages[n] = replace(stages[n], starts=(0, *own.tolist()))


def _even(ends: IntArray) -> IntArray:
    """The same rows at the latest, but no stripe idle before one that makes many."""
    grows = np.flatnonzero(np.diff(ends, prepend=0) > 0)
    known = np.concatenate([[-1], grows])
    rows = np.concatenate([[0], ends[grows]])
    even = np.interp(np.arange(ends.size), known, rows)
    return np.asarray(np.maximum(np.floor(even + 1e-9), 0), np.int64)


def _reach(stage: Stage, height: int) -> IntArray:
    """How many rows of its source a stage has read after each stripe."""
    rows = np.array(stage.starts[1:], np.int64)
    if isinstance(stage.layer, MoveLayer):
        rows = -(-rows // stage.layer.factor[0])
    window = stage.window
    taps = (window.kernel[0] - 1) * window.dilation[0] + 1
    read = (rows - 1) * window.stride[0] - window.pad[0] + taps
    return np.where(rows > 0, np.minimum(read, height), 0)


def _capacity(number: int, stages: list[Stage], buffers: list[LineBuffer]) -> int:
    """Slots for the rows that are written or still to be read in the same step."""
    buffer = buffers[number]
    count, height = len(buffer.ends), buffer.view.dims[2]
    ends = np.array(buffer.ends, np.int64)
    held = np.concatenate([[0], ends + buffer.top + buffer.bottom * (ends == height)])
    steps = np.arange(buffer.delay, count + max(stage.delay for stage in stages))
    there = held[np.clip(steps - buffer.delay + 1, 0, count)]
    # What one step writes must not fall on itself, nor on what is still being stored.
    ago = 2 if buffer.stored else 1
    needed = held[np.clip(steps - buffer.delay + 1 - ago, 0, count)]
    for stage in stages:
        if number not in stage.sources:
            continue
        first = np.array(stage.starts, np.int64)[np.clip(steps - stage.delay, 0, count)]
        if isinstance(stage.layer, MoveLayer):
            first //= stage.layer.factor[0]
        rows = first * stage.window.stride[0] - stage.window.pad[0] + buffer.top
        needed = np.minimum(needed, np.where(steps - stage.delay < count, rows, needed))
    return max(1, int((there - needed).max()))


def _divided(stages: list[Stage], buffers: list[LineBuffer], config: HwConfig) -> Stripes | None:
    """Tiles that fit ACC twice, and slots of weights and parameters; None if they do not."""
    for number, stage in enumerate(stages):
        sizes = [stop - start for start, stop in pairwise(stage.starts)]
        if max(sizes) > MAX_EXTENT:
            return None
        high, chunk, width = max(sizes), stage.out_blocks, stage.layer.out.dims[3]
        if isinstance(stage.layer, GemmLayer | AccumLayer):
            depth = stage.window.kernel[0] * stage.window.kernel[1]
            if isinstance(stage.layer, GemmLayer):
                depth *= buffers[stage.sources[0]].blocks
            limit = min(config.acc_entries // 2, MAX_ITERATIONS // depth)
            # Most stripes are alike; the first, which fills the line buffers, may be larger.
            usual = Counter(size for size in sizes if size).most_common(1)
            high = min(usual[0][0], limit // width) if usual else 1
            if high < 1:
                return None
            chunk = min(chunk, limit // (high * width))
            chunk = -(-stage.out_blocks // -(-stage.out_blocks // chunk))
        if chunk > MAX_EXTENT:
            return None
        stages[number] = replace(stage, chunk=chunk, high=high)
    placed = _weights(stages, buffers, config)
    if placed is None or sum(parameters(stage) for stage in placed) > config.par_entries:
        return None
    return Stripes(tuple(placed), tuple(buffers))


def _weights(
    stages: list[Stage], buffers: list[LineBuffer], config: HwConfig
) -> list[Stage] | None:
    """Slots of weights: all of a layer's if they fit beside the others', else two chunks."""
    sizes = {n: weight_tiles(stage, buffers) for n, stage in enumerate(stages)}
    sizes = {n: size for n, size in sizes.items() if size}
    left = config.wgt_entries - sum(2 * size for size in sizes.values())
    if left < 0:
        return None
    placed = list(stages)
    for number in sorted(sizes, key=lambda n: -sizes[n] * stages[n].out_blocks):
        stage, size = stages[number], sizes[number]
        whole = stage.out_blocks * size
        if stage.passes * whole <= left + 2 * size:
            left += 2 * size - stage.passes * whole
            placed[number] = replace(stage, weights=whole, slots=stage.passes, stays=True)
        else:
            placed[number] = replace(stage, weights=size, slots=2)
    streamed = [number for number in sizes if not placed[number].stays]
    for number in streamed:
        stage, size = placed[number], sizes[number]
        chunk = min(stage.chunk, 1 + left // len(streamed) // (2 * size))
        placed[number] = replace(stage, chunk=chunk, weights=chunk * size)
    return placed
