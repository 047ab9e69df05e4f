"""Which layers stay float on the host so that the network is as accurate as was asked for."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from zebra.errors import CalibrationError
from zebra.relay.quantizer.forward import in_order
from zebra.relay.quantizer.report import Comparison, compare
from zebra.relay.quantizer.rewriting import Expr, shape_of
from zebra.relay.quantizer.sensitivity import sensitivity
from zebra.relay.quantizer.simulate import Simulator, in_int8
from zebra.relay.quantizer.spool import Batches
from zebra.relay.quantizer.steps import Linear, Network

Batch = Mapping[str, npt.NDArray[Any]]

MOVED = 16
"""What an element between host and accelerator costs, in multiply-accumulates of the host."""


SHOWN = 4
"""Batches on which sensitivity is found."""


@dataclass(frozen=True)
class Choice:
    """The layers that stay float, the Comparison with them, and the layers' sensitivity.

    ``alone_db`` {layer: output SQNR in dB with only it in int8}; empty if not needed.
    """

    kept: frozenset[Expr]
    comparison: Comparison | None
    alone_db: Mapping[Expr, float]


def choose(
    simulator: Simulator,
    comparison: Comparison | None,
    batches: Batches,
    accuracy: float | None,
    explain: bool,
) -> Choice:
    """Keep layers in float until the score on held-out batches is ``accuracy``.

    ``comparison`` is that of all layers in int8. ``explain``: find the sensitivity even
    if nothing has to stay float. Raises CalibrationError where no batch is held out.
    """
    if accuracy is not None and comparison is None:
        raise CalibrationError(
            f"accuracy {accuracy:g} cannot be checked without held-out inputs; give at least "
            "five calibration batches, or no accuracy"
        )
    short = accuracy is not None and comparison is not None and comparison.score < accuracy
    if not (short or explain):
        return Choice(frozenset(), comparison, {})
    noise = sensitivity(simulator, islice(batches, SHOWN))
    alone = {layer: -10 * math.log10(value) for layer, value in noise.items() if value > 0}
    if not short or accuracy is None:
        return Choice(frozenset(), comparison, alone)
    held = [batches[index] for index in batches.held_out]
    kept, found = keep_in_float(simulator, noise, held, accuracy)
    return Choice(kept, found, alone)


def compare_kept(simulator: Simulator, batches: Sequence[Batch], kept: frozenset[Expr]) -> Any:
    """The Comparison of the outputs if the layers ``kept`` stay float."""
    steps, last = simulator.network.steps, simulator.number[simulator.network.result]
    int8 = {step.expr for step in steps if in_int8(step, kept)}

    def both(batch: Batch) -> tuple[Any, Any]:
        return simulator.run(batch, ())[last], simulator.run(batch, int8)[last]

    real, found = zip(*in_order(both, batches), strict=True)
    return compare(real, found)


def keep_in_float(
    simulator: Simulator, noise: Mapping[Expr, float], batches: Sequence[Batch], wanted: float
) -> tuple[frozenset[Expr], Comparison]:
    """The fewest layers, most noise per cost first, with which the score reaches ``wanted``.

    ``noise`` is that of ``sensitivity``. All layers if the score is not reached. That
    more layers in float score higher is assumed between the numbers that are tried.
    """
    layers = {step.expr: step for step in simulator.network.steps if isinstance(step, Linear)}
    order = sorted(layers, key=lambda layer: -noise[layer] / host_cost(layers[layer]))

    def tried(count: int) -> tuple[frozenset[Expr], Comparison]:
        kept = with_neighbours(simulator.network, order[:count])
        return kept, compare_kept(simulator, batches, kept)

    low, high, best = 0, 1, tried(0)
    if best[1].score >= wanted or not order:
        return best
    while (best := tried(high))[1].score < wanted and high < len(order):
        low, high = high, min(2 * high, len(order))
    while high - low > 1:
        middle = (low + high) // 2
        found = tried(middle)
        if found[1].score >= wanted:
            high, best = middle, found
        else:
            low = middle
    return best


def with_neighbours(network: Network, layers: Iterable[Expr]) -> frozenset[Expr]:
    """``layers`` and the other steps that only float steps read, or that read only layers."""
    kept, readers = set(layers), defaultdict(list)
    for step in network.steps:
        for value in step.inputs:
            readers[value].append(step)
    movable = [step for step in network.steps if in_int8(step) and not isinstance(step, Linear)]
    for step in movable:
        if kept.issuperset(step.inputs):
            kept.add(step.expr)
    for step in reversed(movable):
        if not any(in_int8(reader, kept) for reader in readers[step.expr]):
            kept.add(step.expr)
    return frozenset(kept) if layers else frozenset()


def host_cost(step: Linear) -> float:
    """Multiply-accumulates of the layer, and MOVED for each element in and out."""
    ins, outs = shape_of(step.inputs[0]), shape_of(step.expr)
    name = step.call.op.name
    pixels = ins if name == "nn.conv2d_transpose" else outs
    macs = pixels[0] * np.prod(pixels[2:]) * step.weight.size
    return float(macs + MOVED * (np.prod(ins) + np.prod(outs)))
