"""Small tiling problems of every kind that the compiler meets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from zebra.schedule.tiling import Before, GemmWorkload


def workload(
    outs: int, ins: int, size: int, kernel: int = 1, stride: int = 1, **others: Any
) -> GemmWorkload:
    """A square convolution; ``outs`` and ``ins`` in channel blocks."""
    source = (size - 1) * stride + 1 if kernel == 1 else size * stride
    values = {"batch": 1, "dilation": (1, 1), "passes": 1, "separate_blocks": False, **others}
    return GemmWorkload(
        out_blocks=outs,
        in_blocks=ins,
        out_size=(size, size),
        kernel=(kernel, kernel),
        stride=(stride, stride),
        in_size=(source, source),
        **values,
    )


ONE, THREE = (1, 1), (3, 3)
DEPTHWISE = Before((14, 14), THREE, (2, 2), ONE, 10, 12, taps=9)
WIDE = replace(DEPTHWISE, taps=0)
AVERAGE = Before((7, 7), THREE, ONE, ONE, 11, 6)
ADDITION = Before((7, 7), ONE, ONE, ONE, 2, 6, operands=2, accumulates=False)
TABLE = Before((7, 7), ONE, ONE, ONE, 1, 3, accumulates=False)
CONV = Before((7, 7), THREE, ONE, ONE, 1, 3, in_blocks=2, gemm=18)
EXPANSION = Before((14, 14), ONE, ONE, ONE, 1, 3, in_blocks=2, gemm=2)

WORKLOADS = {
    "conv": workload(2, 3, 9, 3),
    "strided": workload(4, 2, 7, 3, 2),
    "two_passes": workload(2, 2, 6, 3, passes=2),
    "two_images": workload(2, 2, 5, batch=2),
    "grouped": workload(3, 1, 6, 3, separate_blocks=True),
    "addition_behind": workload(2, 4, 8, after=2),
    "product_behind": workload(2, 4, 8, after=3),
    "depthwise_before": workload(4, 3, 7, before=DEPTHWISE),
    "wide_depthwise_before": workload(4, 3, 7, before=WIDE),
    "average_before": workload(2, 2, 7, before=AVERAGE, after=2),
    "addition_before": workload(2, 2, 7, before=ADDITION),
    "table_before": workload(2, 2, 7, before=TABLE),
    "conv_before": workload(4, 3, 7, before=CONV, after=2),
    "inverted_residual": workload(2, 6, 7, before=replace(DEPTHWISE, first=EXPANSION)),
}
