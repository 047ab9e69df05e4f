"""Networks for the benchmarks that time: quantized once, built and profiled per configuration."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import tvm
from exactness import NETWORKS, lively
from tvm import relay

import zebra
from zebra.frontend import describe

CONFIGS = ("zebra", "kv260")
TESTING = ("resnet-50", "resnet-18", "vgg-16", "inception-v3", "densenet-121", "mobilenet")
"""relay.testing networks at their native sizes."""
FILES = {
    "mobilenet_v2": ("mobilenet_v2.onnx", 224),
    "retinaface-640": ("retinaface.sim.onnx", 640),
    "ppocr-det-640": ("ch_PP-OCRv4_det_infer.onnx", 640),
}
"""File in DIR/models and side of its square picture."""


def names_of(data: Path | None) -> list[str]:
    """Every network there is, those of FILES only where their file is in ``data``."""
    found = [name for name in FILES if data and (data / "models" / FILES[name][0]).is_file()]
    return [*TESTING, *found]


def profiles(
    name: str, configs: Sequence[str], data: Path | None, host: bool = False
) -> Iterator[tuple[str, Any]]:
    """(configuration, zebra.profile's answer) for each of ``configs``."""
    quantized = _said(f"{name}: quantize", lambda: _quantized(name, data))
    for config in configs:
        target = config if config == "zebra" else f"zebra/{config}"

        def build(target: str = target) -> Any:
            with tvm.transform.PassContext(opt_level=3):
                return relay.build(quantized, target=target)

        library = _said(f"{name}: build for {config}", build)
        yield config, zebra.profile(library, host)


def _quantized(name: str, data: Path | None) -> tvm.IRModule:
    mod, params = _network(name, data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return zebra.quantize(mod, params)


def _network(name: str, data: Path | None) -> tuple[tvm.IRModule, Any]:
    if name in TESTING:
        mod, params = NETWORKS[name]()
        return mod, lively(params)
    if name not in FILES or data is None:
        known = ", ".join((*TESTING, *FILES))
        raise SystemExit(f"{name}: choose from {known}; the last {len(FILES)} need --data DIR")
    file, side = FILES[name]
    path = data / "models" / file
    (tensor,) = describe(path).inputs
    return zebra.load(path, {tensor.name: (1, 3, side, side)})


def _said(what: str, step: Callable[[], Any]) -> Any:
    """The step's result; what it was and how long it took goes to stderr."""
    start = time.perf_counter()
    result = step()
    print(f"{what}: {time.perf_counter() - start:.1f} s", file=sys.stderr, flush=True)
    return result
