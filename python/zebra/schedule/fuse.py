"""Joins a convolution with the layers around it, so that what they exchange stays in ACT.

Three forms: an operator of two tensors (a residual addition) behind a convolution;
any layer (convolution, depthwise convolution, pooling, element-wise) whose result
only a 1x1 convolution reads; and the convolution in front of such a depthwise or
pooling layer (the expansion of an inverted residual). Layers are joined where the
values between them have no other reader or writer, the joined layer has a tiling
that fits, and it pays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace

from zebra.errors import UnsupportedError
from zebra.hw import HwConfig
from zebra.schedule.estimate import layer_estimate
from zebra.schedule.layers import (
    AccumLayer,
    BinaryLayer,
    FusedLayer,
    GemmLayer,
    Layer,
    TableLayer,
)
from zebra.schedule.views import View


def fuse(layers: Sequence[Layer], outputs: Collection[str], config: HwConfig) -> list[Layer]:
    """The layers with neighbours joined, in an order that still computes values before use.

    ``outputs`` are buffers that the region's caller reads.
    """
    private = _private_buffers(layers, outputs)
    pairs = _with_before(_with_after(layers, private, config), private, config)
    return _with_first(pairs, private, config)


def _private_buffers(layers: Sequence[Layer], outputs: Collection[str]) -> set[str]:
    """Buffers that exactly one layer writes and exactly one reads, once."""
    reads = Counter(view.buffer for layer in layers for view in layer.inputs)
    writes = Counter(layer.out.buffer for layer in layers)
    return {
        name
        for name, count in reads.items()
        if count == 1 and writes[name] == 1 and name not in outputs
    }


def _with_after(layers: Sequence[Layer], private: set[str], config: HwConfig) -> list[Layer]:
    """Operators of two tensors joined to the later one of the convolutions they read."""
    result: list[Layer] = []
    for layer in layers:
        gemm = _producer(layer, result, private) if isinstance(layer, BinaryLayer) else None
        if isinstance(layer, BinaryLayer) and gemm is not None:
            other = next(view for view in layer.inputs if view != gemm.out)
            joined = FusedLayer(
                layer.name,
                f"{gemm.origin}+{layer.origin}",
                (*gemm.inputs, other),
                layer.out,
                gemm,
                after=layer,
                macs=gemm.macs,
            )
            if _fits(joined, config):
                result.remove(gemm)
                layer = joined
        result.append(layer)
    return result


def _producer(layer: BinaryLayer, done: Sequence[Layer], private: set[str]) -> GemmLayer | None:
    """The last convolution whose whole result is an operand of ``layer`` alone."""
    same_shape = all(view.dims == layer.out.dims and not _repeats(view) for view in layer.inputs)
    single = all(
        a.multiplier.size == a.shift.size == a.bias.size == 1
        for a in (layer.scale_a, layer.scale_b)
    )
    if not (same_shape and single):
        return None
    for other in reversed(done):
        if isinstance(other, GemmLayer) and other.out in layer.inputs:
            return other if other.out.buffer in private else None
    return None


def _repeats(view: View) -> bool:
    """Whether the view reads an element more than once (broadcast)."""
    return (
        any(
            size > 1 and stride == 0
            for size, stride in zip(view.dims[2:], view.strides[2:], strict=True)
        )
        or view.lane_stride == 0
    )


def _with_before(layers: Sequence[Layer], private: set[str], config: HwConfig) -> list[Layer]:
    """Layers joined to the 1x1 convolution that alone reads them, what gains most first."""
    makers = {layer.out.buffer: layer for layer in layers if layer.out.buffer in private}
    found: list[tuple[float, Layer, FusedLayer]] = []
    for layer in layers:
        gemm = layer.gemm if isinstance(layer, FusedLayer) else layer
        if not isinstance(gemm, GemmLayer) or not _pointwise(gemm):
            continue
        maker = makers.get(gemm.inputs[0].buffer)
        if maker is None or not _makes(maker, gemm):
            continue
        assert isinstance(maker, AccumLayer | BinaryLayer | GemmLayer | TableLayer)
        candidate = FusedLayer(
            layer.name,
            f"{maker.origin}+{layer.origin}",
            (*maker.inputs, *layer.inputs[1:]),
            layer.out,
            gemm,
            maker,
            layer.after if isinstance(layer, FusedLayer) else None,
            macs=maker.macs + layer.macs,
            vec_macs=maker.vec_macs + layer.vec_macs,
        )
        assert isinstance(layer, GemmLayer | FusedLayer)
        gain = _gain(candidate, layer, config)
        if gain is not None:
            found.append((gain, maker, candidate))
    joined: dict[str, FusedLayer] = {}
    taken: set[str] = set()
    for _, maker, candidate in sorted(found, key=lambda each: -each[0]):
        if not {candidate.name, maker.name} & taken:
            joined[candidate.name] = candidate
            taken |= {candidate.name, maker.name}
    gone = {layer.before.name for layer in joined.values() if layer.before is not None}
    return [joined.get(layer.name, layer) for layer in layers if layer.name not in gone]


def _with_first(layers: Sequence[Layer], private: set[str], config: HwConfig) -> list[Layer]:
    """Convolutions joined to the window layer that alone reads them, if that is joined already."""
    makers = {layer.out: layer for layer in layers if layer.out.buffer in private}
    joined: dict[str, FusedLayer] = {}
    for layer in layers:
        if not isinstance(layer, FusedLayer) or not isinstance(layer.before, AccumLayer):
            continue
        first = makers.get(layer.before.inputs[0])
        if not isinstance(first, GemmLayer) or first.groups != 1:
            continue
        candidate = replace(
            layer,
            origin=f"{first.origin}+{layer.origin}",
            inputs=(*first.inputs, *layer.inputs[1:]),
            first=first,
            macs=first.macs + layer.macs,
        )
        if _gain(candidate, layer, config) is not None:
            joined[layer.name] = candidate
    gone = {layer.first.name for layer in joined.values() if layer.first is not None}
    return [joined.get(layer.name, layer) for layer in layers if layer.name not in gone]


def _makes(maker: Layer, gemm: GemmLayer) -> bool:
    """Whether ``maker`` can compute the tiles that ``gemm`` reads."""
    if maker.out != gemm.inputs[0]:
        return False
    if isinstance(maker, GemmLayer):
        return maker.groups == 1
    return isinstance(maker, AccumLayer | BinaryLayer | TableLayer)


def _pointwise(gemm: GemmLayer) -> bool:
    window = gemm.window
    return (
        window.kernel == (1, 1)
        and window.stride == (1, 1)
        and window.pad == (0, 0)
        and gemm.out.dims[2:] == gemm.inputs[0].dims[2:]
        and gemm.groups == 1
    )


def _fits(layer: FusedLayer, config: HwConfig) -> bool:
    try:
        layer_estimate(layer, config)
    except UnsupportedError:
        return False
    return True


def _gain(fused: FusedLayer, alone: GemmLayer | FusedLayer, config: HwConfig) -> float | None:
    """What the joined layer saves of its two parts' price; None if nothing, or it does not fit."""
    other = fused.before if fused.first is None else fused.first
    assert other is not None
    apart = layer_estimate(alone, config) + layer_estimate(other, config)
    try:
        gain = apart.price(config) - layer_estimate(fused, config).price(config)
    except UnsupportedError:
        return None
    return gain if gain >= 0 else None
