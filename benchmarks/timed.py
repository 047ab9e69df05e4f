"""Networks for the benchmarks that time: quantized once, built and profiled per configuration."""

from __future__ import annotations

import json
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import tvm
from exactness import NETWORKS, lively
from tvm import relay

import zebra
from zebra.frontend import describe
from zebra.hw import find_config

CONFIGS = ("zebra", "kv260")
TESTING = ("resnet-50", "resnet-18", "vgg-16", "inception-v3", "densenet-121", "mobilenet")
"""relay.testing networks at their native sizes."""
FIRST_FIVE = "vgg-16-first-five"
"""The five convolutions of VGG-16 with which fused-layer accelerators are compared."""
WIDE_ACT = "zebra-act512"
"""Configuration zebra with 512 KiB of ACT."""
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
    if WIDE_ACT in configs:
        _register_wide_act()
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
    if name == FIRST_FIVE:
        mod = _first_five()
        types = {p.name_hint: p.checked_type for p in mod["main"].params if p.name_hint != "data"}
        return mod, lively({n: tvm.nd.empty([int(d) for d in t.shape]) for n, t in types.items()})
    if name not in FILES or data is None:
        known = ", ".join((*TESTING, FIRST_FIVE, *FILES))
        raise SystemExit(f"{name}: choose from {known}; the last {len(FILES)} need --data DIR")
    file, side = FILES[name]
    path = data / "models" / file
    (tensor,) = describe(path).inputs
    return zebra.load(path, {tensor.name: (1, 3, side, side)})


def _first_five() -> tvm.IRModule:
    """VGG-16 up to its fifth convolution, 224x224."""
    y: Any = relay.var("data", shape=(1, 3, 224, 224))
    channels = (3, 64, 64, 128, 128, 256)
    for number, (before, after) in enumerate(pairwise(channels), 1):
        weight = relay.var(f"weight{number}", shape=(after, before, 3, 3))
        bias = relay.var(f"bias{number}", shape=(after,))
        y = relay.nn.relu(relay.nn.bias_add(relay.nn.conv2d(y, weight, padding=(1, 1)), bias))
        if number in (2, 4):
            y = relay.nn.max_pool2d(y, (2, 2), (2, 2))
    mod = tvm.IRModule.from_expr(relay.Function(relay.analysis.free_vars(y), y))
    return relay.transform.InferType()(mod)


def _register_wide_act() -> None:
    values = find_config("zebra").to_mapping() | {"LOG_ACT_BUFF_SIZE": 19}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{WIDE_ACT}.json"
        path.write_text(json.dumps(values))
        zebra.register_config(path)


def _said(what: str, step: Callable[[], Any]) -> Any:
    """The step's result; what it was and how long it took goes to stderr."""
    start = time.perf_counter()
    result = step()
    print(f"{what}: {time.perf_counter() - start:.1f} s", file=sys.stderr, flush=True)
    return result
