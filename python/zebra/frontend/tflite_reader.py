"""TFLite -> Relay through TVM's own converter."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from zebra.errors import ModelError
from zebra.frontend.model import Format, ModelInfo, TensorInfo

_DAMAGE = (struct.error, IndexError, ValueError, TypeError, AttributeError, UnicodeDecodeError)
"""What the flatbuffers reader raises where offsets point outside the file."""


def parse(data: bytes, origin: str) -> Any:
    """The model table with every buffer inside the file; ModelError if damaged."""
    import tflite

    try:
        model = tflite.Model.GetRootAsModel(data, 0)
        graphs = model.SubgraphsLength()
        for index in range(model.BuffersLength()):
            model.Buffers(index).DataAsNumpy()
        operators = model.Subgraphs(0).OperatorsLength() if graphs else 0
    except _DAMAGE:
        raise ModelError(
            f"{origin} starts like a TFLite model but points outside itself: it is truncated or "
            "damaged; copy or download it again"
        ) from None
    if not operators:
        raise ModelError(f"{origin} is a TFLite file without any operator; export it again")
    if graphs > 1:
        raise ModelError(
            f"{origin} has {graphs} subgraphs (control flow); TVM 0.19 reads one: "
            "export the inference graph alone"
        )
    return model


def describe(model: Any, origin: str) -> ModelInfo:
    """Inputs and outputs with their quantization, as the file declares them."""
    graph = model.Subgraphs(0)
    try:
        inputs = tuple(_tensor(graph.Tensors(index)) for index in graph.InputsAsNumpy())
        outputs = tuple(_tensor(graph.Tensors(index)) for index in graph.OutputsAsNumpy())
    except _DAMAGE as error:
        raise ModelError(
            f"{origin}: its inputs or outputs cannot be read ({error}); the file is damaged"
        ) from error
    return ModelInfo(origin, Format.TFLITE, inputs, outputs)


def convert(
    model: Any, shapes: Mapping[str, tuple[int, ...]], origin: str
) -> tuple[Any, dict[str, Any]]:
    """Relay module and parameters; integer averages round as TFLite's do."""
    from tvm.relay.frontend import from_tflite

    from zebra.frontend.tflite_averages import round_averages

    module, params = from_tflite(model, shape_dict=dict(shapes))
    return round_averages(module), dict(params)


def _tensor(tensor: Any) -> TensorInfo:
    quantization = tensor.Quantization()
    scale, zero_point = None, 0
    if quantization is not None and quantization.ScaleLength() == 1:
        scale = float(quantization.Scale(0))
        zero_point = int(quantization.ZeroPoint(0)) if quantization.ZeroPointLength() else 0
    shape = tensor.ShapeAsNumpy()
    dims = tuple(int(size) for size in shape) if isinstance(shape, np.ndarray) else ()
    return TensorInfo(tensor.Name().decode(), dims, _dtype(tensor.Type()), scale, zero_point)


def _dtype(number: int) -> str:
    import tflite

    names = {value: name for name, value in vars(tflite.TensorType).items() if name.isupper()}
    return str(names.get(number, f"type {number}")).lower()
