"""Ranges smaller than what calibration showed, where the network's output gains by it.

A few large elements make all others of their tensor coarse. Whether they matter is seen at
the output only: with nothing but the tensor rounded, in its full range and in parts of it,
the output's squared error against float's is measured on some calibration batches, and the
range with the least is taken.
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
from zebra.relay.quantizer.rewriting import FloatArray
from zebra.relay.quantizer.scales import choose_qparams
from zebra.relay.quantizer.sensitivity import energy
from zebra.relay.quantizer.simulate import Simulator, in_int8
from zebra.relay.quantizer.steps import Network

Batch = Mapping[str, npt.NDArray[Any]]

SCREENED, TRIED = 1, 8
"""Batches that tell which groups' rounding matters, and with which their ranges are chosen."""
SHARE = 0.03
"""Of all groups' noise: a group with less keeps its range."""
PARTS = (1.0, 0.8, 0.65, 0.5, 0.4, 0.3, 0.2)
"""Of the full range, the larger first: of equals it is taken."""

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
    noise = _noise(simulator, [(group, part) for group in loud for part in PARTS], shown, done)
    chosen = noise.reshape(len(loud), len(PARTS)).argmin(axis=1)
    parts = {group: PARTS[place] for group, place in zip(loud, chosen)}
    return [replace(group, range=_part(group, parts.get(group, 1.0))) for group in groups]


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
