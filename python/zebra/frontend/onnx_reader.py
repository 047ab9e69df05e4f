"""ONNX -> Relay through TVM's own converter."""

from __future__ import annotations

import sys
import threading
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto, ValueInfoProto, helper

from zebra.errors import ModelError
from zebra.frontend.model import Dims, Format, ModelInfo, TensorInfo
from zebra.frontend.onnx_normal import check_operators, normalise, opset

_MAPPING = "onnx.mapping"
_mapping_lock = threading.RLock()


def parse(data: bytes, origin: str, directory: Path | None) -> ModelProto:
    """The parsed model, with its external weights (from ``directory``); ModelError if damaged."""
    try:
        model = ModelProto.FromString(data)
    except DecodeError:
        raise ModelError(
            f"{origin} starts like an ONNX model but cannot be read to its end: it is truncated "
            "or damaged; copy or download it again"
        ) from None
    if not model.graph.node:
        raise ModelError(
            f"{origin} is an ONNX file without any operator: it is truncated or empty; "
            "copy or export it again"
        )
    if directory is not None:
        from onnx.external_data_helper import load_external_data_for_model

        try:
            load_external_data_for_model(model, str(directory))
        except (OSError, ValueError, onnx.checker.ValidationError) as error:
            raise ModelError(
                f"{origin} keeps its weights in other files, which cannot be read ({error}); "
                "put them beside the model"
            ) from error
    return model


def describe(model: ModelProto, origin: str) -> ModelInfo:
    """Inputs (without the weights) and outputs as the file declares them."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return ModelInfo(
        origin,
        Format.ONNX,
        tuple(_tensor(value) for value in model.graph.input if value.name not in weights),
        tuple(_tensor(value) for value in model.graph.output),
        f"{model.producer_name} {model.producer_version}".strip(),
    )


def convert(
    model: ModelProto, shapes: Mapping[str, tuple[int, ...]], origin: str
) -> tuple[Any, dict[str, Any]]:
    """Relay module and parameters; the weights are constants of the module."""
    from tvm.relay.frontend import onnx as tvm_onnx

    model = normalise(model, origin)
    readers = {*tvm_onnx._get_convert_map(opset(model)), *tvm_onnx._identity_list}
    check_operators(model, readers, origin)
    with _onnx_mapping():
        module, params = tvm_onnx.from_onnx(model, dict(shapes))
    return module, dict(params)


def _tensor(value: ValueInfoProto) -> TensorInfo:
    tensor = value.type.tensor_type
    dtype = "unknown"
    if tensor.elem_type:
        dtype = str(helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    dims: Dims | None = None
    if tensor.HasField("shape"):
        dims = tuple(
            dim.dim_value if dim.dim_value > 0 else dim.dim_param or "?" for dim in tensor.shape.dim
        )
    return TensorInfo(value.name, dims, dtype)


@contextmanager
def _onnx_mapping() -> Iterator[None]:
    """``onnx.mapping``, which TVM 0.19 imports and onnx 1.18 dropped, while TVM converts."""
    with _mapping_lock:
        if _MAPPING in sys.modules or hasattr(onnx, "mapping"):
            yield
            return
        module = types.ModuleType(_MAPPING)
        vars(module)["TENSOR_TYPE_TO_NP_TYPE"] = {
            number: helper.tensor_dtype_to_np_dtype(number)
            for number in onnx.TensorProto.DataType.values()
            if number != onnx.TensorProto.UNDEFINED
        }
        sys.modules[_MAPPING] = module
        try:
            yield
        finally:
            del sys.modules[_MAPPING]
