"""Going through the network layer by layer, float and quantized side by side.

Each layer's integers are found (``compensate``, bias correction) from the inputs that
the quantized layers before it give on the calibration pictures, then its own quantized
results are computed for the layers behind it. All pictures pass one step before any
passes the next; values wait on disk.

Bias correction: with mean inputs x (float) and z (quantized) and weights w and v
(quantized), b' = b + w x - v z makes the mean of each output channel the float one
(Nagel et al. 2019, arXiv 1906.04721, from data).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from zebra.relay.quantizer.blas import blas_threads
from zebra.relay.quantizer.compensate import compensated
from zebra.relay.quantizer.evaluate import Array, Value
from zebra.relay.quantizer.forward import float_value, in_order, last_readers, source_of
from zebra.relay.quantizer.integer_layer import (
    WEIGHT_MAX,
    IntegerLayer,
    accumulator_scales,
    bias_levels,
    groups_of,
    nearest,
    output_major,
)
from zebra.relay.quantizer.moments import Moments, moments_of
from zebra.relay.quantizer.report import BINS, Comparison, compare
from zebra.relay.quantizer.rewriting import Expr, FloatArray
from zebra.relay.quantizer.scales import QParams
from zebra.relay.quantizer.simulate import Simulator, rounded
from zebra.relay.quantizer.spool import Batches, Spool
from zebra.relay.quantizer.steps import Linear, Network, Step
from zebra.relay.quantizer.techniques import Techniques

Counts = npt.NDArray[np.int64]

LOOKED_AT = 1 << 12
"""Elements of one tensor that a histogram counts."""
TOGETHER = 4
"""Batches whose samples are multiplied at once: adding up matrices costs as much."""


@dataclass(frozen=True)
class Swept:
    """The integers of every layer, error and histogram of every value, by value.

    ``comparison`` is that of the outputs on the held-out batches, ``simulator`` runs
    the network with these layers.
    """

    simulator: Simulator
    layers: Mapping[Expr, IntegerLayer]
    sqnr_db: Mapping[Expr, float]
    histograms: Mapping[Expr, Counts]
    comparison: Comparison | None


def sweep(
    network: Network,
    params: Mapping[Expr, QParams],
    batches: Batches,
    bits: int,
    how: Techniques,
    done: Callable[[int, int], None] = lambda *_: None,
) -> Swept:
    """Find the integers of every layer; see above. ``done`` gets k, n after layer k of n."""
    with Spool() as spool:
        return _Sweep(network, params, batches, bits, how, spool).run(done)


class _Sweep:
    """Both versions of every live value are in ``spool``, by (number of its step, quantized)."""

    def __init__(
        self,
        network: Network,
        params: Mapping[Expr, QParams],
        batches: Batches,
        bits: int,
        how: Techniques,
        spool: Spool,
    ) -> None:
        self.network, self.params, self.batches = network, params, batches
        self.bits, self.how, self.spool = bits, how, spool
        self.layers: dict[Expr, IntegerLayer] = {}
        self.simulator = Simulator(network, params, self.layers)
        self.number = self.simulator.number
        self.sqnr_db: dict[Expr, float] = {}
        self.histograms: dict[Expr, Counts] = {}

    def run(self, done: Callable[[int, int], None]) -> Swept:
        readers = last_readers(self.network)
        count = sum(isinstance(step, Linear) for step in self.network.steps)
        for step in self.network.steps:
            if isinstance(step, Linear):
                self.layers[step.expr] = self.integers(step)
            if step.expr in readers or step.expr == self.network.result:
                self.compute(step)
            for value in {read for read in step.inputs if readers[read] is step}:
                self.spool.drop((self.number[value], False))
                self.spool.drop((self.number[value], True))
            if isinstance(step, Linear):
                done(len(self.layers), count)
        return Swept(self.simulator, self.layers, self.sqnr_db, self.histograms, self.comparison())

    def comparison(self) -> Comparison | None:
        number, held = self.number[self.network.result], self.batches.held_out
        real, levels = (
            [self.spool.get((number, quantized), index) for index in held]
            for quantized in (False, True)
        )
        return compare(real, levels)

    def read(self, step: Step, index: int, quantized: bool) -> list[Value]:
        numbers = [self.number[value] for value in step.inputs]
        return [self.spool.get((number, quantized), index) for number in numbers]

    def compute(self, step: Step) -> None:
        """Both versions of the step's value, for every picture."""
        number, params = self.number[step.expr], self.params.get(step.expr)

        def one(index: int) -> tuple[FloatArray, Counts]:
            real = source_of(step, self.batches[index])
            levels: Value = real
            if real is None:
                real = float_value(step, self.read(step, index, False), self.simulator.evaluator)
                levels = self.simulator.unrounded(step, self.read(step, index, True))
            if params is not None:
                levels = rounded(levels, params)
            self.spool.put((number, False), index, real)
            self.spool.put((number, True), index, levels)
            counts = np.zeros(BINS, np.int64) if params is None else histogram(levels, params)
            return np.array(_powers(real, levels)), counts

        found = list(in_order(one, range(len(self.batches))))
        powers = np.sum([each[0] for each in found], axis=0)
        if params is not None:
            self.histograms[step.expr] = np.sum([each[1] for each in found], axis=0)
        if powers[1] > 0 and powers[0] > 0:
            self.sqnr_db[step.expr] = float(10 * np.log10(powers[0] / powers[1]))

    def integers(self, step: Linear) -> IntegerLayer:
        source, result = self.params[step.inputs[0]], self.params[step.expr]
        if not self.how.sweep or step.call.op.name == "nn.conv2d_transpose":
            return nearest(step, source, result, self.bits)
        moments = self.moments(step)
        shape = output_major(step, step.weight).shape
        groups = groups_of(step)
        weight = output_major(step, step.weight).reshape(groups, shape[0] // groups, -1)
        bias = step.bias.astype(np.float64)
        scales = accumulator_scales(weight.reshape(shape), bias, source, result, self.bits)
        steps = (scales / source.scale).reshape(groups, -1)
        if self.how.compensate:
            with blas_threads(os.cpu_count() or 1):
                levels = compensated(weight, steps, moments.covariance(), self.how.damping)
        else:
            levels = np.clip(np.rint(weight / steps[..., None]), -WEIGHT_MAX, WEIGHT_MAX)
        if self.how.correct_bias:
            (x, z), weights = moments.means(), levels * steps[..., None]
            off = np.einsum("gkt,gt->gk", weight, x) - np.einsum("gkt,gt->gk", weights, z)
            bias = bias + off.reshape(-1)
        return IntegerLayer(levels.reshape(shape), scales, bias_levels(bias, scales))

    def moments(self, step: Linear) -> Moments:
        def some(indices: Sequence[int]) -> Moments:
            inputs = ((i, *self.read(step, i, False), *self.read(step, i, True)) for i in indices)
            return moments_of(step, inputs)

        numbers = self.batches.calibration
        parts = (numbers[i : i + TOGETHER] for i in range(0, len(numbers), TOGETHER))
        found = in_order(some, parts)
        moments = next(found)
        moments.zz = moments.zz.astype(np.float64)
        for more in found:
            moments += more
        return moments


def histogram(value: Array, params: QParams) -> Counts:
    """int64 [BINS]: evenly spread elements of a rounded value, by their int8 level."""
    flat = value.reshape(-1)[:: max(1, value.size // LOOKED_AT)]
    levels = np.rint(flat / np.float32(params.scale)).astype(np.int64) + params.zero_point
    return np.bincount((levels + 128) * BINS // 256, minlength=BINS)


def _powers(real: Value, levels: Value) -> tuple[float, float]:
    """Summed squares of a value and of its error."""
    if not isinstance(real, np.ndarray) or real.dtype.kind != "f":
        return 0.0, 0.0
    return float(np.vdot(real, real)), float(np.square(levels - real).sum())
