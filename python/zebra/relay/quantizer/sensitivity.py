"""What each layer alone costs: the output's error with only that layer in int8."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from zebra.relay.quantizer.forward import in_order
from zebra.relay.quantizer.report import energy
from zebra.relay.quantizer.rewriting import Expr
from zebra.relay.quantizer.simulate import Simulator
from zebra.relay.quantizer.steps import Linear

Array = npt.NDArray[Any]


def sensitivity(simulator: Simulator, batches: Iterable[Mapping[str, Array]]) -> dict[Expr, float]:
    """{value of a Linear: the output's noise over its power, summed over ``batches``}.

    The layer's input and output are rounded to int8 and its weights are its integers;
    everything else is float.
    """
    layers = [step.expr for step in simulator.network.steps if isinstance(step, Linear)]
    noise, power = np.zeros(len(layers)), 0.0
    result = simulator.number[simulator.network.result]
    for batch in batches:
        known = simulator.run(batch, ())
        power += energy(known[result])

        def alone(layer: Expr, batch: Mapping[str, Array] = batch, known: Any = known) -> float:
            return energy(simulator.run(batch, {layer}, known)[result], known[result])

        noise += list(in_order(alone, layers))
    return dict(zip(layers, (noise / max(power, 1e-300)).tolist(), strict=True))
