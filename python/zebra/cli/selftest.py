"""The small network with which ``zebra doctor`` proves an installation."""

from __future__ import annotations

from typing import Any

import numpy as np


def differing_values() -> tuple[int, int]:
    """(values that differ from plain TVM's, all values) of an int8 convolution on "zebra"."""
    import tvm

    import zebra
    from zebra.cli.pipeline import Runner, build

    module = _convolution()
    picture = np.random.default_rng(0).integers(-128, 128, (1, 16, 12, 12)).astype(np.int8)
    with zebra.exact_reference():
        reference = Runner(build(module, {}, "llvm"), tvm.cpu())
    expected = reference({"x": picture})[0]
    found = Runner(build(module, {}, "zebra"), zebra.device())({"x": picture})[0]
    return int(np.count_nonzero(expected != found)), expected.size


def _convolution() -> Any:
    """A quantized 3x3 convolution [1, 16, 12, 12] -> [1, 16, 12, 12]."""
    import tvm
    from tvm import relay

    def integer(value: int) -> Any:
        return relay.const(value, "int32")

    weights = np.random.default_rng(1).integers(-127, 128, (16, 16, 3, 3)).astype(np.int8)
    accumulator = relay.qnn.op.conv2d(
        relay.var("x", shape=(1, 16, 12, 12), dtype="int8"),
        relay.const(weights),
        input_zero_point=integer(3),
        kernel_zero_point=integer(0),
        input_scale=relay.const(0.5),
        kernel_scale=relay.const(0.25),
        kernel_size=(3, 3),
        channels=16,
        padding=(1, 1),
    )
    result = relay.qnn.op.requantize(
        accumulator,
        input_scale=relay.const(0.125),
        input_zero_point=integer(0),
        output_scale=relay.const(32.0),
        output_zero_point=integer(-4),
        out_dtype="int8",
    )
    return relay.transform.InferType()(tvm.IRModule.from_expr(result))
