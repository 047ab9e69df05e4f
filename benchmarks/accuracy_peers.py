"""Other quantizers of float networks: onnxruntime's static one and relay.quantize."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from common import Arrays, build_oracle
from quantized_models import onnx_runtime
from tvm import relay

ONNXRUNTIME = {
    "onnxruntime_minmax": "MinMax",
    "onnxruntime_entropy": "Entropy",
    "onnxruntime_percentile": "Percentile",
}


def onnxruntime_static(
    path: Path, calibration: list[np.ndarray], ranges: str
) -> Callable[[np.ndarray], np.ndarray]:
    """Per channel, QDQ, int8 activations and weights, after onnxruntime's own preparation."""
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as folder:
        prepared, written = Path(folder) / "prepared.onnx", Path(folder) / "int8.onnx"
        quant_pre_process(str(path), str(prepared), skip_symbolic_shape=True)
        quantization.quantize_static(
            str(prepared),
            str(written),
            _reader(prepared, calibration),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            activation_type=quantization.QuantType.QInt8,
            weight_type=quantization.QuantType.QInt8,
            calibrate_method=getattr(quantization.CalibrationMethod, ranges),
            extra_options={"CalibMaxIntermediateOutputs": 4},
        )
        return onnx_runtime(written, reference=True)


def _reader(path: Path, calibration: list[np.ndarray]) -> Any:
    import onnx
    from onnxruntime.quantization import CalibrationDataReader

    name = onnx.load(path).graph.input[0].name

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.left = iter(calibration)

        def get_next(self) -> Arrays | None:
            picture = next(self.left, None)
            return None if picture is None else {name: picture}

    return Reader()


def relay_quantize(mod: Any, params: Any, calibration: list[np.ndarray]) -> Any:
    """relay.quantize with ranges by KL divergence and weights to powers of two."""
    np.math = math  # TVM 0.19 looks for what NumPy 2 no longer has
    (variable,) = (p for p in mod["main"].params if p.name_hint not in params)
    batches = [{variable.name_hint: picture} for picture in calibration]
    with relay.quantize.qconfig(calibrate_mode="kl_divergence", weight_scale="power2"):
        quantized = relay.quantize.quantize(mod, params, dataset=batches)
    return build_oracle(quantized)
