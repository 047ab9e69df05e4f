"""Modules that simulate quantization in float (ONNX QDQ) as integer relay.qnn."""

from __future__ import annotations

from typing import Any

import tvm
from tvm import relay
from tvm.relay.op import register_fake_quantization_to_integer
from tvm.relay.transform import fake_quantization_to_integer

from zebra.relay.expr import Expr, op_name, post_order, rebuild
from zebra.relay.partition import prepare
from zebra.relay.unary import find_unary, rounds_upward

_installed: list[str] = []


def legalize(mod: Any) -> Any:
    """The module with float arithmetic between dequantize and quantize made integer.

    An element-wise chain of one tensor stays in float, because the accelerator
    evaluates it as a table; the rest goes through TVM's FakeQuantizationToInteger
    with some of its operators mended. A qnn.requantize that asks for TONEAREST
    (TVM's reader of ONNX QGemm does) gets the reference's rounding, which differs
    at exact ties. This is the one step that may change results, by steps of
    quantization: promise P1 is about the module that comes out.
    """
    mod = _reference_rounding(prepare(mod))
    if not _simulates(mod["main"]):
        return mod
    _install()
    passes = [
        relay.transform.FakeQuantizationToInteger(),
        relay.transform.InferType(),
        relay.transform.FoldConstant(fold_qnn=True),
        relay.transform.InferType(),
    ]
    return tvm.transform.Sequential(passes, opt_level=0)(mod)


def _reference_rounding(mod: Any) -> Any:
    """Every qnn.requantize of main rounding as exact_reference does."""
    main = mod["main"]
    new: dict[Expr, Expr] = {}
    for expr in post_order(main.body):
        if op_name(expr) == "qnn.requantize" and not rounds_upward(expr):
            args = [rebuild(arg, new) for arg in expr.args]
            new[expr] = relay.qnn.op.requantize(
                *args, axis=expr.attrs.axis, out_dtype=expr.attrs.out_dtype
            )
    if not new:
        return mod
    mod = tvm.IRModule(mod.functions, mod.type_definitions, attrs=mod.attrs)
    mod["main"] = relay.Function(
        main.params, rebuild(main.body, new), main.ret_type, main.type_params, main.attrs
    )
    return relay.transform.InferType()(mod)


def _simulates(main: Any) -> bool:
    """Whether a qnn.quantize ends float arithmetic that is not a function of one 8-bit tensor."""
    for expr in post_order(main.body):
        if op_name(expr) != "qnn.quantize" or find_unary(expr) is not None:
            continue
        if isinstance(expr.args[0], relay.Constant) or _reaches_dequantize(expr.args[0]):
            return True
    return False


def _reaches_dequantize(root: Expr) -> bool:
    """Whether every path of float operators under ``root`` begins at a dequantize or constant."""
    stop = [e for e in post_order(root) if op_name(e) == "qnn.dequantize"]
    leaves = [
        e
        for e in post_order(root, stop)
        if not isinstance(e, (relay.Call, relay.Tuple, relay.TupleGetItem, relay.Constant))
    ]
    return bool(stop) and not leaves


def _install() -> None:
    """Register the mended operators, once in a process, above TVM's own (level 10)."""
    if _installed:
        return
    for name, convert in (
        ("nn.leaky_relu", _leaky_relu),
        ("nn.adaptive_avg_pool2d", _average),
        ("nn.avg_pool2d", _average),
        ("nn.global_avg_pool2d", _average),
        ("mean", _average),
        ("nn.pad", _pad),
    ):
        register_fake_quantization_to_integer(name, convert, 11)
        _installed.append(name)


def _leaky_relu(expr: Expr, types: Any) -> list[Any]:
    """TVM's own passes the scales in the wrong order."""
    x, out = types[expr.args[0]], types[expr]
    converted = relay.qnn.op.leaky_relu(
        expr.args[0], expr.attrs.alpha, x.scale, x.zero_point, out.scale, out.zero_point
    )
    return [converted, out]


def _average(expr: Expr, types: Any) -> list[Any]:
    """The mean of 256 times the values, so that truncation costs 1/256 of a step."""
    x, out = types[expr.args[0]], types[expr]
    wide = relay.cast(expr.args[0], "int32") - x.zero_point
    wide = wide * relay.const(256, "int32")
    mean = relay.Call(expr.op, [wide], expr.attrs)
    scale = x.scale / relay.const(256.0, "float32")
    zero = relay.const(0, "int32")
    converted = relay.qnn.op.requantize(
        mean, scale, zero, out.scale, out.zero_point, out_dtype=out.dtype, axis=out.axis
    )
    return [converted, out]


def _pad(expr: Expr, types: Any) -> list[Any]:
    """A constant pad of the real value v, of any type, fills with the quantized v."""
    x, value = types[expr.args[0]], expr.args[1]
    if not isinstance(value, relay.Constant):
        converted: list[Any] = fake_quantization_to_integer.pad(expr, types)
        return converted
    real = relay.const(value.data.numpy().astype("float32"))
    fill = relay.qnn.op.quantize(real, x.scale, x.zero_point, out_dtype=x.dtype)
    folded = relay.transform.FoldConstantExpr(fill, tvm.IRModule(), fold_qnn=True)
    return [relay.Call(expr.op, [expr.args[0], folded], expr.attrs), x]
