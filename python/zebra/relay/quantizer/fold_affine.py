"""Pass: per-channel multiplications and additions go into the layer before them.

Law: gain * (w . x + b) + offset = (gain * w) . x + (gain * b + offset), per output
channel, computed in float64. Where there is no such layer, or other consumers
need its value too, the affine map becomes a depthwise 1x1 convolution of its
own, which is what unfolded batch norms (DenseNet's) and per-channel slopes are.
What normalises an input stays: it is computed in float before the quantization.
A scalar without a layer stays: it is part of an element-wise chain.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import tvm
from tvm import relay

from zebra.errors import QuantizationError
from zebra.relay.quantizer.normalise import input_normalisations
from zebra.relay.quantizer.rewriting import (
    Expr,
    FloatArray,
    Site,
    channel_vector,
    is_float,
    rewrite,
    shape_of,
    value_of,
)

LAYOUTS = {"nn.conv2d": ("NCHW", "OIHW"), "nn.conv2d_transpose": ("NCHW", "IOHW")}
AFFINE = frozenset(["add", "subtract", "multiply", "divide", "nn.bias_add", "negative"])


def is_linear(name: str, attrs: tvm.ir.Attrs, weight: Expr, rank: int) -> bool:
    """Whether a call is a 2-D convolution, dense or transposed one of constant weights.

    ``rank`` is that of its result: dense is taken for [N, K] tensors only.
    """
    if value_of(weight) is None:
        return False
    if name == "nn.dense":
        return rank == 2
    if name not in LAYOUTS:
        return False
    layouts = (attrs.data_layout, attrs.kernel_layout)
    return layouts == LAYOUTS[name] and attrs.out_layout in ("", "NCHW")


@dataclass(frozen=True, eq=False)
class Layer:
    """A linear layer being folded into: y[c] = (w[c] . x) + bias[c].

    ``weight`` float64 in the operator's own layout, ``bias`` float64 [C] or None,
    ``flat`` for a depthwise layer that stands for an affine map of a [N, C] tensor.
    """

    call: Expr
    weight: FloatArray
    bias: FloatArray | None = None
    flat: bool = False

    def transform(self, gain: FloatArray, offset: FloatArray) -> Layer:
        """The layer followed by y -> gain * y + offset (both [C])."""
        bias = self.bias
        if offset.any():
            bias = gain * (0.0 if bias is None else bias) + offset
        elif bias is not None:
            bias = gain * bias
        return replace(self, weight=self._scaled(gain), bias=bias)

    def _scaled(self, gain: FloatArray) -> FloatArray:
        if self.call.op.name != "nn.conv2d_transpose":
            return self.weight * gain.reshape((-1,) + (1,) * (self.weight.ndim - 1))
        groups = int(self.call.attrs.groups)
        rows, columns, height, width = self.weight.shape
        grouped = self.weight.reshape(groups, rows // groups, columns, height, width)
        return (grouped * gain.reshape(groups, 1, columns, 1, 1)).reshape(self.weight.shape)

    def build(self) -> Expr:
        """The layer as Relay: the call, the bias as an addition, flattened if ``flat``."""
        for what, array in (("weight", self.weight), ("bias", self.bias)):
            if array is not None and not np.isfinite(array.astype(np.float32)).all():
                raise QuantizationError(
                    f"the {what} of a {self.call.op.name} of {self.weight.shape} is NaN or "
                    "infinite after its batch norm is folded in; check the model's parameters"
                )
        weight = relay.const(self.weight.astype(np.float32))
        args = [self.call.args[0], weight]
        result = relay.Call(self.call.op, args, self.call.attrs, None, self.call.span)
        if self.bias is not None:
            trailing = () if self.call.op.name == "nn.dense" else (1, 1)
            result = relay.add(result, relay.const(self.bias.reshape((-1, *trailing)), "float32"))
        return relay.squeeze(result, [2, 3]) if self.flat else result


@dataclass
class _Folder:
    """The pass's memory: which rewritten expressions are layers nothing else reads."""

    normalisations: set[Expr]
    """Maps of an input, which stay as they are."""
    layers: dict[Expr, Layer] = field(default_factory=dict)

    def rule(self, site: Site) -> Expr | None:
        if not site.name or not is_float(site.node) or site.node in self.normalisations:
            return None
        node, args = site.node, site.args
        if len(args) == 2 and is_linear(site.name, node.attrs, args[1], len(shape_of(node))):
            weight = value_of(args[1])
            assert weight is not None
            call = relay.Call(node.op, args, node.attrs, None, node.span)
            layer = Layer(call, weight.astype(np.float64))
        else:
            found = _affine(site)
            if found is None:
                return None
            operand, gain, offset, scalar = found
            known = self.layers.get(site.args[operand])
            if known is None and scalar:
                return None
            inner = known or _depthwise(site, operand)
            layer = inner.transform(gain, offset)
        built = layer.build()
        if site.uses[site.node] == 1:
            self.layers[built] = layer
        return built


def fold_affine(mod: tvm.IRModule) -> tvm.IRModule:
    """Fold every per-channel affine map into a layer, or make it a depthwise one."""
    return rewrite(mod, _Folder(input_normalisations(mod["main"].body)).rule)


def _affine(site: Site) -> tuple[int, FloatArray, FloatArray, bool] | None:
    """(operand index, gain [C], offset [C], from one scalar) of y = gain * x + offset."""
    if site.name not in AFFINE:
        return None
    constants = [value_of(arg) for arg in site.args]
    if site.name == "negative":
        constants.append(np.ones(1))
    operand = 1 if constants[0] is not None else 0
    constant = constants[1 - operand]
    shape = shape_of(site.node)
    if constant is None or constants[operand] is not None:
        return None
    if shape_of(site.node.args[operand]) != shape:
        return None
    if site.name == "nn.bias_add":
        if int(site.node.attrs.axis) % len(shape) != 1:
            return None
        constant = constant.reshape((-1,) + (1,) * (len(shape) - 2))
    vector = channel_vector(constant, shape)
    if vector is None:
        return None
    pair = _gain_and_offset(site.name, operand, vector)
    return None if pair is None else (operand, *pair, constant.size == 1)


def _gain_and_offset(
    name: str, operand: int, vector: FloatArray
) -> tuple[FloatArray, FloatArray] | None:
    one, zero = np.ones_like(vector), np.zeros_like(vector)
    if name in ("add", "nn.bias_add"):
        return one, vector
    if name == "subtract":
        return (one, -vector) if operand == 0 else (-one, vector)
    if name == "multiply":
        return vector, zero
    if name == "negative":
        return -one, zero
    return (one / vector, zero) if operand == 0 and vector.all() else None


def _depthwise(site: Site, operand: int) -> Layer:
    """The identity as a depthwise 1x1 convolution of the operand."""
    shape = shape_of(site.node)
    data = site.args[operand]
    if len(shape) == 2:
        data = relay.reshape(data, (*shape, 1, 1))
    weight = np.ones((shape[1], 1, 1, 1))
    call = relay.nn.conv2d(
        data, relay.const(weight, "float32"), channels=shape[1], groups=shape[1], kernel_size=(1, 1)
    )
    return Layer(call, weight, flat=len(shape) == 2)
