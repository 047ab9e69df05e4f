"""Convolution, transposed convolution and dense as qnn operators.

y = s_x * s_w * (sum (x_q - z_x) * w_q + b_q), see ``integer_layer``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import relay

from zebra.relay.quantizer.integer_layer import IntegerLayer, groups_of, operator_layout
from zebra.relay.quantizer.rewriting import Expr
from zebra.relay.quantizer.scales import QParams
from zebra.relay.quantizer.steps import Linear


def emit_linear(
    data: Expr, step: Linear, layer: IntegerLayer, source: QParams, result: QParams
) -> Expr:
    """The operator, bias and requantize (no clip) of an int8 ``data``."""
    kernel = relay.const(operator_layout(step, layer.levels).astype(np.int8))
    product = _product(data, kernel, step, source, layer.scales / source.scale)
    return relay.qnn.op.requantize(
        relay.nn.bias_add(product, relay.const(layer.bias), axis=1),
        relay.const(layer.scales.astype(np.float32)),
        relay.const(0, "int32"),
        relay.const(np.float32(result.scale)),
        relay.const(result.zero_point, "int32"),
        axis=1,
        out_dtype="int8",
    )


def _product(
    data: Expr, kernel: Expr, step: Linear, source: QParams, weight_scales: npt.NDArray[Any]
) -> Expr:
    attrs = step.call.attrs
    # The per-channel type rule of grouped transposed convolutions is wrong in TVM 0.19;
    # the kernel's scale takes no part in the arithmetic, so its largest stands for all.
    if step.call.op.name == "nn.conv2d_transpose" and groups_of(step) > 1:
        weight_scales = weight_scales.max()
    quantization = [
        relay.const(source.zero_point, "int32"),
        relay.const(0, "int32"),
        relay.const(np.float32(source.scale)),
        relay.const(weight_scales.astype(np.float32)),
    ]
    if step.call.op.name == "nn.dense":
        return relay.qnn.op.dense(data, kernel, *quantization, units=len(step.weight))
    options: dict[str, Any] = {
        "strides": attrs.strides,
        "padding": attrs.padding,
        "dilation": attrs.dilation,
        "groups": attrs.groups,
        "channels": len(step.bias),
        "kernel_size": step.weight.shape[2:],
        "data_layout": "NCHW",
        "kernel_layout": attrs.kernel_layout,
        "out_dtype": "int32",
    }
    if step.call.op.name == "nn.conv2d":
        return relay.qnn.op.conv2d(data, kernel, *quantization, **options)
    options["output_padding"] = attrs.output_padding
    return relay.qnn.op.conv2d_transpose(data, kernel, *quantization, **options)
