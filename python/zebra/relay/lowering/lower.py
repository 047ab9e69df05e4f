"""A region (Relay function) as a Graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tvm
from tvm import relay

from zebra.errors import UnsupportedError
from zebra.graph import nodes as g
from zebra.graph.check import check as check_graph
from zebra.hw import HwConfig
from zebra.relay import composites as c
from zebra.relay import supported
from zebra.relay.dims import graph_dims
from zebra.relay.expr import Expr, is_byte, op_name, post_order, scalar, shape
from zebra.relay.lowering.arithmetic import (
    emit_average,
    emit_binary,
    emit_conv,
    emit_max,
    emit_table,
)
from zebra.relay.lowering.builder import Builder, origin_of, row_major_dims
from zebra.relay.lowering.fuse import fuse
from zebra.relay.lowering.layout import View
from zebra.relay.lowering.moves import emit_concat, emit_move
from zebra.relay.unary import Unary, tables

_NHWC = (0, 2, 3, 1)


def lower(func: Any, config: HwConfig) -> g.Graph:
    """The Graph of a region, e.g. a function that ``partition`` made for ``config``.

    The function takes int8 tensors and returns one int8 tensor or a tuple of
    them. UnsupportedError names the operator and the rule where a tensor in it
    is not one the accelerator computes.
    """
    func = _typed(func)
    name = str(func.attrs["global_symbol"]) if _has_symbol(func) else "region"
    outputs = list(func.body.fields) if isinstance(func.body, relay.Tuple) else [func.body]
    forms = _forms(func, outputs, config)
    build = Builder()
    inputs = [_emit_input(build, param, forms) for param in func.params]
    _emit_forms(build, forms)
    ports = [_output_port(build, expr) for expr in outputs]
    nodes, renamed = fuse(build.nodes, [port.value for port in ports])
    ports = [_renamed(port, renamed) for port in ports]
    graph = g.Graph(name, tuple(nodes), tuple(inputs), tuple(ports))
    check_graph(graph)
    return graph


def _has_symbol(func: Any) -> bool:
    return func.attrs is not None and "global_symbol" in list(func.attrs.keys())


def _typed(func: Any) -> Any:
    """The function with types, as TVM's passes leave regions of an external compiler alone."""
    plain = relay.Function(func.params, func.body)
    module = relay.transform.InferType()(tvm.IRModule.from_expr(plain))
    return module["main"] if func.attrs is None else module["main"].with_attr(dict(func.attrs))


def _forms(func: Any, outputs: Sequence[Expr], config: HwConfig) -> list[c.Form]:
    """The forms that compute the outputs from the parameters, operands first."""
    found: dict[Expr, c.Form] = {}
    pending = list(outputs)
    while pending:
        expr = pending.pop()
        if expr in found or isinstance(expr, (relay.Var, relay.Constant)):
            continue
        found[expr] = _form(expr, config)
        pending.extend(found[expr].inputs)
    return [found[expr] for expr in post_order(func.body) if expr in found]


def _form(expr: Expr, config: HwConfig) -> c.Form:
    form = c.match(expr)
    where = op_name(expr) or type(expr).__name__
    if form is None:
        raise UnsupportedError(
            f"{where} is in a region but is no operator of the accelerator; see "
            "docs/supported_ops.md and let zebra.relay.partition make the regions"
        )
    reason = supported.check(form, config)
    if reason is not None:
        raise UnsupportedError(
            f"{where} cannot run on {config.name}: {reason.rule} "
            f"Seen: {reason.seen}; allowed: {reason.limit}"
        )
    return form


def _emit_input(build: Builder, param: Expr, forms: Sequence[c.Form]) -> g.Port:
    if not is_byte(param):
        raise UnsupportedError(f"region input {param.name_hint} is not an int8 tensor")
    tensor = shape(param)
    layout = "NHWC" if len(tensor) == 4 and _wants_nhwc(param, forms) else "NCHW"
    dims = graph_dims(tensor, _NHWC) if layout == "NHWC" else row_major_dims(tensor)
    node = g.Input(build.name("input"), (), dims, origin=str(param.name_hint))
    build.add(node)
    if layout == "NHWC":
        build.views[param] = View.of(node.name, dims, _NHWC)
    else:
        build.views[param] = View.row_major(node.name, dims, tensor)
    return g.Port(node.name, tensor, layout)


def _wants_nhwc(param: Expr, forms: Sequence[c.Form]) -> bool:
    """Whether the first operator behind a 4-D input that cares for its layout takes NHWC."""
    carriers = {param}
    for form in forms:
        if not any(value in carriers for value in form.inputs):
            continue
        layout = _layout_of(form)
        if layout:
            return layout == "NHWC"
        if len(shape(form.root)) == 4:
            carriers.add(form.root)
    return any(_layout_of(form) == "NHWC" for form in forms)


def _layout_of(form: c.Form) -> str:
    """The layout an operator wants of its operand: NCHW, NHWC or "" where it does not care."""
    if isinstance(form, (c.ConvForm, c.AverageForm)):
        attrs = form.core.attrs
    else:
        attrs = form.calls[-1].attrs
    for key in ("data_layout", "layout", "src_layout"):
        if attrs is not None and key in list(attrs.keys()):
            return str(attrs[key])
    if op_name(form.root) == "transpose" and attrs.axes is not None:
        axes = [int(axis) for axis in attrs.axes]
        return "NHWC" if axes == [0, 3, 1, 2] else "NCHW" if axes == [0, 2, 3, 1] else ""
    return ""


def _emit_forms(build: Builder, forms: Sequence[c.Form]) -> None:
    """Every form in order; all tables of the region are evaluated together."""
    joined = {form.root: _requantized(form) for form in forms if isinstance(form, c.ConcatForm)}
    unaries = [form.unary for form in forms if isinstance(form, c.UnaryForm)]
    unaries += [unary for pairs in joined.values() for unary in pairs.values()]
    known = dict(zip((unary.root for unary in unaries), tables(unaries)))
    for form in forms:
        if isinstance(form, c.UnaryForm):
            view = build.views[form.inputs[0]]
            build.views[form.root] = emit_table(
                build, view, known[form.root], origin_of(form.calls)
            )
        elif isinstance(form, c.ConcatForm):
            operands = [build.view(operand) for operand in form.inputs]
            for index, unary in joined[form.root].items():
                operands[index] = emit_table(
                    build, operands[index], known[unary.root], "requantize"
                )
            emit_concat(build, form, operands)
        else:
            _emit(build, form)


def _emit(build: Builder, form: c.Form) -> None:
    if isinstance(form, c.ConvForm):
        emit_conv(build, form)
    elif isinstance(form, c.AverageForm):
        emit_average(build, form)
    elif isinstance(form, c.MaxForm):
        emit_max(build, form)
    elif isinstance(form, c.BinaryForm):
        emit_binary(build, form)
    else:
        assert isinstance(form, c.MoveForm), "every form has its emitter"
        emit_move(build, form)


def _requantized(form: c.ConcatForm) -> dict[int, Unary]:
    """By position, the operands that qnn.concatenate requantizes before it joins them."""
    call = form.root
    if op_name(call) != "qnn.concatenate":
        return {}
    scale, zero = call.args[3], call.args[4]
    changed = {}
    for index, operand in enumerate(form.inputs):
        mine = call.args[1].fields[index], call.args[2].fields[index]
        if scalar(mine[0]) == scalar(scale) and scalar(mine[1]) == scalar(zero):
            continue
        kind = operand.checked_type.dtype
        root = relay.qnn.op.requantize(operand, *mine, scale, zero, axis=-1, out_dtype=kind)
        changed[index] = _typed_unary(root, operand)
    return changed


def _typed_unary(root: Expr, operand: Expr) -> Unary:
    """``root`` over ``operand`` with types, ``operand`` itself staying the key of its view."""
    stand_in = relay.Var("operand", operand.checked_type)
    typed = relay.transform.InferType()(
        tvm.IRModule.from_expr(
            relay.Function([stand_in], relay.Call(root.op, [stand_in, *root.args[1:]], root.attrs))
        )
    )["main"]
    return Unary(typed.body, typed.params[0], (typed.body,))


def _output_port(build: Builder, expr: Expr) -> g.Port:
    """A port for an output; it gets a node of its own where it is an input or a constant."""
    view, tensor = build.view(expr), shape(expr)
    if view.in_order:
        port = g.Port(view.value, tensor)
    elif len(tensor) == 4 and view.lies(_NHWC):
        port = g.Port(view.value, tensor, "NHWC")
    else:
        port = g.Port(build.row_major(view).value, tensor)
    return _copied(build, port)


def _copied(build: Builder, port: g.Port) -> g.Port:
    source = next(node for node in build.nodes if node.name == port.value)
    if not isinstance(source, (g.Input, g.Constant)):
        return port
    node = g.Slice(build.name("copy"), (source.name,), source.shape, (0, 0, 0, 0), origin="copy")
    return g.Port(build.add(node), port.shape, port.layout)


def _renamed(port: g.Port, renamed: dict[str, str]) -> g.Port:
    return g.Port(renamed.get(port.value, port.value), port.shape, port.layout)
