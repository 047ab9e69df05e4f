"""Network and parameters -> the quantized Relay module."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

import numpy as np
import tvm
from tvm import relay

from zebra.numerics import INT8_MAX, INT8_MIN
from zebra.relay.quantizer.emit_binary import emit_binary
from zebra.relay.quantizer.emit_linear import emit_linear
from zebra.relay.quantizer.emit_pool import emit_average
from zebra.relay.quantizer.integer_layer import IntegerLayer, nearest
from zebra.relay.quantizer.rewriting import (
    Expr,
    infer_type,
    op_name,
    rebuild,
    rebuilt,
    shape_of,
    value_of,
)
from zebra.relay.quantizer.scales import QParams
from zebra.relay.quantizer.steps import (
    AveragePool,
    Binary,
    Chain,
    Concat,
    Host,
    Input,
    Linear,
    Literal,
    Network,
    Passthrough,
    Step,
)
from zebra.relay.quantizer.tables import Table, chain_tables, requantization_table


def emit(
    main: relay.Function,
    network: Network,
    params: Mapping[Expr, QParams],
    bits: int,
    layers: Mapping[Expr, IntegerLayer] | None = None,
    kept: Collection[Expr] = (),
) -> tvm.IRModule:
    """The typed module of one function "main" with ``main``'s parameters and type.

    ``layers`` {value of a Linear: its integers}; those that are not there are rounded
    to the nearest. The Linears of ``kept`` stay float.
    """
    chains = [step for step in network.steps if isinstance(step, Chain)]
    emitter = _Emitter(params, chain_tables(chains, params), bits, layers or {}, kept)
    for step in network.steps:
        emitter.emit(step)
    body = emitter.real(network.result)
    return infer_type(tvm.IRModule.from_expr(relay.Function(main.params, body)))


def look_up(table: Table, data: Expr) -> Expr:
    """table[data] for int8 ``data``: indexed by the byte read as unsigned."""
    index = relay.reinterpret(data, dtype="uint8")
    return relay.take(relay.const(table), index, axis=0, mode="fast")


class _Emitter:
    """Keeps each value in the form (int8 or as it was) that its step or a reader needed."""

    def __init__(
        self,
        params: Mapping[Expr, QParams],
        tables: Mapping[Expr, Table],
        bits: int,
        layers: Mapping[Expr, IntegerLayer],
        kept: Collection[Expr],
    ) -> None:
        self.layers, self.kept = layers, kept
        self.params = params
        self.tables = tables
        self.bits = bits
        self._levels: dict[Expr, Expr] = {}
        self._reals: dict[Expr, Expr] = {}

    def emit(self, step: Step) -> None:
        if isinstance(step, (Input, Literal)):
            self._reals[step.expr] = step.expr
        elif isinstance(step, Host):
            self._reals[step.expr] = _host(step, [self.real(value) for value in step.inputs])
        elif step.expr in self.kept:
            operands = {value: self.real(value) for value in step.inputs}
            self._reals[step.expr] = rebuilt(step.expr, operands)
        else:
            self._levels[step.expr] = self.quantized(step)

    def quantized(self, step: Step) -> Expr:
        """A step's value in int8."""
        result, expr = self.params[step.expr], step.expr
        if isinstance(step, Concat):
            parts = [self.levels(value, result) for value in step.inputs]
            return relay.concatenate(parts, step.axis)
        if isinstance(step, Binary):
            return self.binary(step, result)
        data, source = self.levels(step.inputs[0]), self.params[step.inputs[0]]
        if isinstance(step, Linear):
            layer = self.layers.get(expr) or nearest(step, source, result, self.bits)
            value = emit_linear(data, step, layer, source, result)
            return _clip(value, step.clip, result)
        if isinstance(step, AveragePool):
            return emit_average(data, step, source, result, self.bits)
        if isinstance(step, Passthrough):
            return rebuild(expr, [data, *_pad_value(expr, result)])
        return look_up(self.tables[expr], data)

    def binary(self, step: Binary, result: QParams) -> Expr:
        rank = len(shape_of(step.expr))
        operands = [self.operand(value, rank) for value in step.inputs]
        params = (self.params[step.inputs[0]], self.params[step.inputs[1]])
        value = emit_binary(step.operator, operands[0], operands[1], params, result, self.bits)
        return _clip(value, step.clip, result)

    def operand(self, value: Expr, rank: int) -> Expr:
        """A binary operator's operand in int8; a constant gets leading axes up to ``rank``."""
        constant = value_of(value)
        if constant is None:
            return self.levels(value)
        shape = (1,) * (rank - constant.ndim) + constant.shape
        return relay.const(self.params[value].quantize(constant).reshape(shape))

    def levels(self, value: Expr, wanted: QParams | None = None) -> Expr:
        """A value in int8, in its own parameters or in ``wanted``."""
        own = self.params[value]
        wanted = wanted or own
        constant = value_of(value)
        if constant is not None:
            return relay.const(wanted.quantize(constant))
        if value not in self._levels:
            self._levels[value] = relay.qnn.op.quantize(
                self._reals[value], *_constants(own), out_dtype="int8"
            )
        if wanted == own:
            return self._levels[value]
        return look_up(requantization_table(own, wanted), self._levels[value])

    def real(self, value: Expr) -> Expr:
        """A value as the float network has it."""
        if value not in self._reals:
            constants = _constants(self.params[value])
            self._reals[value] = relay.qnn.op.dequantize(self._levels[value], *constants)
        return self._reals[value]


def _constants(params: QParams) -> tuple[Expr, Expr]:
    return relay.const(np.float32(params.scale)), relay.const(params.zero_point, "int32")


def _host(step: Host, operands: list[Expr]) -> Expr:
    return rebuild(step.expr, operands) if operands else step.expr


def _pad_value(expr: Expr, params: QParams) -> list[Expr]:
    if op_name(expr) != "nn.pad":
        return []
    constant = value_of(expr.args[1])
    assert constant is not None
    return [relay.const(params.quantize(constant).reshape(()))]


def _clip(value: Expr, bounds: tuple[float, float] | None, params: QParams) -> Expr:
    """Clip int8 levels to real ``bounds``, unless int8 itself does."""
    if bounds is None:
        return value
    low, high = (_level(bound, params) for bound in bounds)
    if (low, high) == (INT8_MIN, INT8_MAX):
        return value
    return relay.clip(value, low, high)


def _level(bound: float, params: QParams) -> int:
    if math.isinf(bound):
        return INT8_MAX if bound > 0 else INT8_MIN
    return int(params.quantize(np.asarray(bound)))
