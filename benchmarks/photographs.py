"""Real ImageNet networks on real photographs: exact to the oracle, and how close to float.

    python benchmarks/photographs.py --data DIR [--pictures 100] [--calibration 32]

DIR holds imagenet1000_s256/*.jpg (one per class, sorted = class index) and
models/*.onnx. One JSON line per network: pictures, equal (how many were equal to
the oracle in every element), agreement of int8 and float top-1, and both top-1
scores. Calibration pictures are never evaluation pictures.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from common import build, build_float, build_oracle, equal, normalized, photographs

import zebra

NETWORKS = {
    "mobilenet_v2": ("mobilenet_v2.onnx", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "efficientnet_lite0": ("efficientnet_lite0.sim.onnx", (0.498,) * 3, (0.502,) * 3),
}


def split(paths: list[Path], pictures: int, calibration: int) -> tuple[list[int], list[int]]:
    """Evenly spread class indices for evaluation, and others for calibration."""
    chosen = np.linspace(0, len(paths) - 1, pictures).astype(int).tolist()
    rest = [index for index in range(len(paths)) if index not in set(chosen)]
    spread = np.linspace(0, len(rest) - 1, calibration).astype(int)
    return chosen, [rest[index] for index in spread]


def measure(name: str, data: Path, pictures: int, calibration: int) -> dict[str, object]:
    """Quantize with the calibration pictures and compare on the others."""
    file, mean, std = NETWORKS[name]
    paths = photographs(data / "imagenet1000_s256")
    chosen, rest = split(paths, pictures, calibration)
    mod, params = zebra.load(data / "models" / file)
    batches = [normalized(paths[index], mean, std) for index in rest]
    start = time.perf_counter()
    quantized = zebra.quantize(mod, params, calibration=batches)
    quantize_s = time.perf_counter() - start
    runners = build(quantized, "zebra"), build_oracle(quantized), build_float(mod, params)
    (variable,) = mod["main"].params
    exact = agree = right = right_float = 0
    for index in chosen:
        inputs = {variable.name_hint: normalized(paths[index], mean, std)}
        mine, oracle, reference = (runner(inputs) for runner in runners)
        exact += equal(mine, oracle)
        tops = int(mine[0].argmax()), int(reference[0].argmax())
        agree += tops[0] == tops[1]
        right += tops[0] == index
        right_float += tops[1] == index
    report = zebra.inspect(quantized, target="zebra")
    return {
        "network": name,
        "pictures": len(chosen),
        "calibration": len(batches),
        "equal": exact,
        "agreement": agree / len(chosen),
        "top1_int8": right / len(chosen),
        "top1_float": right_float / len(chosen),
        "regions": report.regions,
        "mac_share": report.mac_share,
        "quantize_s": round(quantize_s, 1),
    }


def main() -> None:
    """One JSON line per network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--calibration", type=int, default=32)
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS), choices=list(NETWORKS))
    options = parser.parse_args()
    wrong = 0
    for name in options.networks:
        record = measure(name, options.data, options.pictures, options.calibration)
        print(json.dumps(record), flush=True)
        wrong += record["equal"] != record["pictures"]
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
