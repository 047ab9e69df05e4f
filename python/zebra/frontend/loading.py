"""``load`` and ``describe``: a model file in, a Relay module or its description out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zebra.errors import ModelError, ZebraError
from zebra.frontend import relay_reader, tflite_reader
from zebra.frontend.model import Format, ModelInfo
from zebra.frontend.recognise import read_model, recognise
from zebra.frontend.shapes import Shapes, settle

Source = str | os.PathLike[str] | bytes


def describe(source: Source) -> ModelInfo:
    """Format, inputs and outputs of a model file (or its bytes); ModelError if it is none."""
    return _parse(source)[1]


def load(source: Source, shapes: Shapes | None = None) -> tuple[Any, dict[str, Any]]:
    """Relay module and parameters of a model file (or its bytes), every shape static.

    The format is recognised by content. ``shapes`` gives input shapes that the
    file leaves open, by input name; an open batch alone means 1. ModelError
    says what is wrong with the file or the shapes, and what to do.
    """
    parsed, info = _parse(source)
    settled = settle(info, shapes)
    try:
        module, params = _convert(parsed, info, settled)
        _check_static(module, info.origin)
    except ZebraError:
        raise
    # TVM's converters raise whatever their code runs into: KeyError, AssertionError, TVMError...
    except Exception as error:
        raise ModelError(
            f"{info.origin}: TVM 0.19 could not convert this {info.format.value} model "
            f"({type(error).__name__}: {relay_reader.last_line(error)})"
        ) from error
    return module, params


def _parse(source: Source) -> tuple[Any, ModelInfo]:
    if isinstance(source, bytes):
        data, origin, directory = source, "the model", None
        if not data:
            raise ModelError("the model's bytes are empty; give the content of a model file")
    else:
        path = Path(source)
        data, origin, directory = read_model(path), str(path), path.parent
    form = recognise(data, origin)
    if form is Format.ONNX:
        # The onnx package takes half a second to import: only its models need it.
        from zebra.frontend import onnx_reader

        model = onnx_reader.parse(data, origin, directory)
        return model, onnx_reader.describe(model, origin)
    if form is Format.TFLITE:
        model = tflite_reader.parse(data, origin)
        return model, tflite_reader.describe(model, origin)
    module = relay_reader.parse(data, form, origin)
    return module, relay_reader.describe(module, form, origin)


def _convert(
    parsed: Any, info: ModelInfo, shapes: Mapping[str, tuple[int, ...]]
) -> tuple[Any, dict[str, Any]]:
    if info.format is Format.ONNX:
        from zebra.frontend import onnx_reader

        return onnx_reader.convert(parsed, shapes, info.origin)
    if info.format is Format.TFLITE:
        return tflite_reader.convert(parsed, shapes, info.origin)
    return parsed, {}


def _check_static(module: Any, origin: str) -> None:
    """ModelError if a value's shape is known at run time only."""
    import tvm
    from tvm import relay

    dynamic: list[str] = []

    def visit(expr: Any) -> None:
        is_operator = isinstance(expr, relay.Call) and isinstance(expr.op, tvm.ir.Op)
        if is_operator and relay.ty.is_dynamic(expr.checked_type):
            dynamic.append(expr.op.name)

    relay.analysis.post_order_visit(relay.transform.InferType()(module)["main"], visit)
    if dynamic:
        raise ModelError(
            f"{origin}: {len(dynamic)} operators have shapes that are known at run time only "
            f"(the first is {dynamic[0]}); cut the model before it, or export it with fixed sizes"
        )
