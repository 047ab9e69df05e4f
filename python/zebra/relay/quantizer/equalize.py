"""Pass: channels that share one int8 scale come to use as much of it as each other.

With r_c the peak of channel c in calibration and u_c its largest share in a row of
the weights that read it, the factor is s_c = r_c^b * u_c^(b - 1): b = 1 gives all
channels one range, smaller b keeps the readers' weights alike too. Where only
depthwise layers read, b is 1: their scales are per channel. A clip (ReLU6) stays one
number for all channels, so a channel grows only until ``margin`` times its peak
reaches the clip, and none shrinks. See ``channels`` for the law and its source.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import tvm
from tvm import relay

from zebra.relay.quantizer.channels import ChannelGroup, channel_groups, is_depthwise
from zebra.relay.quantizer.forward import observe
from zebra.relay.quantizer.observers import ChannelPeaks
from zebra.relay.quantizer.recognize import recognize
from zebra.relay.quantizer.rewriting import Expr, FloatArray, Site, op_name, rewrite, value_of
from zebra.relay.quantizer.steps import Linear
from zebra.relay.quantizer.techniques import Techniques

SMALLEST_SHARE = 1e-4
SMALLEST_FACTOR = 1e-3
SMALLEST_PEAK = 1e-6
"""Relative to the median channel: beside one huge channel the others are still alive."""


def equalize(
    mod: tvm.IRModule,
    batches: Iterable[Mapping[str, npt.NDArray[Any]]],
    techniques: Techniques,
) -> tvm.IRModule:
    """The same float function with other weights."""
    network = recognize(mod)
    groups = channel_groups(network)
    watched = [value for group in groups for value in group.values]
    if not watched:
        return mod
    seen = observe(network, watched, batches, ChannelPeaks)
    peaks = {value: watcher.float64() for value, watcher in zip(watched, seen)}
    layers = [step for step in network.steps if isinstance(step, Linear)]
    weights = {step.expr: step.weight.astype(np.float64) for step in layers}
    biases = {step.expr: step.bias.astype(np.float64) for step in layers}
    for group in groups:
        peak = np.maximum.reduce([peaks[value] for value in group.values])
        factors = _factors(group, peak, weights, techniques)
        for step in group.producers:
            weights[step.expr] /= _along(factors, 0, weights[step.expr])
            biases[step.expr] /= factors
        for step in group.readers:
            axis = 0 if is_depthwise(step) else 1
            weights[step.expr] *= _along(factors, axis, weights[step.expr])
    return _with_weights(mod, layers, weights, biases)


def _along(factors: FloatArray, axis: int, weight: FloatArray) -> FloatArray:
    return factors.reshape([-1 if i == axis else 1 for i in range(weight.ndim)])


def _factors(
    group: ChannelGroup, peak: FloatArray, weights: Mapping[Expr, FloatArray], how: Techniques
) -> FloatArray:
    """s_c of every channel; the median, or 1 before a clip, for one that is always zero."""
    if not peak.any():
        return np.ones_like(peak)
    live = peak > SMALLEST_PEAK * np.median(peak[peak > 0])
    share = _shares(group, weights)
    factors = peak if share is None else peak**how.balance * share ** (how.balance - 1.0)
    factors = np.where(live, factors / factors[live].max(), 1.0)
    clips = {np.inf if step.clip is None else step.clip[1] for step in group.producers}
    if len(clips) > 1:
        return np.ones_like(peak)
    (clip,) = clips
    if np.isfinite(clip):
        factors = np.clip(factors, np.minimum(how.margin * peak / clip, 1.0), 1.0)
    usual = np.median(factors[live])
    # Weights that read a silent channel must not be the largest of their rows.
    silent = 1.0 if np.isfinite(clip) else usual
    return np.where(live, np.maximum(factors, SMALLEST_FACTOR * usual), silent)


def _shares(group: ChannelGroup, weights: Mapping[Expr, FloatArray]) -> FloatArray | None:
    """u_c: the largest weight of each input channel relative to the row's largest."""
    shares = []
    for step in group.readers:
        if not is_depthwise(step):
            weight = np.abs(weights[step.expr])
            columns = weight.reshape(*weight.shape[:2], -1).max(axis=2)
            largest = columns.max(axis=1, keepdims=True)
            shares.append((columns / np.where(largest > 0, largest, 1.0)).max(axis=0))
    return np.maximum(np.maximum.reduce(shares), SMALLEST_SHARE) if shares else None


def _with_weights(
    mod: tvm.IRModule,
    layers: list[Linear],
    weights: Mapping[Expr, FloatArray],
    biases: Mapping[Expr, FloatArray],
) -> tvm.IRModule:
    calls = {step.call: weights[step.expr] for step in layers}
    additions = {
        node: biases[step.expr] for step in layers for node in [_addition(step)] if node is not None
    }

    def rule(site: Site) -> Expr | None:
        if site.node in calls:
            weight = relay.const(calls[site.node].astype(np.float32))
            return relay.Call(
                site.node.op, [site.args[0], weight], site.node.attrs, None, site.node.span
            )
        if site.node in additions:
            shape = value_of(site.node.args[1]).shape  # type: ignore[union-attr]
            bias = additions[site.node].astype(np.float32)
            return relay.add(site.args[0], relay.const(bias.reshape(shape)))
        return None

    return rewrite(mod, rule)


def _addition(step: Linear) -> Expr | None:
    """The node that adds the layer's bias, if it has one."""
    node = step.expr
    while node != step.call:
        if op_name(node) == "add":
            return node
        node = node.args[0]
    return None
