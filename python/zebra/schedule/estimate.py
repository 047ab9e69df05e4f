"""What layers are thought to take, one by one or as a chain of stripes."""

from __future__ import annotations

from itertools import pairwise

from zebra.hw import HwConfig
from zebra.isa.fields import WORD_BYTES
from zebra.schedule.cost import TILE_OVERHEAD, Estimate, cheapest
from zebra.schedule.layers import (
    AccumLayer,
    BinaryLayer,
    ChainLayer,
    FusedLayer,
    GemmLayer,
    Layer,
    MoveLayer,
    TableLayer,
)
from zebra.schedule.stripes import LineBuffer, Stage, Stripes, runs, weight_tiles, window_rows
from zebra.schedule.workloads import gemm_workload, operator_cycles

SAMPLES = 3
"""Stripes of one size that are looked at, or a few more; the others are like them."""
MUTUAL = 0.25
"""What GEMM and VEC cost each other where they are equally busy, as a share."""


def layer_estimate(layer: Layer, config: HwConfig) -> Estimate:
    """Cycles and DRAM bytes of one layer; UnsupportedError if a convolution has no tiling."""
    if isinstance(layer, GemmLayer | FusedLayer):
        return cheapest(gemm_workload(layer, config), config)[1]
    assert not isinstance(layer, ChainLayer)
    out = layer.out
    moved = sum(view.channel_blocks * _pixels(view.dims) for view in (*layer.inputs, out))
    moved *= config.block
    vectors = out.channel_blocks * -(-_pixels(out.dims) // config.rows)
    cycles = max(vectors * vec_cycles(layer), moved / config["DRAM_BYTES_PER_CYCLE"])
    return Estimate(cycles + 4 * config["DRAM_LATENCY"], moved)


def _pixels(dims: tuple[int, int, int, int]) -> int:
    return dims[0] * dims[2] * dims[3]


def vec_cycles(layer: Layer) -> int:
    """VEC cycles per vector of a layer's result."""
    if isinstance(layer, AccumLayer):
        passes = 2 if layer.divide is not None and layer.scale is not None else 1
        return layer.window.kernel[0] * layer.window.kernel[1] + passes
    if isinstance(layer, BinaryLayer):
        return operator_cycles(layer)
    return 1 if isinstance(layer, GemmLayer | TableLayer | MoveLayer) else 0


def chain_estimate(stripes: Stripes, config: HwConfig) -> Estimate:
    """Cycles and DRAM bytes of a chain: the busiest engine, its first loads and last results."""
    bandwidth, images = config["DRAM_BYTES_PER_CYCLE"], stripes.stages[0].layer.out.dims[0]
    count = stripes.count
    gemm = vec = words = at_first = 0.0
    for stage in stripes.stages:
        for times, stripe in _samples(stage):
            one = _stage_cycles(stage, stripes.buffers, stripe, config)
            gemm, vec, words = (a + images * times * b for a, b in zip((gemm, vec, words), one))
        at_first += _stage_cycles(stage, stripes.buffers, 0, config)[0]
    moved = stay = weights = 0.0
    for buffer in stripes.buffers:
        size = buffer.view.dims[2] * buffer.view.dims[3] * buffer.blocks * config.block
        moved += images * size * (buffer.loaded + buffer.stored)
    for stage in stripes.stages:
        size = weight_tiles(stage, stripes.buffers) * stage.out_blocks * stage.passes
        weights += size * config.block**2 * (1 if stage.stays else images * count)
        stay += size * config.block**2 * stage.stays
    moved += weights + words * WORD_BYTES
    # Two engines of about the same load wait for each other now and then.
    waits = MUTUAL * min(gemm, vec) ** 2 / max(gemm, vec, 1.0)
    busy = max(max(gemm, vec) + waits, moved / bandwidth)
    first = sum(b.pitch * b.ends[0] for b in stripes.buffers if b.loaded) * config.block
    edges = first / bandwidth + max(0.0, stay / bandwidth - at_first)
    edges += 4 * config["DRAM_LATENCY"] + _turns(stripes, config)
    return Estimate(busy + edges, moved)


def _samples(stage: Stage) -> list[tuple[float, int]]:
    """(how many stripes are like it, stripe) of a few stripes of each size."""
    alike: dict[int, list[int]] = {}
    for number, (start, stop) in enumerate(pairwise(stage.starts)):
        alike.setdefault(stop - start, []).append(number)
    return [
        (len(numbers) / len(chosen), number)
        for numbers in alike.values()
        for chosen in [numbers[:: max(1, len(numbers) // SAMPLES)]]
        for number in chosen
    ]


def _turns(stripes: Stripes, config: HwConfig) -> float:
    """What is not hidden: the last chunk's requantization of every stage, once."""
    return sum(
        stage.chunk * min(stage.high, stage.rows(0)[1]) * stage.layer.out.dims[3] / config.rows
        for stage in stripes.stages
    )


def _stage_cycles(
    stage: Stage, buffers: tuple[LineBuffer, ...], stripe: int, config: HwConfig
) -> tuple[float, float, float]:
    """(GEMM cycles, VEC cycles, instructions) of one stripe of one stage."""
    rows = stage.rows(stripe)
    width, target = stage.layer.out.dims[3], buffers[stage.target]
    if not rows[1]:
        return 0, 0, 0
    source = buffers[stage.sources[0]]
    written = [size for _, size in runs(rows, (target, stage.place.row, stage.place.rows))]
    posts = sum(_groups(size, width, config.rows) for size in written)
    words = 2.0 + len(written) * stage.chunks
    if not isinstance(stage.layer, GemmLayer | AccumLayer):
        return 0, stage.out_blocks * posts * vec_cycles(stage.layer) + TILE_OVERHEAD, words
    cuts = [
        (piece.rows[1], piece.taps[1])
        for start in range(rows[0], rows[0] + rows[1], stage.high)
        for piece in window_rows(stage, source, (start, min(stage.high, sum(rows) - start)))
    ]
    kw = stage.window.kernel[1]
    sums = sum(_groups(size, width, config.rows) * taps * kw for size, taps in cuts)
    overhead = stage.chunks * len(cuts) * TILE_OVERHEAD
    words += len(cuts) * stage.chunks * max(stage.passes, 1)
    if isinstance(stage.layer, GemmLayer):
        gemm = stage.out_blocks * sums * source.blocks * stage.passes + overhead
        return gemm, stage.out_blocks * posts + TILE_OVERHEAD, words
    passes = vec_cycles(stage.layer) - stage.window.kernel[0] * kw
    return 0, stage.out_blocks * (sums + posts * passes) + overhead, words


def _groups(rows: int, columns: int, width: int) -> int:
    """Cycles to walk over pixels, ``width`` of them at a time."""
    if 2 * columns >= width:
        return -(-rows * columns // width)
    return rows * -(-columns // width)
