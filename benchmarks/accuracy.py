"""What quantization costs: Zebra and others against the float network, on the same pictures.

    python benchmarks/accuracy.py --data DIR [--pictures 100] [--calibration 100]
        [--networks NAME ...] [--methods NAME ...]

One JSON line per network and method: network, method, pictures, top1_float,
top1_int8, agreement (share of pictures with float's top-1), sqnr_db (power of
float's outputs over that of their differences) and seconds to quantize. Calibration
pictures are never evaluation pictures. Zebra's int8 networks run on fsim, which is
exact; "zebra_without_X" leaves technique X out, "zebra_plain" all of them;
"zebra_data_free" is shown no picture.
DIR is described in the README beside it; --pictures 0 takes all there are.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from accuracy_peers import ONNXRUNTIME, onnxruntime_static, relay_quantize
from common import build, normalized, photographs
from quantized_models import litert, onnx_runtime

import zebra
from zebra.relay.quantizer import PLAIN, Techniques

Run = Callable[[np.ndarray], np.ndarray]
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.498,) * 3, (0.502,) * 3)
SWITCHES = [field.name for field in fields(Techniques) if field.type == "bool"]
ABLATION = [f"zebra_without_{name}" for name in SWITCHES]
METHODS = ["zebra", "zebra_data_free", "zebra_plain", *ONNXRUNTIME, "relay_quantize"]


@dataclass(frozen=True)
class Case:
    """A float network and how its pictures are given to it."""

    file: str
    pictures: str
    mean: tuple[float, ...] = (0.0,) * 3
    std: tuple[float, ...] = (1.0,) * 3


CASES = {
    "mobilenet_v2": Case("mobilenet_v2.onnx", "imagenet", *IMAGENET),
    "efficientnet_lite0": Case("efficientnet_lite0.sim.onnx", "imagenet", *HALF),
    "resnet20": Case("cifar_resnet20.sim.onnx", "cifar", *IMAGENET),
    "resnet8": Case("mlperf_tiny_resnet8_float.tflite", "cifar"),
}


@dataclass(frozen=True)
class Pictures:
    """Inputs by index, made when asked for, and their labels."""

    get: Callable[[int], np.ndarray]
    labels: np.ndarray


def pictures_of(case: Case, data: Path) -> Pictures:
    """The pictures of a case as its network takes them."""
    if case.pictures == "imagenet":
        paths = photographs(data / "imagenet1000_s256")
        return Pictures(lambda i: normalized(paths[i], case.mean, case.std), np.arange(len(paths)))
    stored = np.load(data / "cifar10_test.npz")
    pixels, labels = stored["x"], stored["y"].reshape(-1)
    if case.file.endswith(".tflite"):
        return Pictures(lambda i: pixels[i : i + 1].astype(np.float32), labels)

    def standard(index: int) -> np.ndarray:
        real = (pixels[index] / np.float32(255) - np.float32(case.mean)) / np.float32(case.std)
        return np.ascontiguousarray(real.transpose(2, 0, 1)[None], np.float32)

    return Pictures(standard, labels)


def split(total: int, evaluated: int, calibration: int) -> tuple[list[int], list[int]]:
    """Evenly spread indices for calibration, and evenly spread others for evaluation."""
    first = np.linspace(0, total - 1, calibration).astype(int).tolist()
    rest = sorted(set(range(total)) - set(first))
    count = min(evaluated, len(rest)) if evaluated else len(rest)
    return first, [rest[i] for i in np.linspace(0, len(rest) - 1, count).astype(int)]


def techniques_of(method: str) -> Techniques:
    """What a method of ours switches on."""
    if method == "zebra_plain":
        return PLAIN
    off = method.removeprefix("zebra_without_")
    return replace(Techniques(), **{off: False}) if off != method else Techniques()


def quantized(method: str, path: Path, calibration: list[np.ndarray]) -> Run:
    """The int8 network as a function of one picture."""
    if method in ONNXRUNTIME:
        return onnxruntime_static(path, calibration, ONNXRUNTIME[method])
    mod, params = zebra.load(path)
    (variable,) = (p for p in mod["main"].params if p.name_hint not in params)
    if method == "relay_quantize":
        run = relay_quantize(mod, params, calibration)
    else:
        free = method == "zebra_data_free"
        how = None if free else techniques_of(method)
        given = None if free else calibration
        run = build(zebra.quantize(mod, params, given, techniques=how), "zebra")
    return lambda x: run({variable.name_hint: x})[0]


def float_network(path: Path) -> Run:
    """The network in its own framework."""
    return litert(path) if path.suffix == ".tflite" else onnx_runtime(path, reference=True)


def measure(
    name: str, methods: list[str], data: Path, pictures: int, calibration: int
) -> Iterator[dict[str, Any]]:
    """One record per method."""
    case = CASES[name]
    path = data / "models" / case.file
    source = pictures_of(case, data)
    first, chosen = split(len(source.labels), pictures, calibration)
    batches = [source.get(i) for i in first]
    labels = source.labels[chosen]
    run = float_network(path)
    wanted = np.concatenate([run(source.get(i)).copy() for i in chosen])
    for method in methods:
        if method in ONNXRUNTIME and path.suffix != ".onnx":
            continue
        start = time.perf_counter()
        run = quantized(method, path, batches)
        seconds = time.perf_counter() - start
        found = np.concatenate([run(source.get(i)) for i in chosen])
        yield {
            "network": name,
            "method": method,
            "pictures": len(chosen),
            **compared(wanted, found, labels),
            "quantize_s": round(seconds, 1),
        }


def compared(wanted: np.ndarray, found: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Scores of float's outputs and int8's, [pictures, classes]."""
    tops = wanted.argmax(axis=1), found.argmax(axis=1)
    noise = float(np.square(found - wanted, dtype=np.float64).sum())
    power = float(np.square(wanted, dtype=np.float64).sum())
    return {
        "top1_float": round(float((tops[0] == labels).mean()), 5),
        "top1_int8": round(float((tops[1] == labels).mean()), 5),
        "agreement": round(float((tops[0] == tops[1]).mean()), 5),
        "sqnr_db": round(float(10 * np.log10(power / noise)), 2) if noise else float("inf"),
    }


def main() -> None:
    """One JSON line per network and method."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--calibration", type=int, default=100)
    parser.add_argument("--networks", nargs="*", default=list(CASES), choices=list(CASES))
    parser.add_argument("--methods", nargs="*", default=METHODS, choices=[*METHODS, *ABLATION])
    options = parser.parse_args()
    for name in options.networks:
        for record in measure(
            name, options.methods, options.data, options.pictures, options.calibration
        ):
            print(json.dumps(record), flush=True)


if __name__ == "__main__":
    main()
