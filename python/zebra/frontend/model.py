"""What is known about a model file before it is converted: its format, inputs and outputs."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from zebra.errors import ModelError

Dims = tuple[int | str, ...]
"""A declared shape: sizes, or the names of those the file leaves open ("?" without a name)."""


class Format(enum.Enum):
    """The model formats Zebra reads."""

    ONNX = "ONNX"
    TFLITE = "TFLite"
    RELAY_TEXT = "Relay text"
    RELAY_JSON = "Relay JSON"


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """An input or output as the file declares it.

    ``dims`` is None where the file gives no shape at all. ``scale`` and
    ``zero_point`` are set for quantized tensors: real = scale * (stored - zero_point).
    """

    name: str
    dims: Dims | None
    dtype: str
    scale: float | None = None
    zero_point: int = 0

    @property
    def dynamic(self) -> bool:
        """Whether a size is left open."""
        return self.dims is None or any(isinstance(dim, str) for dim in self.dims)

    def describe(self) -> str:
        """For people: ``input float32 [batch, 3, 224, 224]``."""
        dims = "of any shape" if self.dims is None else f"[{', '.join(map(str, self.dims))}]"
        return f"{self.name} {self.dtype} {dims}"


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model file's format, its inputs and outputs in order, and who wrote it."""

    origin: str
    format: Format
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    producer: str = ""

    def input(self, name: str) -> TensorInfo:
        """The input called ``name``; ModelError lists the inputs there are."""
        for tensor in self.inputs:
            if tensor.name == name:
                return tensor
        names = ", ".join(tensor.name for tensor in self.inputs)
        raise ModelError(f"{self.origin} has no input named {name}; its inputs are: {names}")
