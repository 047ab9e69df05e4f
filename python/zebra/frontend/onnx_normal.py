"""Rewrite an ONNX model into the form that TVM 0.19's converter reads correctly, or refuse it.

TVM's converter ignores what it does not know: later inputs and attributes of
an operator would silently change the result. Each rule here names one such
case, and either states it in an older form that means the same or refuses it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

import numpy as np
import onnx
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, helper, numpy_helper

from zebra.errors import ModelError

OLDEST_OPSET = 7
NEWEST_OPSET = 24
DOMAINS = ("", "ai.onnx", "com.microsoft")

Constants = dict[str, onnx.TensorProto]
Rule = Callable[[NodeProto, Constants], str | None]
"""Rewrites the node in place; the text returned, if any, says why it cannot be read."""

_PLAIN_REDUCTIONS = ("ReduceMax", "ReduceMin", "ReduceSum", "ReduceMean", "ReduceProd")
_REDUCTIONS = (
    *_PLAIN_REDUCTIONS,
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceSumSquare",
)


def normalise(model: ModelProto, origin: str) -> ModelProto:
    """A copy of ``model`` that TVM converts exactly; ModelError names opset, operator or node."""
    if model.functions:
        from onnx.inliner import inline_local_functions

        model = inline_local_functions(model)
    copy = ModelProto()
    copy.CopyFrom(model)
    _check_opset(copy, origin)
    _apply_rules(copy.graph, {}, origin)
    return copy


def opset(model: ModelProto) -> int:
    """The version of the model's standard operator set (1 if it names none)."""
    versions = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    return versions[0] if versions else 1


def check_operators(model: ModelProto, known: Iterable[str], origin: str) -> None:
    """ModelError lists the operators that are not in ``known``, with how often and where."""
    names = {*known, "Constant"}
    counts: Counter[str] = Counter()
    first: dict[str, str] = {}
    for node in model.graph.node:
        foreign = node.domain not in DOMAINS
        if foreign or node.op_type not in names:
            label = f"{node.domain}.{node.op_type}" if foreign else node.op_type
            counts[label] += 1
            first.setdefault(label, node.name or node.output[0])
    if counts:
        listed = ", ".join(f"{op} (x{counts[op]}, first {first[op]})" for op in sorted(counts))
        raise ModelError(
            f"{origin}: TVM 0.19 has no reader for the operators {listed}; "
            "export the network without them"
        )


def _check_opset(model: ModelProto, origin: str) -> None:
    version = opset(model)
    if not OLDEST_OPSET <= version <= NEWEST_OPSET:
        problem = "older" if version < OLDEST_OPSET else "newer"
        raise ModelError(
            f"{origin}: ONNX opset {version} is {problem} than what can be read "
            f"({OLDEST_OPSET}..{NEWEST_OPSET}); export it with opset_version=17, "
            "or convert it with onnx.version_converter"
        )


def _apply_rules(graph: GraphProto, outer: Constants, origin: str) -> None:
    constants = {**outer, **{tensor.name: tensor for tensor in graph.initializer}}
    for node in graph.node:
        if node.op_type == "Constant":
            for attribute in node.attribute:
                if attribute.name == "value":
                    constants[node.output[0]] = attribute.t
        rule = _RULES.get(node.op_type)
        reason = rule(node, constants) if rule and node.domain in DOMAINS else None
        if reason:
            name = node.name or node.output[0]
            raise ModelError(f"{origin}: {node.op_type} {name} {reason}")
        for attribute in node.attribute:
            if attribute.type == AttributeProto.GRAPH:
                _apply_rules(attribute.g, constants, origin)


def _attribute(node: NodeProto, name: str, default: object) -> object:
    for attribute in node.attribute:
        if attribute.name == name:
            return helper.get_attribute_value(attribute)
    return default


def _drop_attribute(node: NodeProto, name: str) -> None:
    kept = [attribute for attribute in node.attribute if attribute.name != name]
    del node.attribute[:]
    node.attribute.extend(kept)


def _reduce(node: NodeProto, constants: Constants) -> str | None:
    """Axes given as an input become the attribute of the older form."""
    axes: list[int] = []
    if len(node.input) > 1 and node.input[1]:
        if node.input[1] not in constants:
            return "computes its axes at run time; export it with constant axes"
        array = numpy_helper.to_array(constants[node.input[1]])
        axes = [int(axis) for axis in np.asarray(array).reshape(-1)]
    empty = not axes and _attribute(node, "axes", None) is None
    noop = bool(_attribute(node, "noop_with_empty_axes", 0))
    _drop_attribute(node, "noop_with_empty_axes")
    del node.input[1:]
    if empty and noop:
        if node.op_type not in _PLAIN_REDUCTIONS:
            return "reduces nothing (noop_with_empty_axes), which cannot be read; remove it"
        del node.attribute[:]
        node.op_type = "Identity"
    elif axes:
        node.attribute.append(helper.make_attribute("axes", axes))
    return None


def _resize(node: NodeProto, constants: Constants) -> str | None:
    if _attribute(node, "antialias", 0):
        return "uses antialias, which cannot be read; export it without"
    if _attribute(node, "axes", None) is not None:
        return "names its axes, which cannot be read; export it with sizes for all dimensions"
    if _attribute(node, "keep_aspect_ratio_policy", b"stretch") != b"stretch":
        return "uses keep_aspect_ratio_policy, which cannot be read; export it with plain sizes"
    return None


def _pad(node: NodeProto, constants: Constants) -> str | None:
    if len(node.input) > 3 and node.input[3]:
        return "names its axes, which cannot be read; export it with pads for all dimensions"
    return None


def _quantization(node: NodeProto, constants: Constants) -> str | None:
    if _attribute(node, "block_size", 0):
        return "quantizes by blocks, which cannot be read; quantize per tensor or per channel"
    if len(node.input) < 3 or not node.input[2]:
        return "has no zero point, which cannot be read; export it with an explicit one"
    return None


_RULES: dict[str, Rule] = {
    **dict.fromkeys(_REDUCTIONS, _reduce),
    "Resize": _resize,
    "Pad": _pad,
    "QuantizeLinear": _quantization,
    "DequantizeLinear": _quantization,
}
