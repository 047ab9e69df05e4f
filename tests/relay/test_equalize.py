"""Equalization: the same float function, channels of like size, clips respected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
import tvm
from tests.support.quantizing import Weights, module, pictures
from tvm import relay

from zebra.relay.quantizer import Techniques, quantize
from zebra.relay.quantizer.channels import channel_groups
from zebra.relay.quantizer.equalize import equalize
from zebra.relay.quantizer.forward import observe
from zebra.relay.quantizer.observers import ChannelPeaks
from zebra.relay.quantizer.recognize import recognize

W = Weights()
X = relay.var("x", shape=(1, 4, 8, 8))
Expr = relay.Expr


def pair(between: Callable[[Expr], Expr]) -> Expr:
    return W.conv(between(W.conv(X, 4, 8)), 8, 6, kernel=1)


def residual() -> Expr:
    start = W.conv(X, 4, 8)
    branch = W.conv(relay.nn.relu(W.conv(start, 8, 12)), 12, 8)
    return W.conv(relay.add(start, branch), 8, 5)


def to_dense() -> Expr:
    pooled = relay.nn.global_avg_pool2d(relay.nn.relu(W.conv(X, 4, 8)))
    return relay.nn.dense(relay.nn.batch_flatten(pooled), W(3, 8))


CASES = {
    "linear": pair(lambda x: x),
    "relu": pair(relay.nn.relu),
    "relu6": pair(lambda x: relay.clip(x, 0.0, 60.0)),
    "leaky": pair(lambda x: relay.nn.leaky_relu(x, 0.1)),
    "depthwise": pair(lambda x: relay.clip(W.conv(x, 8, 8, groups=8), 0.0, 6.0)),
    "max pool": pair(lambda x: relay.nn.max_pool2d(x, (2, 2), (2, 2))),
    "residual": residual(),
    "dense": to_dense(),
}


def ready(expr: Expr) -> tvm.IRModule:
    return quantize(module(expr), stop_after="fold-affine", calibration=pictures(module(expr)))


@pytest.mark.parametrize("name", CASES)
def test_the_function_stays_and_the_channels_become_alike(name: str) -> None:
    mod = ready(CASES[name])
    batches = pictures(mod)
    changed = equalize(mod, batches, Techniques(balance=1.0, margin=1.0))
    before, after = results(mod, batches), results(changed, batches)
    np.testing.assert_allclose(after, before, rtol=1e-3, atol=1e-4 * np.abs(before).max())
    assert spread(changed, batches) < 0.7 * spread(mod, batches)


@dataclass
class Kept:
    """An observer that keeps every tensor."""

    tensors: list[np.ndarray] = field(default_factory=list)

    def update(self, tensor: np.ndarray) -> None:
        self.tensors.append(tensor)

    def merge(self, other: Kept) -> None:
        self.tensors += other.tensors


def results(mod: tvm.IRModule, batches: list[dict[str, np.ndarray]]) -> np.ndarray:
    network = recognize(mod)
    return np.stack(observe(network, [network.result], batches, Kept)[0].tensors)


def spread(mod: tvm.IRModule, batches: list[dict[str, np.ndarray]]) -> float:
    """Mean of the tensor's peak over the channel's, over all groups' values."""
    network = recognize(mod)
    values = [value for group in channel_groups(network) for value in group.values]
    assert values
    peaks = [seen.float64() for seen in observe(network, values, batches, ChannelPeaks)]
    return float(np.mean([peak.max() / np.maximum(peak, 1e-3).mean() for peak in peaks]))


@pytest.mark.parametrize(
    "between",
    [
        pytest.param(relay.sigmoid, id="sigmoid"),
        pytest.param(lambda x: relay.clip(x, -1.0, 1.0), id="clip on both sides"),
        pytest.param(lambda x: relay.add(x, W(1, 8, 1, 1)) * x, id="product"),
        pytest.param(lambda x: relay.transpose(x, (0, 1, 3, 2)), id="transpose"),
    ],
)
def test_what_does_not_commute_is_left_alone(between: Callable[[Expr], Expr]) -> None:
    assert channel_groups(recognize(ready(pair(between)))) == []
