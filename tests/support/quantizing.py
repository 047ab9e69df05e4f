"""Small float networks, and running them in float and quantized."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from unittest import mock

import numpy as np
import numpy.typing as npt
import tvm
from tvm import relay
from tvm.contrib import graph_executor
from tvm.relay.backend import te_compiler

from zebra.relay import exact_reference, quantize
from zebra.relay.quantizer.assign import assign_qparams, value_groups
from zebra.relay.quantizer.bind import is_quantized
from zebra.relay.quantizer.emit import emit
from zebra.relay.quantizer.recognize import recognize
from zebra.relay.quantizer.rewriting import Expr, op_name, post_order

Array = npt.NDArray[np.float32]

BUILD_CONFIG = {"tir.disable_cse_tir": True}
"""Without it LLVM 22 refuses what TVM 0.19 makes of a bilinear resize."""


class Weights:
    """Seeded float32 constants."""

    def __init__(self, seed: int = 7) -> None:
        self.rng = np.random.default_rng(seed)

    def __call__(self, *shape: int, low: float = -1.0, high: float = 1.0) -> Expr:
        return relay.const(self.rng.uniform(low, high, shape).astype(np.float32))

    def conv(self, data: Expr, inputs: int, outputs: int, kernel: int = 3, **attrs: int) -> Expr:
        """A convolution of the same size, of weights per channel of very different size."""
        groups = attrs.get("groups", 1)
        weight = self.rng.uniform(-1, 1, (outputs, inputs // groups, kernel, kernel))
        weight *= 2.0 ** self.rng.integers(-4, 3, (outputs, 1, 1, 1))
        return relay.nn.conv2d(
            data,
            relay.const(weight.astype(np.float32)),
            padding=(kernel // 2, kernel // 2),
            channels=outputs,
            kernel_size=(kernel, kernel),
            **attrs,
        )

    def batch_norm(self, data: Expr, channels: int, axis: int = 1) -> Expr:
        gamma, beta = self(channels, low=-2, high=2), self(channels)
        mean, var = self(channels), self(channels, low=0.1, high=3)
        return relay.nn.batch_norm(data, gamma, beta, mean, var, axis=axis)[0]


def module(*outputs: Expr) -> tvm.IRModule:
    """The typed module that returns the outputs (a tuple of several)."""
    body = outputs[0] if len(outputs) == 1 else relay.Tuple(list(outputs))
    function = relay.Function(relay.analysis.free_vars(body), body)
    return relay.transform.InferType()(tvm.IRModule.from_expr(function))


def pictures(mod: tvm.IRModule, count: int = 3) -> list[dict[str, Array]]:
    """Seeded normal inputs of the module's shapes."""
    rng = np.random.default_rng(3)
    return [
        {
            param.name_hint: rng.standard_normal([int(n) for n in param.checked_type.shape]).astype(
                param.checked_type.dtype
            )
            for param in mod["main"].params
        }
        for _ in range(count)
    ]


@contextmanager
def fast_builds() -> Iterator[None]:
    """TVM asks for its own build options (20 ms) once per operand of each kernel: ask once."""
    with mock.patch.object(te_compiler, "libinfo", functools.cache(tvm.support.libinfo)):
        yield


def run(mod: tvm.IRModule, inputs: Sequence[dict[str, Array]]) -> list[list[Array]]:
    """Outputs per input, on the exact reference (plain llvm)."""
    level = 2 if is_quantized(mod) else 0
    passes = tvm.transform.PassContext(opt_level=level, config=BUILD_CONFIG)
    with fast_builds(), exact_reference(), passes:
        library = relay.build(mod, target="llvm")
    executor = graph_executor.GraphModule(library["default"](tvm.cpu()))
    results = []
    for batch in inputs:
        executor.run(**batch)
        count = executor.get_num_outputs()
        results.append([executor.get_output(i).numpy() for i in range(count)])
    return results


def operators(mod: tvm.IRModule) -> list[str]:
    """Names of the operators called, in post-order."""
    return [name for node in post_order(mod["main"].body) if (name := op_name(node))]


def calls(mod: tvm.IRModule, name: str) -> list[Expr]:
    """Every call of an operator."""
    return [node for node in post_order(mod["main"].body) if op_name(node) == name]


def scalar(expr: Expr) -> float:
    """The value of a constant scalar."""
    return float(expr.data.numpy().reshape(()))


@dataclass(frozen=True)
class Compared:
    """One output of a quantized network: its operators, and its largest difference to float.

    ``steps`` counts in quantization steps of the output.
    """

    operators: list[str]
    steps: float


def compare(mod: tvm.IRModule) -> list[Compared]:
    """Quantize ``mod`` and compare its outputs (a tuple) with float."""
    inputs = pictures(mod)
    with fast_builds():
        quantized = quantize(mod, calibration=inputs)
    fields = quantized["main"].body.fields
    worst = [0.0] * len(fields)
    for real, exact in zip(run(mod, inputs), run(quantized, inputs)):
        for i, (a, b) in enumerate(zip(real, exact)):
            assert a.shape == b.shape
            assert a.dtype == b.dtype
            worst[i] = max(worst[i], float(np.abs(a - b).max()))
    names = [[name for node in post_order(f) if (name := op_name(node))] for f in fields]
    steps = [w / scalar(f.args[1]) for f, w in zip(fields, worst)]
    return [Compared(*pair) for pair in zip(names, steps)]


def simplified(mod: tvm.IRModule) -> tvm.IRModule:
    """The float module after every pass before calibration."""
    return quantize(mod, stop_after="fold-affine")


def emitted(
    mod: tvm.IRModule, ranges: Sequence[tuple[float, float]] | None = None, bits: int = 16
) -> tvm.IRModule:
    """The quantized module for given ranges of the observed values ([-1, 1] each by default)."""
    ready = simplified(mod)
    network = recognize(ready)
    found = ranges or [(-1.0, 1.0)] * len(network.observed)
    assert len(found) == len(network.observed)
    return emit(ready["main"], network, assign_qparams(value_groups(network, found)), bits)
