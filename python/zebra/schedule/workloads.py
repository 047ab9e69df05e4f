"""A layer's tiling problem: what decides which tilings are legal, and what they cost."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from zebra.graph.nodes import BinaryKind
from zebra.hw import HwConfig
from zebra.schedule.layers import AccumLayer, BinaryLayer, FusedLayer, GemmLayer, Layer
from zebra.schedule.tiling import Before, GemmWorkload
from zebra.schedule.views import blocks


def split_weights(weight: npt.NDArray[np.int16]) -> list[npt.NDArray[np.int8]]:
    """int8 arrays whose sum is ``weight``: one where every value fits int8, else two."""
    low = np.clip(weight, -128, 127).astype(np.int8)
    rest = weight - low
    return [low, rest.astype(np.int8)] if rest.any() else [low]


def input_block_range(
    out_block: int, out_channels: int, in_channels: int, groups: int, block: int
) -> tuple[int, int]:
    """First input block that output block ``out_block`` reads, and how many."""
    per_out, per_in = out_channels // groups, in_channels // groups
    first_group = out_block * block // per_out
    last_group = (min((out_block + 1) * block, out_channels) - 1) // per_out
    first = first_group * per_in // block
    last = ((last_group + 1) * per_in - 1) // block
    return first, last - first + 1


def gemm_workload(layer: GemmLayer | FusedLayer, config: HwConfig) -> GemmWorkload:
    """The tiling problem of a convolution, alone or fused with its neighbours."""
    gemm = layer.gemm if isinstance(layer, FusedLayer) else layer
    ranges = input_ranges(gemm, config.block)
    window = gemm.window
    return GemmWorkload(
        gemm.out.dims[0],
        len(ranges),
        max(count for _, count in ranges),
        gemm.out.dims[2:],
        window.kernel,
        window.stride,
        window.dilation,
        gemm.passes,
        len(set(ranges)) > 1,
        gemm.inputs[0].dims[2:],
        _before(layer.before, layer.first, config) if isinstance(layer, FusedLayer) else None,
        operator_cycles(layer.after) if isinstance(layer, FusedLayer) else 0,
    )


def input_ranges(gemm: GemmLayer, block: int) -> tuple[tuple[int, int], ...]:
    """Input blocks (first, count) that each output block reads."""
    k, channels = gemm.weight.shape[0], gemm.inputs[0].dims[1]
    return tuple(
        input_block_range(o, k, channels, gemm.groups, block) for o in range(blocks(k, block))
    )


def _before(layer: Layer | None, first: GemmLayer | None, config: HwConfig) -> Before | None:
    if layer is None:
        return None
    if isinstance(layer, GemmLayer):
        return _convolution(layer, config)
    if isinstance(layer, AccumLayer):
        window = layer.window
        passes = 2 if layer.divide is not None and layer.scale is not None else 1
        taps = window.kernel[0] * window.kernel[1]
        depthwise = layer.taps is not None
        narrow = layer.taps is not None and bool(((layer.taps >= -128) & (layer.taps <= 127)).all())
        return Before(
            layer.inputs[0].dims[2:],
            window.kernel,
            window.stride,
            window.dilation,
            taps + passes,
            3 * passes + (taps if depthwise else 0),
            taps=taps if narrow else 0,
            first=None if first is None else _convolution(first, config),
        )
    if isinstance(layer, BinaryLayer):
        return _pixelwise(layer, operator_cycles(layer), 6, 2)
    return _pixelwise(layer, 1, 3, 1)


def _pixelwise(layer: Layer, vec: int, parameters: int, operands: int) -> Before:
    one = (1, 1)
    size = layer.out.dims[2:]
    return Before(size, one, one, one, vec, parameters, operands, accumulates=False)


def _convolution(layer: GemmLayer, config: HwConfig) -> Before:
    window = layer.window
    in_blocks = max(count for _, count in input_ranges(layer, config.block))
    cycles = in_blocks * window.kernel[0] * window.kernel[1] * layer.passes
    return Before(
        layer.inputs[0].dims[2:],
        window.kernel,
        window.stride,
        window.dilation,
        1,
        3,
        in_blocks=in_blocks,
        gemm=cycles,
    )


def operator_cycles(layer: BinaryLayer | None) -> int:
    """VEC cycles per vector of an operator of two tensors in ACT."""
    if layer is None:
        return 0
    return 3 if layer.kind is BinaryKind.MULTIPLY else 2
