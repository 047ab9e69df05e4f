"""Graph -> Compiled: schedule, place constants, emit, verify."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from zebra.codegen.accum import emit_accum, plan_accum
from zebra.codegen.chain import plan_chain
from zebra.codegen.compiled import Compiled, InputPort, LayerPart, LayerSpan, OutputPort
from zebra.codegen.constants import ConstantPool, pack_activation
from zebra.codegen.elementwise import emit_elementwise, plan_elementwise
from zebra.codegen.emitter import Emitter
from zebra.codegen.gemm import GemmGenerator, plan_gemm
from zebra.codegen.move import emit_move, plan_move
from zebra.codegen.stripes import emit_chain
from zebra.errors import UnsupportedError
from zebra.graph.nodes import Graph
from zebra.hw import HwConfig
from zebra.isa.program import Program, Span
from zebra.isa.verify import verify
from zebra.schedule.cost import best_gemm_tiling
from zebra.schedule.layers import (
    AccumLayer,
    BinaryLayer,
    ChainLayer,
    FillLayer,
    FusedLayer,
    GemmLayer,
    Layer,
    MoveLayer,
    TableLayer,
)
from zebra.schedule.memory import assign
from zebra.schedule.plan import ALIGNMENT, Schedule, plan
from zebra.schedule.tiling import GemmTiling, GemmWorkload
from zebra.schedule.views import View

Emit = Callable[[Emitter], None]
Choose = Callable[[GemmWorkload, HwConfig], GemmTiling]
Verify = Callable[[Program, HwConfig], None]

DRAM_LIMIT = 1 << 32
"""Bytes the instructions can address."""


def prepare(layer: Layer, pool: ConstantPool, config: HwConfig, choose: Choose) -> Emit:
    """Tile a layer and pack its constants; the function returned emits it."""
    if isinstance(layer, GemmLayer | FusedLayer):
        gemm = plan_gemm(layer, pool, config, choose)
        return lambda emitter: GemmGenerator(gemm, emitter).emit()
    if isinstance(layer, ChainLayer):
        chain = plan_chain(layer, pool, config)
        return lambda emitter: emit_chain(chain, emitter)
    if isinstance(layer, AccumLayer):
        accum = plan_accum(layer, pool, config)
        return lambda emitter: emit_accum(accum, emitter)
    if isinstance(layer, TableLayer | BinaryLayer):
        elementwise = plan_elementwise(layer, pool, config)
        return lambda emitter: emit_elementwise(elementwise, emitter)
    if isinstance(layer, MoveLayer | FillLayer):
        move = plan_move(layer, config)
        return lambda emitter: emit_move(move, emitter)
    raise UnsupportedError(f"{layer.name}: no code generator for {type(layer).__name__}")


def compile_graph(
    graph: Graph,
    config: HwConfig,
    choose: Choose = best_gemm_tiling,
    check: Verify = verify,
) -> Compiled:
    """Compile a region for one accelerator.

    ``choose`` gives the tiling of each convolution; any legal one gives the same
    results. The same graph, configuration and choice give the same bytes. ``check``
    is the verifier: the golden one, or one that judges like it. Raises
    UnsupportedError where a layer cannot be mapped, and a ProgramError if the
    program fails verification (a bug of the compiler, never of the network).
    """
    return generate(plan(graph, config), config, choose, check)


def generate(schedule: Schedule, config: HwConfig, choose: Choose, check: Verify) -> Compiled:
    """Instructions, tokens and constants for a schedule; verified by ``check``."""
    pool = ConstantPool()
    addresses = {
        name: pool.add(pack_activation(node.data, config.block))
        for name, node in schedule.constants.items()
    }
    emits = [prepare(layer, pool, config, choose) for layer in schedule.layers]
    constants = pool.to_bytes()
    arena, end = assign(schedule.lifetimes, len(constants), ALIGNMENT)
    if end > DRAM_LIMIT:
        raise UnsupportedError(
            f"{schedule.graph.name} needs {end} bytes of DRAM; instructions address {DRAM_LIMIT}"
        )
    addresses.update(arena)
    emitter = Emitter(config, addresses)
    layers = []
    for layer, emit in zip(schedule.layers, emits, strict=True):
        first = len(emitter.stream)
        emit(emitter)
        layers.append(_span(layer, first, emitter))
    program = Program(
        emitter.code(),
        end,
        len(constants),
        _spans(schedule.inputs, addresses),
        _spans(schedule.results.values(), addresses),
    )
    check(program, config)
    inputs, outputs = _inputs(schedule, addresses), _outputs(schedule, addresses)
    return Compiled(schedule.graph.name, program, constants, inputs, outputs, tuple(layers))


def _span(layer: Layer, first: int, emitter: Emitter) -> LayerSpan:
    """What was emitted from instruction ``first`` on."""
    last = len(emitter.stream)
    span = LayerSpan(layer.name, layer.origin, first, last, layer.macs, layer.vec_macs)
    if not isinstance(layer, ChainLayer):
        return span
    parts = tuple(LayerPart(p.name, p.origin, p.macs, p.vec_macs) for p in layer.parts)
    return replace(span, parts=parts, owners=emitter.owners(first))


def _inputs(schedule: Schedule, addresses: dict[str, int]) -> tuple[InputPort, ...]:
    graph = schedule.graph
    return tuple(
        InputPort(
            port.value,
            port.shape,
            port.layout,
            graph.node(port.value).shape,
            addresses[view.buffer],
            fold,
        )
        for port, view, fold in zip(graph.inputs, schedule.inputs, schedule.folds, strict=True)
    )


def _outputs(schedule: Schedule, addresses: dict[str, int]) -> tuple[OutputPort, ...]:
    at = {value: addresses[view.buffer] for value, view in schedule.results.items()}
    return tuple(
        OutputPort(port.value, port.shape, pieces, tuple(at[piece.value] for piece in pieces))
        for port, pieces in zip(schedule.graph.outputs, schedule.outputs, strict=True)
    )


def _spans(views: Iterable[View], addresses: dict[str, int]) -> tuple[Span, ...]:
    return tuple(Span(addresses[view.buffer], view.size) for view in views)
