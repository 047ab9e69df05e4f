"""What a chain of layers needs besides its values: weights, parameters and taps."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from zebra.codegen.accum import IDENTITY, AccumPlan, plan_accum
from zebra.codegen.constants import ConstantPool
from zebra.codegen.conv import ConvPlan, Span, fetch_weights, load_weights, plan_conv
from zebra.codegen.elementwise import ElementwisePlan, plan_elementwise
from zebra.codegen.emitter import Emitter
from zebra.codegen.post import PostPlan, load_parameters, plan_post
from zebra.codegen.slots import Slots
from zebra.errors import UnsupportedError
from zebra.graph.nodes import Finish
from zebra.hw import HwConfig
from zebra.isa.insns import Memory, PostOp
from zebra.schedule.layers import (
    AccumLayer,
    BinaryLayer,
    ChainLayer,
    GemmLayer,
    MoveLayer,
    TableLayer,
)
from zebra.schedule.pipeline import plan_stripes
from zebra.schedule.stripes import Stage, Stripes, parameters, weight_tiles
from zebra.schedule.tiling import PixelTiling, WindowTiling

StagePlan = ConvPlan | AccumPlan | ElementwisePlan | PostPlan


@dataclass(frozen=True, slots=True)
class ChainPlan:
    """A chain with its line buffers, and the constants of every stage."""

    stripes: Stripes
    stages: tuple[StagePlan, ...]
    images: int


def plan_chain(layer: ChainLayer, pool: ConstantPool, config: HwConfig) -> ChainPlan:
    """Place line buffers and constants; UnsupportedError where the chain does not fit."""
    stripes = plan_stripes(layer.parts, layer.outside, layer.count, config)
    if stripes is None:
        raise UnsupportedError(f"{layer.name}: its line buffers do not fit {config.name}")
    plans = tuple(_plan_stage(stage, pool, config) for stage in stripes.stages)
    return ChainPlan(stripes, plans, layer.out.dims[0])


def _plan_stage(stage: Stage, pool: ConstantPool, config: HwConfig) -> StagePlan:
    layer = stage.layer
    if isinstance(layer, GemmLayer):
        return plan_conv(layer, pool, config)
    if isinstance(layer, AccumLayer):
        return plan_accum(
            layer, pool, config, WindowTiling(stage.chunk, layer.window.kernel, (1, 1))
        )
    if isinstance(layer, MoveLayer):
        channels = layer.out.dims[1]
        finish = Finish()
        return plan_post(PostOp.SCALE, (IDENTITY,), channels, finish, pool, config, Memory.ACT)
    assert isinstance(layer, BinaryLayer | TableLayer)
    return plan_elementwise(layer, pool, config, PixelTiling(stage.chunk, (1, 1)))


def longest_untouched(emitter: Emitter, memory: Memory, size: int, entries: int) -> int:
    """Where ``size`` of a memory's ``entries`` start, at that end that was left alone longer."""
    if not size:
        return 0
    touched = emitter.stream.last_touch
    ends = (0, entries - size)
    return min(ends, key=lambda start: (touched(memory, start, start + size), start))


class Constants:
    """The weights and parameters of a chain's stages in WGT and PAR, loaded when first used."""

    def __init__(self, plan: ChainPlan, emitter: Emitter) -> None:
        self._plan, self._emitter = plan, emitter
        stages, config = plan.stripes.stages, emitter.config
        tiles = sum(stage.weights * stage.slots for stage in stages)
        wgt = longest_untouched(emitter, Memory.WGT, tiles, config.wgt_entries)
        entries = sum(parameters(stage) for stage in stages)
        par = longest_untouched(emitter, Memory.PAR, entries, config.par_entries)
        self._wgt: list[int] = []
        self._slots: list[Slots] = []
        self._par: list[list[int]] = []
        for stage, constants in zip(stages, plan.stages, strict=True):
            self._wgt.append(wgt)
            self._slots.append(emitter.oldest_first(Memory.WGT, wgt, stage.weights, stage.slots))
            wgt += stage.weights * stage.slots
            sizes = _parameter_sizes(constants, stage.out_blocks)
            self._par.append([par + sum(sizes[:number]) for number in range(len(sizes))])
            par += sum(sizes)
        self._here: set[Hashable] = set()

    def weights(self, number: int, place: int, channels: Span) -> int:
        """WGT address of a stage's weights of ``channels`` for pass ``place``."""
        stage, plan = self._plan.stripes.stages[number], self._plan.stages[number]
        assert isinstance(plan, ConvPlan)
        base = plan.weights[place]
        if not stage.stays:
            slots = self._slots[number]
            return load_weights(plan, slots, self._emitter, base, channels, plan.whole)
        size = weight_tiles(stage, self._plan.stripes.buffers)
        start = self._wgt[number] + place * stage.out_blocks * size
        blocks = range(channels[0], channels[0] + channels[1])
        missing = [block for block in blocks if (number, place, block) not in self._here]
        if missing:
            # Blocks come in ascending order, so what is missing is one run.
            span, address = (missing[0], len(missing)), start + missing[0] * size
            fetch_weights(plan, self._emitter, base, address, span, plan.whole)
            self._here.update((number, place, block) for block in missing)
        return start + channels[0] * size

    def parameters(self, number: int, place: int, post: PostPlan, block: int) -> int:
        """PAR address of pass ``place``'s parameters for channel blocks from ``block`` on."""
        address = self._par[number][place]
        if (number, place) not in self._here:
            self._here.add((number, place))
            whole = (0, self._plan.stripes.stages[number].out_blocks)
            load_parameters(self._emitter, post, Slots([address]), whole, *whole)
        return address + block * post.stride

    def taps(self, number: int, plan: AccumPlan, block: int) -> int:
        """PAR address of the depthwise taps of channel blocks from ``block`` on."""
        address = self._par[number][-1]
        kernel = plan.layer.window.kernel
        taps = kernel[0] * kernel[1]
        if (number, "taps") not in self._here:
            self._here.add((number, "taps"))
            assert plan.taps is not None
            size = self._emitter.config.block * (1 if plan.widen else 4)
            blocks = self._plan.stripes.stages[number].out_blocks
            level = (blocks * taps, size, 1)
            self._emitter.load_entries(Memory.PAR, plan.taps, address, (level,), plan.widen)
        return address + block * taps


def _parameter_sizes(plan: StagePlan, blocks: int) -> list[int]:
    """PAR vectors of all channel blocks: each pass, and the taps last."""
    if isinstance(plan, PostPlan):
        return [plan.entries(blocks)]
    if isinstance(plan, AccumPlan):
        kernel = plan.layer.window.kernel
        taps = 0 if plan.taps is None else blocks * kernel[0] * kernel[1]
        return [*(post.entries(blocks) for post in plan.passes), taps]
    return [plan.post.entries(blocks)]
