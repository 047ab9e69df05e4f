"""The network with some of its steps in int8 and the others in float, in float32 arithmetic.

What a step in int8 computes is what its integers stand for, up to float32's rounding of
sums; an average pool's own rounding is the one of its result.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from zebra.relay.quantizer.evaluate import Array, Evaluator, Value, evaluate_linear
from zebra.relay.quantizer.forward import float_value, last_readers, source_of
from zebra.relay.quantizer.integer_layer import IntegerLayer, reals
from zebra.relay.quantizer.rewriting import Expr
from zebra.relay.quantizer.scales import QParams
from zebra.relay.quantizer.steps import Binary, Host, Input, Linear, Literal, Network, Step

Inputs = Mapping[str, npt.NDArray[Any]]


def in_int8(step: Step, kept: Collection[Expr] = ()) -> bool:
    """Whether a step computes in int8 where the layers ``kept`` stay float."""
    return not isinstance(step, (Input, Literal, Host)) and step.expr not in kept


def rounded(value: Array, params: QParams) -> Array:
    """float32: the reals that the int8 levels of ``value`` stand for."""
    levels = np.rint(value * np.float32(1.0 / params.scale))
    low, high = -128 - params.zero_point, 127 - params.zero_point
    return np.clip(levels, low, high) * np.float32(params.scale)


class Simulator:
    """Runs ``network``; ``layers`` are the integers of its Linear steps."""

    def __init__(
        self,
        network: Network,
        params: Mapping[Expr, QParams],
        layers: Mapping[Expr, IntegerLayer],
    ) -> None:
        self.network, self.params, self.layers = network, params, layers
        self.evaluator = Evaluator()
        self.number = {step.expr: number for number, step in enumerate(network.steps)}

    def run(
        self,
        inputs: Inputs,
        int8: Collection[Expr],
        known: Sequence[Value] | None = None,
        rounding: Mapping[Expr, QParams] | None = None,
    ) -> list[Value]:
        """The value of every step (None once it is read) with those of ``int8`` in integers.

        ``known``: the values of the float network, kept whole; steps that depend on no
        step of ``int8`` have theirs. ``rounding``: float values that are rounded.
        """
        rounding = rounding or {}
        values: list[Value] = []
        changed: set[Expr] = set()
        readers = {} if known is not None or not int8 else last_readers(self.network)
        for number, step in enumerate(self.network.steps):
            touched = step.expr in int8 or step.expr in rounding
            if touched or not changed.isdisjoint(step.inputs):
                changed.add(step.expr)
                value = self.value(step, values, int8)
                if step.expr in rounding:
                    value = rounded(value, rounding[step.expr])
                values.append(value)
            elif known is not None:
                values.append(known[number])
            else:
                source = source_of(step, inputs)
                values.append(self.value(step, values, int8) if source is None else source)
            for value in {read for read in step.inputs if readers.get(read) is step}:
                values[self.number[value]] = None
        return values

    def value(self, step: Step, values: Sequence[Value], int8: Collection[Expr]) -> Value:
        """The step's value from those before it."""
        reads = [values[self.number[value]] for value in step.inputs]
        if step.expr not in int8:
            return float_value(step, reads, self.evaluator)
        for place, value in enumerate(step.inputs):
            if value not in int8 and value in self.params:
                reads[place] = rounded(reads[place], self.params[value])
        return rounded(self.unrounded(step, reads), self.params[step.expr])

    def unrounded(self, step: Step, inputs: Sequence[Value]) -> Value:
        """A step's value in int8 before its own rounding, from rounded inputs."""
        if isinstance(step, Linear):
            weight, bias = reals(step, self.layers[step.expr], self.params[step.inputs[0]])
            return evaluate_linear(step, inputs[0], weight, bias)
        if isinstance(step, Binary) and step.operator != "multiply":
            scale = np.float32(self.params[step.expr].scale)
            inputs = [np.rint(value / scale) * scale for value in inputs]
        return self.evaluator(step, inputs)
