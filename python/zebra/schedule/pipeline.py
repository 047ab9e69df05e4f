"""A chain of layers as stripes: its line buffers, its steps and whether it fits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

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
    first_row,
    parameters,
    placement,
    weight_tiles,
)
from zebra.schedule.tiling import MAX_EXTENT, MAX_ITERATIONS, MAX_STRIDE
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
class _Chain:
    """A chain while it is put together."""

    outside: Collection[str]
    """Buffers that others read."""
    stages: list[Stage] = field(default_factory=list)
    buffers: list[LineBuffer] = field(default_factory=list)

    def add(self, layer: Layer) -> bool:
        """Append a layer; False if it cannot be a stage of this chain."""
        window = stage_window(layer)
        if window is None or max(layer.out.dims[3], *window.kernel) > MAX_EXTENT:
            return False
        known = len(self.buffers)
        found = [self._source(view, window) for view in layer.inputs]
        if any(one is None for one in found):
            return False
        sources = [one for one in found if one is not None]
        moved = any(place != Place() for _, place in sources)
        if moved and not isinstance(layer, GemmLayer | AccumLayer):
            return False
        apart = self.stages and all(number >= known for number, _ in sources)
        if apart or any(self.buffers[n].view.dims[0] != layer.out.dims[0] for n, _ in sources):
            return False
        delay = max((self._ready(number) for number, _ in sources), default=0)
        place = sources[0][1]
        if place != Place() and (window.kernel != (1, 1) or window.pad != (0, 0)):
            return False
        window = replace(
            window,
            stride=(window.stride[0] * place.rows, window.stride[1] * place.columns),
            pad=(window.pad[0] - place.row, window.pad[1] - place.column),
        )
        numbers = tuple(number for number, _ in sources)
        if not self._widen(numbers[0], layer, window):
            return False
        target, where = self._target(layer)
        self.stages.append(Stage(layer, window, numbers, target, where, delay))
        return True

    def _source(self, view: View, window: Window) -> tuple[int, Place] | None:
        """The line buffer that holds ``view``, and where; a new one if it comes from DRAM."""
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
        self.buffers.append(LineBuffer(view, loaded=True, stored=False))
        return len(self.buffers) - 1, Place()

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
        whole = layer.out
        if isinstance(layer, GemmLayer) and layer.whole is not None:
            whole = layer.whole
        place = placement(layer.out, whole)
        assert place is not None, f"{layer.name} writes outside of its value"
        for number, buffer in enumerate(self.buffers):
            if buffer.view == whole and not buffer.loaded:
                return number, place
        stored = whole.buffer in self.outside
        self.buffers.append(LineBuffer(whole, loaded=False, stored=stored))
        return len(self.buffers) - 1, place


def unfinished(layers: Sequence[Layer]) -> bool:
    """Whether some value that these layers write in parts still lacks parts."""
    missing: Counter[View] = Counter()
    for layer in layers:
        if isinstance(layer, GemmLayer) and layer.whole is not None:
            if layer.whole not in missing:
                missing[layer.whole] = layer.whole.dims[2] * layer.whole.dims[3]
            missing[layer.whole] -= layer.out.dims[2] * layer.out.dims[3]
    return any(missing.values())


def plan_stripes(
    layers: Sequence[Layer], outside: Collection[str], count: int, config: HwConfig
) -> Stripes | None:
    """The chain of ``layers`` in ``count`` stripes.

    ``outside`` are the buffers that others than these layers read. None if a layer
    cannot be a stage, or if line buffers, accumulators, weights or parameters do
    not fit.
    """
    chain = _Chain(outside)
    if not all(chain.add(layer) for layer in layers):
        return None
    stages, buffers = chain.stages, chain.buffers
    made = {stage.target for stage in stages}
    read = {number for stage in stages for number in stage.sources}
    if any(not buffers[number].stored and number not in read for number in made):
        return None
    buffers = _timed(stages, buffers, count)
    steps = [max(*stage.window.stride, *stage.window.dilation) for stage in stages]
    if any(
        max(steps) * buffer.pitch > MAX_STRIDE or stage.place.rows * buffer.pitch > MAX_STRIDE
        for stage in stages
        for buffer in buffers
    ):
        return None
    base = 0
    for number, buffer in enumerate(buffers):
        buffers[number] = buffer = replace(buffer, rows=_capacity(number, stages, buffers))
        buffers[number] = replace(buffer, base=base)
        base += buffers[number].size
    return _divided(stages, buffers, config) if base <= config.act_entries else None


def _timed(stages: list[Stage], buffers: list[LineBuffer], count: int) -> list[LineBuffer]:
    """The line buffers with their rows after each stripe and the step of their first."""
    result = list(buffers)
    for number in reversed(range(len(buffers))):
        buffer = buffers[number]
        height = buffer.view.dims[2]
        readers = [stage for stage in stages if number in stage.sources]
        ends = [0 if readers else (s + 1) * height // count for s in range(count)]
        for stage in readers:
            for s in range(count):
                first, size = stage.rows(result, s)
                ends[s] = max(ends[s], _reach(stage, first + size, height))
        if buffer.stored:
            ends[-1] = height
        makers = [stage.delay for stage in stages if stage.target == number]
        delay = max(makers) if makers else min(stage.delay for stage in readers) - 1
        result[number] = replace(buffer, ends=_even(ends), delay=delay)
    return result


def _even(ends: Sequence[int]) -> tuple[int, ...]:
    """The same rows at the latest, but no stripe idle before one that makes many."""
    result: list[int] = []
    before = 0
    for number, end in enumerate(ends):
        if end > before:
            idle = number - len(result)
            result += [before + (end - before) * k // (idle + 1) for k in range(1, idle + 2)]
            before = end
    return (*result, *[before] * (len(ends) - len(result)))


def _reach(stage: Stage, rows: int, height: int) -> int:
    """How many rows of its source a stage reads for the first ``rows`` of its result."""
    if rows == 0:
        return 0
    layer, window = stage.layer, stage.window
    if isinstance(layer, MoveLayer):
        rows = -(-rows // layer.factor[0])
    start, size = window.reach((rows - 1, 1), (0, window.kernel[0]), 0)
    return min(start + size, height)


def _capacity(number: int, stages: list[Stage], buffers: list[LineBuffer]) -> int:
    """Slots for the rows that are written or still to be read in the same step."""
    buffer = buffers[number]
    if buffer.repeats:
        return 1
    readers = [stage for stage in stages if number in stage.sources]
    count, height = len(buffer.ends), buffer.view.dims[2]

    def there(step: int) -> int:
        s = min(step - buffer.delay, count - 1)
        end = buffer.ends[s] if s >= 0 else -buffer.top
        return buffer.top + end + (buffer.bottom if end == height else 0)

    most = 1
    for step in range(buffer.delay, count + max(stage.delay for stage in stages)):
        needed = there(step - 2) if buffer.stored else there(step)
        for stage in readers:
            s = step - stage.delay
            if s < count:
                first = stage.rows(buffers, max(s, 0))[0]
                needed = min(needed, first_row(stage, first) + buffer.top)
        most = max(most, there(step) - needed)
    return most


def _divided(stages: list[Stage], buffers: list[LineBuffer], config: HwConfig) -> Stripes | None:
    """Channel chunks that fit ACC, and slots of weights and parameters; None if they do not."""
    accs = slots = 0
    for number, stage in enumerate(stages):
        most = max(stage.rows(buffers, s)[1] for s in range(len(buffers[stage.target].ends)))
        pixels = most * stage.layer.out.dims[3]
        chunk = stage.out_blocks
        if isinstance(stage.layer, GemmLayer | AccumLayer):
            depth = stage.window.kernel[0] * stage.window.kernel[1]
            if isinstance(stage.layer, GemmLayer):
                depth *= buffers[stage.sources[0]].blocks
            limit = min(config.acc_entries // 2, MAX_ITERATIONS // depth)
            chunk = min(chunk, limit // max(pixels, 1))
            if chunk < 1:
                return None
            chunk = -(-stage.out_blocks // -(-stage.out_blocks // chunk))
            accs = max(accs, chunk * pixels)
        if not all(size <= MAX_EXTENT for size in (most, chunk)):
            return None
        stages[number] = replace(stage, chunk=chunk)
    if accs:
        slots = min(4, config.acc_entries // accs)
    placed = _weights(stages, buffers, config)
    if placed is None or sum(parameters(stage) for stage in placed) > config.par_entries:
        return None
    return Stripes(tuple(placed), tuple(buffers), accs, slots)


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
        pieces = stage.chunks * stage.passes
        if pieces * stage.chunk * size <= left + 2 * size:
            left += 2 * size - pieces * stage.chunk * size
            tiles = stage.chunk * size
            placed[number] = replace(stage, weights=tiles, slots=pieces, stays=True)
        else:
            placed[number] = replace(stage, weights=size, slots=2)
    streamed = [number for number in sizes if not placed[number].stays]
    for number in streamed:
        stage, size = placed[number], sizes[number]
        chunk = min(stage.chunk, 1 + left // len(streamed) // (2 * size))
        placed[number] = replace(stage, chunk=chunk, weights=chunk * size)
    return placed
