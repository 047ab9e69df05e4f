"""Computing one step of a Network on many pictures, in float32.

Layers run in NumPy (a matrix product of the windows' elements, see ``windows``),
with whatever weights they are given, so nothing is compiled for another weight;
every other step is compiled once by TVM, by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import tvm
from tvm import relay

from zebra.errors import QuantizationError
from zebra.relay.quantizer.rewriting import Expr, rebuilt
from zebra.relay.quantizer.running import FloatRunner, host_target
from zebra.relay.quantizer.steps import Linear, Step
from zebra.relay.quantizer.windows import geometry, windows

CACHED = 1 << 15
"""Output elements of a depthwise convolution that are computed together."""

Array = npt.NDArray[Any]
Value = Any
"""An array, or a tuple of arrays for an expression of a tuple type."""


def evaluate_linear(step: Linear, data: Array, weight: Array, bias: Array) -> Array:
    """The layer (with its clip) of ``data`` [N, C, H, W] or [N, C], as float32.

    ``weight`` float32 in the operator's layout, ``bias`` [K].
    """
    operator = geometry(step).operator
    if operator == "nn.dense":
        result = data @ weight.T + bias
    elif operator == "nn.conv2d_transpose":
        result = _transposed(step, data, weight) + bias[:, None, None]
    else:
        result = _convolution(step, data, weight)
        result += bias[:, None, None]
    if step.clip is not None:
        np.clip(result, *step.clip, out=result)
    return result


def _convolution(step: Linear, data: Array, weight: Array) -> Array:
    groups, outputs = geometry(step).groups, len(weight)
    view = windows(step, data)
    count, channels, rows, columns, height, width = view.shape
    if groups == channels == outputs:
        return _depthwise(view, weight)
    taps = channels // groups * height * width
    result = np.empty((count, groups, outputs // groups, rows * columns), np.float32)
    matrix = weight.reshape(groups, outputs // groups, taps)
    for picture, pixels in zip(result, view):
        ordered = pixels.transpose(0, 3, 4, 1, 2).reshape(groups, taps, rows * columns)
        np.matmul(matrix, ordered, out=picture)
    return result.reshape(count, outputs, rows, columns)


def _depthwise(view: Array, weight: Array) -> Array:
    """One channel group after another, so that what is added up stays in the cache."""
    count, channels, rows, columns, height, width = view.shape
    result = np.zeros((count, channels, rows, columns), np.float32)
    block = max(1, CACHED // (rows * columns))
    for start in range(0, channels, block):
        part = slice(start, start + block)
        for i, j in np.ndindex(height, width):
            result[:, part] += view[:, part, :, :, i, j] * weight[part, 0, i, j, None, None]
    return result


def _transposed(step: Linear, data: Array, weight: Array) -> Array:
    """Each input element adds its kernel to the output."""
    where = geometry(step)
    groups, dilation = where.groups, where.dilation
    (top, left, *_), (down, across) = where.pads, where.strides
    count, channels, rows, columns = data.shape
    height, width = (int(extent) for extent in step.call.checked_type.shape[2:])
    outputs = weight.shape[1] * groups
    reach = [(k - 1) * d + 1 for k, d in zip(weight.shape[2:], dilation)]
    full = (
        max((rows - 1) * down + reach[0], top + height),
        max((columns - 1) * across + reach[1], left + width),
    )
    result = np.zeros((count, outputs, *full), np.float32)
    pixels = data.reshape(count, groups, channels // groups, rows * columns)
    kernel = weight.reshape(groups, channels // groups, *weight.shape[1:])
    for i, j in np.ndindex(*weight.shape[2:]):
        piece = np.matmul(kernel[..., i, j].swapaxes(1, 2), pixels)
        y, x = i * dilation[0], j * dilation[1]
        place = result[:, :, y : y + down * rows : down, x : x + across * columns : across]
        place += piece.reshape(count, outputs, rows, columns)
    return result[:, :, top : top + height, left : left + width].copy()


class Evaluator:
    """Evaluates steps other than layers, inputs and constants; compiles each when first met."""

    def __init__(self) -> None:
        self._runners: dict[int, FloatRunner] = {}
        self._of_step: dict[Step, FloatRunner] = {}
        self._lock = Lock()

    def __call__(self, step: Step, inputs: Sequence[Value]) -> Value:
        """The step's value for one batch of the network's own batch size."""
        if isinstance(step.expr, relay.Tuple):
            return tuple(inputs)
        if isinstance(step.expr, relay.TupleGetItem):
            return inputs[0][step.expr.index]
        with self._lock:
            if step not in self._of_step:
                self._of_step[step] = self._compiled(step)
        flat = [x for value in inputs for x in (value if isinstance(value, tuple) else (value,))]
        named = {f"x{number}": array for number, array in enumerate(flat)}
        with self._lock:  # an executor has one set of buffers
            results = tuple(result.copy() for result in self._of_step[step].run(named))
        single = not isinstance(step.expr.checked_type, relay.TupleType)
        return results[0] if single else results

    def _compiled(self, step: Step) -> FloatRunner:
        variables: list[Expr] = []
        new = {value: _variable(value, variables) for value in step.inputs}
        function = relay.Function(variables, rebuilt(step.expr, new))
        key = int(tvm.ir.structural_hash(function, map_free_vars=True))
        if key not in self._runners:
            self._runners[key] = _compile(variables, function.body)
        return self._runners[key]


def _compile(variables: Sequence[Expr], body: Expr) -> FloatRunner:
    try:
        return FloatRunner(variables, [body], host_target(), fuse=False)
    except tvm.TVMError as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise QuantizationError(
            f"TVM cannot compile the float network, so it cannot be calibrated ({reason}); "
            "check that relay.build(mod, target='llvm') works"
        ) from error


def _variable(value: Expr, variables: list[Expr]) -> Expr:
    """A variable like ``value`` (a tuple of them for a tuple), noted in ``variables``."""
    kind = value.checked_type
    if isinstance(kind, relay.TupleType):
        return relay.Tuple([_fresh(field, variables) for field in kind.fields])
    return _fresh(kind, variables)


def _fresh(kind: Any, variables: list[Expr]) -> Expr:
    variables.append(relay.Var(f"x{len(variables)}", kind))
    return variables[-1]
