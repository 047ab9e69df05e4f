"""Recognise a model file by its content, never by its name."""

from __future__ import annotations

import re
from pathlib import Path

from zebra.errors import ModelError
from zebra.frontend.model import Format

READABLE = "Zebra reads ONNX, TFLite and Relay (text or JSON)"

_OTHERS: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "a JPEG picture, not a model: pass it with --input"),
    (b"\x89PNG", "a PNG picture, not a model: pass it with --input"),
    (b"GIF8", "a GIF picture, not a model: pass it with --input"),
    (b"\x93NUMPY", "a NumPy array, not a model: pass it with --input"),
    (b"\x89HDF", "an HDF5 file (Keras?): convert it to TFLite with tf.lite.TFLiteConverter"),
    (b"\x80\x02", "a pickle (PyTorch?): export the network with torch.onnx.export"),
    (b"PK\x03\x04", "a zip archive (PyTorch or Keras?): export the network to ONNX or TFLite"),
    (b"\x7fELF", "a shared library (already compiled?), not a model"),
    (b"ZEBRAART", "a compiled Zebra artifact, not a model"),
    (b"\x1f\x8b", "a gzip file: unpack it first"),
)
_ONNX_START = re.compile(rb"\x08[\x01-\x20][\x12\x1a\x22\x28\x32\x3a\x42\x72\xa2\xca]")
"""Protobuf field 1 (ir_version, a small number) and the tag of another ModelProto field."""


def read_model(path: Path) -> bytes:
    """The file's bytes; ModelError if there is none or nothing in it."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ModelError(f"{path}: there is no such file; check the path") from None
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from None
    if not data:
        raise ModelError(f"{path}: the file is empty; copy or download the model again")
    return data


def recognise(data: bytes, origin: str) -> Format:
    """The format of ``data``; ModelError says what the file is instead, where that is known."""
    if data[4:8] == b"TFL3":
        return Format.TFLITE
    for magic, meaning in _OTHERS:
        if data.startswith(magic):
            raise ModelError(f"{origin} is {meaning} ({READABLE})")
    start = data[:4096].lstrip()
    if start.startswith((b"#[version", b"def @main")):
        return Format.RELAY_TEXT
    if start.startswith(b"{") and b'"root"' in start:
        return Format.RELAY_JSON
    if _ONNX_START.match(data) or _parses_as_onnx(data):
        return Format.ONNX
    raise ModelError(f"{origin} is not a model of a known format; {READABLE}")


def _parses_as_onnx(data: bytes) -> bool:
    """Whether the protobuf reader finds a network: writers may order the fields as they like."""
    from google.protobuf.message import DecodeError
    from onnx import ModelProto

    try:
        model = ModelProto.FromString(data)
    except DecodeError:
        return False
    return model.ir_version > 0 and len(model.graph.node) > 0
