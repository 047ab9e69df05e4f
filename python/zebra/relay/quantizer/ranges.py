"""Ranges smaller than what calibration showed, where the network's output gains by it.

A few large elements make all others of their tensor coarse. Whether they matter is seen at
the output only: with nothing but the tensor rounded, the output's squared error against
float's is measured on some calibration batches, with the range that these reach and with
parts of it. The best part is taken if it is much better: one that cuts off too little of
these few batches to tell would be a little better anyway, being finer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from zebra.relay.quantizer.assign import ValueGroup
from zebra.relay.quantizer.forward import in_order
from zebra.relay.quantizer.report import energy
from zebra.relay.quantizer.rewriting import FloatArray
from zebra.relay.quantizer.scales import choose_qparams
from zebra.relay.quantizer.simulate import Simulator, in_int8
from zebra.relay.quantizer.steps import Network

Batch = Mapping[str, npt.NDArray[Any]]

SCREENED, TRIED = 1, 8
"""Batches that tell which groups' rounding matters, and with which their ranges are chosen."""
SHARE = 0.03
"""Of all groups' noise: a group with less keeps its range."""
PARTS = (1.0, 0.8, 0.65, 0.5, 0.4, 0.3, 0.2)
"""Of the range that the batches reach."""
GAIN = 0.5
"""A part is taken if it leaves at most this share of the error; 0.8 without any cut leaves 0.64."""

Trial = tuple[ValueGroup, float]
Done = Callable[[int, int], None]


def narrowed(
    network: Network,
    groups: Sequence[ValueGroup],
    batches: Iterable[Batch],
    done: Done = lambda *_: None,
) -> list[ValueGroup]:
    """``groups``, some with smaller ranges. ``done`` gets k, n after trial k of n."""
    simulator, shown = Simulator(network, {}, {}), list(islice(batches, TRIED))
    computed = {step.expr for step in network.steps if in_int8(step)}
    movable = [group for group in groups if computed.issuperset(group.values)]
    alone = _noise(simulator, [(group, 1.0) for group in movable], shown[:SCREENED], done)
    loud = [group for group, own in zip(movable, alone) if own > SHARE * alone.sum()]
    reached = _reached(simulator, loud, shown)
    trials = [(group, part) for group in reached for part in PARTS]
    noise = _noise(simulator, trials, shown, done).reshape(len(loud), len(PARTS))
    found = dict(zip(loud, map(_chosen, reached, noise)))
    return [found.get(group) or group for group in groups]


def _chosen(group: ValueGroup, noise: FloatArray) -> ValueGroup | None:
    """The group with the best of PARTS, or None if that gains too little."""
    best = int(noise.argmin())
    if noise[best] > GAIN * noise[0]:
        return None
    return replace(group, range=_part(group, PARTS[best]))


def _reached(
    simulator: Simulator, groups: Sequence[ValueGroup], batches: Sequence[Batch]
) -> list[ValueGroup]:
    """The groups with the ranges that their values have on ``batches``."""
    places = [[simulator.number[value] for value in group.values] for group in groups]

    def extremes(batch: Batch) -> list[tuple[float, float]]:
        known = simulator.run(batch, ())
        return [
            (
                min(float(known[n].min()) for n in numbers),
                max(float(known[n].max()) for n in numbers),
            )
            for numbers in places
        ]

    seen = np.array(list(in_order(extremes, batches))).reshape(len(batches), len(groups), 2)
    lows, highs = seen[..., 0].min(axis=0), seen[..., 1].max(axis=0)
    ranges = [(float(low), float(high)) for low, high in zip(lows, highs)]
    return [replace(group, range=found) for group, found in zip(groups, ranges)]


def _noise(
    simulator: Simulator, trials: Sequence[Trial], batches: Sequence[Batch], done: Done
) -> FloatArray:
    """For each trial, the output's squared error with only that group rounded in that part."""
    total, last = np.zeros(len(trials)), simulator.number[simulator.network.result]
    for number, batch in enumerate(batches):
        known = simulator.run(batch, ())

        def one(trial: Trial, batch: Batch = batch, known: Sequence[Any] = known) -> float:
            params = choose_qparams(*_part(*trial))
            rounding = dict.fromkeys(trial[0].values, params)
            return energy(simulator.run(batch, (), known, rounding)[last], known[last])

        for place, noise in enumerate(in_order(one, trials)):
            total[place] += noise
            done(number * len(trials) + place + 1, len(trials) * len(batches))
    return total


def _part(group: ValueGroup, part: float) -> tuple[float, float]:
    low, high = group.range
    return part * low, part * high
