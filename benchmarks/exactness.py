"""Whole networks, bit for bit: Zebra on fsim beside TVM's llvm execution of the same module.

One JSON line per network and configuration: equal (every element), regions,
mac_share, the operators that stay on the host, and seconds for each step.

    python benchmarks/exactness.py                      # all networks, all configurations
    python benchmarks/exactness.py --networks resnet-18 mobilenet --configs zebra kv260
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tvm
from common import build, build_oracle, equal
from tvm import relay
from tvm.relay import testing

import zebra

NETWORKS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "resnet-18": lambda: testing.resnet.get_workload(num_layers=18),
    "resnet-50": lambda: testing.resnet.get_workload(num_layers=50),
    "mobilenet": lambda: testing.mobilenet.get_workload(),
    "squeezenet-1.1": lambda: testing.squeezenet.get_workload(version="1.1"),
    "inception-v3": lambda: testing.inception_v3.get_workload(),
    "densenet-121": lambda: testing.densenet.get_workload(densenet_size=121, batch_size=1),
    "vgg-16": lambda: testing.vgg.get_workload(batch_size=1, num_layers=16),
    "dcgan": lambda: testing.dcgan.get_workload(batch_size=1),
}
"""relay.testing networks at their native sizes, batch 1."""

PRESETS = ("zebra", "pynq", "ultra96", "zcu104", "kv260", "u250")
ODD = Path(__file__).parent / "configs"


def configurations() -> list[str]:
    """Target names: the presets, and the odd configurations beside this file."""
    odd = [zebra.register_config(path) for path in sorted(ODD.glob("*.json"))]
    return [*("zebra" if name == "zebra" else f"zebra/{name}" for name in PRESETS), *odd]


def random_inputs(mod: tvm.IRModule, seed: int) -> dict[str, np.ndarray]:
    """One standard-normal array for each float input."""
    rng = np.random.default_rng(seed)
    parameters = relay.transform.InferType()(mod)["main"].params
    return {
        p.name_hint: rng.standard_normal([int(d) for d in p.checked_type.shape]).astype("float32")
        for p in parameters
    }


def lively(params: Any, seed: int = 0) -> Any:
    """Random weights that keep the signal alive through any depth.

    relay.testing's own shrink it until every answer is the same number, which
    would make a comparison empty. Weights have variance 2 / fan-in (He, 2015).
    """
    rng = np.random.default_rng(seed)
    fresh = {}
    for name, value in sorted(params.items()):
        shape = value.shape
        if len(shape) > 1:
            data = rng.standard_normal(shape) * (2 / np.prod(shape[1:])) ** 0.5
        elif "gamma" in name or "var" in name:
            data = rng.uniform(0.8, 1.2, shape)
        else:
            data = 0.1 * rng.standard_normal(shape)
        fresh[name] = tvm.nd.array(data.astype(value.dtype))
    return fresh


def with_logits(mod: tvm.IRModule) -> tvm.IRModule:
    """Also return what the closing softmax reads: softmax may saturate and hide differences."""
    main = relay.transform.InferType()(mod)["main"]
    if getattr(main.body.op, "name", "") != "nn.softmax":
        return mod
    body = relay.Tuple([main.body, main.body.args[0]])
    return relay.transform.InferType()(tvm.IRModule.from_expr(relay.Function(main.params, body)))


def measure(name: str, targets: list[str]) -> Iterator[dict[str, object]]:
    """One record per target; the oracle runs once."""
    mod, params = NETWORKS[name]()
    mod, params = with_logits(mod), lively(params)
    bound = mod.clone()
    bound["main"] = relay.build_module.bind_params_by_name(bound["main"], params)
    inputs, batch = random_inputs(bound, 1), random_inputs(bound, 2)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantized = zebra.quantize(mod, params, calibration=[batch])
    quantize_s = time.perf_counter() - start
    start = time.perf_counter()
    reference = build_oracle(quantized)(inputs)
    oracle_s = time.perf_counter() - start
    for target in targets:
        start = time.perf_counter()
        runner = build(quantized, target)
        build_s = time.perf_counter() - start
        start = time.perf_counter()
        outputs = runner(inputs)
        run_s = time.perf_counter() - start
        report = zebra.inspect(quantized, target=target)
        yield {
            "network": name,
            "config": target,
            "equal": equal(outputs, reference),
            "distinct_values": len(np.unique(reference[-1])),
            "regions": report.regions,
            "mac_share": report.mac_share,
            "host": [f"{op.name} x{op.count}: {op.rule}" for op in report.host],
            "quantize_s": round(quantize_s, 2),
            "oracle_s": round(oracle_s, 2),
            "build_s": round(build_s, 2),
            "run_s": round(run_s, 2),
        }


def main() -> None:
    """Print one JSON line per case; exit code 1 if any differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--configs", nargs="*", help="target names; default: all")
    options = parser.parse_args()
    targets = options.configs or configurations()
    if options.configs:
        configurations()
    wrong = 0
    for name in options.networks:
        for record in measure(name, targets):
            print(json.dumps(record), flush=True)
            wrong += not record["equal"]
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
