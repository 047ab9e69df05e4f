"""The sweep: its quantized network is the emitted one, and what each technique buys."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import tvm
from tests.support.quantizing import Weights, module, pictures, run, simplified
from tvm import relay

from zebra.relay.quantizer import PLAIN, Techniques, quantize
from zebra.relay.quantizer.assign import assign_qparams, value_groups
from zebra.relay.quantizer.calibrate import calibrate_ranges, read_ranges
from zebra.relay.quantizer.emit import emit
from zebra.relay.quantizer.recognize import recognize
from zebra.relay.quantizer.spool import Batches, Spool
from zebra.relay.quantizer.sweep import sweep


def network() -> tvm.IRModule:
    weights = Weights()
    x = relay.var("x", shape=(1, 4, 8, 8))
    start = relay.nn.relu(weights.conv(x, 4, 12))
    branch = relay.clip(weights.conv(start, 12, 12, groups=12), 0.0, 6.0)
    joined = relay.add(start, weights.conv(branch, 12, 12, kernel=1))
    pooled = relay.nn.batch_flatten(relay.nn.global_avg_pool2d(joined))
    return module(relay.nn.dense(pooled, weights(10, 12)))


def test_the_emitted_network_computes_what_the_sweep_saw() -> None:
    inputs = pictures(network(), 8)
    with Spool() as spool:
        batches = Batches(spool, inputs)
        mod = calibrate_ranges(simplified(network()), batches)
        steps = recognize(mod)
        params = assign_qparams(value_groups(steps, read_ranges(mod), share_sums=True))
        swept = sweep(steps, params, batches, 16, replace(PLAIN, compensate=True))
    quantized = emit(mod["main"], steps, params, 16, swept.layers)
    real = np.stack([r[0] for r in run(network(), inputs)])
    exact = np.stack([r[0] for r in run(quantized, inputs)])
    sqnr = 10 * np.log10(np.square(real).sum() / np.square(exact - real).sum())
    assert abs(sqnr - swept.sqnr_db[steps.result]) < 0.5


def test_all_techniques_lose_less_than_none() -> None:
    inputs = pictures(network(), 24)
    real = np.stack([r[0] for r in run(network(), inputs)])

    def loss(how: Techniques) -> float:
        quantized = quantize(network(), calibration=inputs[:16], techniques=how)
        exact = np.stack([r[0] for r in run(quantized, inputs)])
        return float(np.square(exact - real)[16:].sum())

    assert loss(Techniques()) < 0.8 * loss(PLAIN)


def test_the_same_pictures_give_the_same_network() -> None:
    inputs = pictures(network(), 4)
    first, second = (quantize(network(), calibration=iter(inputs)) for _ in range(2))
    assert tvm.ir.structural_equal(first, second)


def test_one_picture_is_enough_to_quantize() -> None:
    """A dense layer then sees one sample, whose covariance is nothing but rounding."""
    inputs = pictures(network(), 1)
    (quantized,) = run(quantize(network(), calibration=inputs), inputs)
    (real,) = run(network(), inputs)
    assert np.square(quantized[0] - real[0]).sum() < 0.1 * np.square(real[0]).sum()
