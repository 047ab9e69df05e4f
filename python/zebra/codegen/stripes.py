"""Emission of a chain of layers, stripe by stripe through line buffers in ACT."""

from __future__ import annotations

from dataclasses import replace

from zebra.codegen.accum import AccumPlan, accum_nest
from zebra.codegen.chain import ChainPlan, Constants, longest_untouched
from zebra.codegen.conv import ConvPlan, Span, gemm_nest
from zebra.codegen.elementwise import ElementwisePlan
from zebra.codegen.emitter import Emitter, Tile, merge_levels, steps
from zebra.codegen.post import PostPlan, issue_post
from zebra.isa.insns import (
    Accum,
    AccumOp,
    Fill,
    FillLevel,
    Gemm,
    Memory,
    PostLevel,
)
from zebra.schedule.layers import (
    MoveLayer,
)
from zebra.schedule.stripes import (
    LineBuffer,
    Stage,
    first_row,
    runs,
    window_rows,
)


class StripeGenerator:
    """Emits one chain."""

    def __init__(self, plan: ChainPlan, emitter: Emitter) -> None:
        self.plan, self.emitter = plan, emitter
        stripes, config = plan.stripes, emitter.config
        self.stages = stripes.stages
        shift = longest_untouched(emitter, Memory.ACT, stripes.act, config.act_entries)
        self.buffers = [replace(b, base=b.base + shift) for b in stripes.buffers]
        self.constants = Constants(plan, emitter)
        self._acc = 0

    def emit(self) -> None:
        """All images, one after the other."""
        for number, buffer in enumerate(self.buffers):
            self._work_for(number)
            self._fill_sides(buffer)
        first = self.stages[0]
        self.emitter.part = 0
        if first.stays:
            self.constants.weights(0, 0, (0, self._chunk(first, 0)))
        for image in range(self.plan.images):
            for step in self.plan.stripes.steps:
                for number, buffer in enumerate(self.buffers):
                    if buffer.loaded:
                        self._work_for(number)
                        self._load(buffer, image, step - buffer.delay)
                for number, stage in enumerate(self.stages):
                    self.emitter.part = number
                    self._compute(number, step - stage.delay)
                for number, buffer in enumerate(self.buffers):
                    if buffer.stored:
                        self._work_for(number)
                        self._store(buffer, image, step - buffer.delay)

    def _work_for(self, buffer: int) -> None:
        """What comes next is for the stage that makes a line buffer, else for its first reader."""
        self.emitter.part = next(
            number
            for number, stage in enumerate(self.stages)
            if buffer == stage.target or buffer in stage.sources
        )

    def _fill_sides(self, buffer: LineBuffer) -> None:
        """The padding left and right of the image, once for all rows."""
        for column, count in ((-buffer.left, buffer.left), (buffer.view.dims[3], buffer.right)):
            if count:
                levels = (
                    FillLevel(count, 1),
                    FillLevel(buffer.blocks, buffer.width),
                    FillLevel(buffer.rows, buffer.pitch),
                )
                self._fill(buffer, buffer.base + buffer.left + column, levels)

    def _fill_rows(self, buffer: LineBuffer, first: int, count: int) -> None:
        """Whole rows of padding."""
        for row, size in runs((first, count), (buffer, 0, 1)):
            address = buffer.address(row, -buffer.left)
            self._fill(buffer, address, (FillLevel(size * buffer.pitch, 1),))

    def _fill(self, buffer: LineBuffer, address: int, levels: tuple[FillLevel, ...]) -> None:
        self.emitter.issue(Fill(sram=address, value=buffer.pad_value, loops=merge_levels(levels)))

    def _new(self, buffer: LineBuffer, stripe: int) -> Span:
        """The rows that a stripe adds; the padding next to them is filled."""
        start, count = buffer.new(stripe)
        if stripe == 0:
            self._fill_rows(buffer, -buffer.top, buffer.top)
        if count and start + count == buffer.view.dims[2]:
            self._fill_rows(buffer, start + count, buffer.bottom)
        return start, count

    def _load(self, buffer: LineBuffer, image: int, stripe: int) -> None:
        columns = (0, buffer.view.dims[3])
        for rows in runs(self._new(buffer, stripe), (buffer, 0, 1)):
            tile = Tile(image, 0, buffer.blocks, rows, columns)
            self.emitter.load_rows(
                buffer.view, tile, buffer.address(rows[0]), buffer.pitch, buffer.width
            )

    def _store(self, buffer: LineBuffer, image: int, stripe: int) -> None:
        columns = (0, buffer.view.dims[3])
        for rows in runs(buffer.new(stripe), (buffer, 0, 1)):
            tile = Tile(image, 0, buffer.blocks, rows, columns)
            self.emitter.store_rows(
                buffer.view, tile, buffer.address(rows[0]), buffer.pitch, buffer.width
            )

    def _compute(self, number: int, stripe: int) -> None:
        """One stripe of one stage."""
        stage, plan = self.stages[number], self.plan.stages[number]
        rows = stage.rows(stripe)
        target = self.buffers[stage.target]
        if self._is_first(number):
            self._new(target, stripe)
        if not rows[1]:
            return
        if isinstance(plan, PostPlan):
            self._upsample(number, plan, rows)
            return
        if isinstance(plan, ElementwisePlan):
            self._elementwise(number, plan, rows)
            return
        for channels in steps(stage.out_blocks, self._chunk(stage, stripe)):
            for start, count in steps(rows[1], stage.high):
                self._sum(number, plan, (rows[0] + start, count), channels)

    def _sum(self, number: int, plan: ConvPlan | AccumPlan, rows: Span, channels: Span) -> None:
        """One tile of a stage that works in ACC, behind the tile before it and around."""
        size = channels[1] * rows[1] * self.stages[number].layer.out.dims[3]
        acc = self._acc if self._acc + size <= self.emitter.config.acc_entries else 0
        self._acc = acc + size
        if isinstance(plan, ConvPlan):
            self._multiply(number, plan, rows, channels, acc)
            self._finish(number, 0, plan.post, rows, channels, acc)
        else:
            self._accumulate(number, plan, rows, channels, acc)

    def _chunk(self, stage: Stage, stripe: int) -> int:
        """Channel blocks at a time: one where the first stripe still waits for its weights."""
        return 1 if stripe == 0 and stage.stays else stage.chunk

    def _is_first(self, number: int) -> bool:
        """Whether no stage that is emitted before writes the same value."""
        target = self.stages[number].target
        return all(stage.target != target for stage in self.stages[:number])

    def _multiply(
        self,
        number: int,
        plan: ConvPlan,
        rows: Span,
        channels: Span,
        acc: int,
    ) -> None:
        stage = self.stages[number]
        source = self.buffers[stage.sources[0]]
        width = stage.layer.out.dims[3]
        kh, kw = stage.window.kernel
        for place in range(len(plan.weights)):
            weights = self.constants.weights(number, place, channels)
            for piece in window_rows(stage, source, rows):
                (row, count), (tap, taps) = piece.rows, piece.taps
                start = first_row(stage, row) + tap * stage.window.dilation[0]
                self.emitter.issue(
                    Gemm(
                        overwrite=place == 0 and tap == 0,
                        act=source.address(start, -stage.window.pad[1]),
                        wgt=weights + tap * kw,
                        acc=acc + (row - rows[0]) * width,
                        loops=gemm_nest(
                            stage.window,
                            (channels[1], count, width),
                            (source.blocks, taps, kw),
                            (source.width, source.pitch),
                            (source.blocks * kh * kw, kh * kw, kw),
                            rows[1] * width,
                        ),
                    )
                )

    def _accumulate(
        self,
        number: int,
        plan: AccumPlan,
        rows: Span,
        channels: Span,
        acc: int,
    ) -> None:
        stage, layer = self.stages[number], plan.layer
        source = self.buffers[stage.sources[0]]
        width = layer.out.dims[3]
        kh, kw = stage.window.kernel
        par = 0 if plan.taps is None else self.constants.taps(number, plan, channels[0])
        for piece in window_rows(stage, source, rows):
            (row, count), (tap, taps) = piece.rows, piece.taps
            start = first_row(stage, row) + tap * stage.window.dilation[0]
            self.emitter.issue(
                Accum(
                    op=layer.op,
                    overwrite=tap == 0,
                    act=source.address(start, -stage.window.pad[1]) + channels[0] * source.width,
                    acc=acc + (row - rows[0]) * width,
                    par=par + tap * kw if plan.taps is not None else 0,
                    loops=accum_nest(
                        stage.window,
                        layer.op is AccumOp.MAC,
                        (channels[1], count, width),
                        (taps, kw),
                        (source.width, source.pitch),
                        rows[1] * width,
                        kh * kw,
                    ),
                )
            )
        for place, post in enumerate(plan.passes[:-1]):
            par = self.constants.parameters(number, place, post, channels[0])
            levels = (
                PostLevel(rows[1] * width, 1, 1),
                PostLevel(
                    channels[1],
                    rows[1] * width,
                    rows[1] * width,
                    0,
                    post.stride,
                ),
            )
            issue_post(self.emitter, post, par, (Memory.ACC, acc), (Memory.ACC, acc), levels)
        self._finish(number, len(plan.passes) - 1, plan.passes[-1], rows, channels, acc)

    def _finish(
        self,
        number: int,
        place: int,
        post: PostPlan,
        rows: Span,
        channels: Span,
        acc: int,
    ) -> None:
        """Requantize accumulators [blocks][rows][columns] into the target."""
        stage = self.stages[number]
        target, where = self.buffers[stage.target], stage.place
        width = stage.layer.out.dims[3]
        par = self.constants.parameters(number, place, post, channels[0])
        for row, count in runs(rows, (target, where.row, where.rows)):
            start = target.address(where.row + row * where.rows, where.column)
            levels = (
                PostLevel(width, where.columns, 1),
                PostLevel(count, where.rows * target.pitch, width),
                PostLevel(
                    channels[1],
                    target.width,
                    rows[1] * width,
                    0,
                    post.stride,
                ),
            )
            a = (Memory.ACC, acc + (row - rows[0]) * width)
            dst = (Memory.ACT, start + channels[0] * target.width)
            issue_post(self.emitter, post, par, a, dst, levels)

    def _elementwise(self, number: int, plan: ElementwisePlan, rows: Span) -> None:
        stage, post = self.stages[number], plan.post
        target, place = self.buffers[stage.target], stage.place
        sources = [self.buffers[source] for source in stage.sources]
        par = self.constants.parameters(number, 0, post, 0)
        cuts = [(source, 0, 1) for source in sources]
        for row, count in runs(rows, (target, place.row, place.rows), *cuts):
            at = [source.address(0 if source.repeats else row) for source in sources]
            levels = tuple(
                PostLevel(extent, dst, *_strides(sources, axis), par=per)
                for axis, (extent, dst, per) in enumerate(
                    (
                        (stage.layer.out.dims[3], place.columns, 0),
                        (count, place.rows * target.pitch, 0),
                        (
                            stage.out_blocks,
                            target.width,
                            post.stride,
                        ),
                    )
                )
            )
            start = target.address(place.row + row * place.rows, place.column)
            b = at[1] if len(at) > 1 else 0
            issue_post(self.emitter, post, par, (Memory.ACT, at[0]), (Memory.ACT, start), levels, b)

    def _upsample(self, number: int, post: PostPlan, rows: Span) -> None:
        """Each row and column of the source several times."""
        stage = self.stages[number]
        layer = stage.layer
        assert isinstance(layer, MoveLayer)
        source, target = self.buffers[stage.sources[0]], self.buffers[stage.target]
        (high, wide), place = layer.factor, stage.place
        par = self.constants.parameters(number, 0, post, 0)
        copies = PostLevel(wide, place.columns, 0)
        columns = PostLevel(source.view.dims[3], wide * place.columns, 1)
        # Rows of the machine side by side: copies of one pixel, unless these are too few.
        pixels = (copies, columns) if 2 * wide >= self.emitter.config.rows else (columns, copies)
        for phase in range(high):
            first = -(-(rows[0] - phase) // high)
            stop = -(-(rows[0] + rows[1] - phase) // high)
            own = place.row + phase * place.rows
            for row, count in runs(
                (first, stop - first), (target, own, high * place.rows), (source, 0, 1)
            ):
                levels = (
                    *pixels,
                    PostLevel(count, high * place.rows * target.pitch, source.pitch),
                    PostLevel(stage.out_blocks, target.width, source.width),
                )
                start = target.address(own + row * high * place.rows, place.column)
                a = (Memory.ACT, source.address(row))
                issue_post(self.emitter, post, par, a, (Memory.ACT, start), levels)


def _strides(sources: list[LineBuffer], axis: int) -> tuple[int, int]:
    """Strides of operands A and B along columns, rows or channel blocks."""
    strides = [(0 if s.repeats else 1, 0 if s.repeats else s.pitch, s.width)[axis] for s in sources]
    return strides[0], strides[1] if len(strides) > 1 else 0


def emit_chain(plan: ChainPlan, emitter: Emitter) -> None:
    """The whole of a chain."""
    StripeGenerator(plan, emitter).emit()
