"""How long a network takes to compile: one JSON line per network, CPU and wall seconds.

`quantize`: from a float module, calibration on --images random images included.
`build`: relay.build of the quantized module. `compile_graph`, measured once more
by itself, is split: `plan` (schedule), `emit` (tile, pack constants, issue and
encode instructions), `encode` (put tokens in, join) and `verify`. It finds the
tilings that the build chose remembered.

    python benchmarks/compile_time.py --networks resnet-50 --config zebra
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import tvm
from common import build
from exactness import NETWORKS, lively, random_inputs
from tvm import relay

import zebra
from zebra.codegen import generate
from zebra.codegen.emitter import Emitter
from zebra.graph.nodes import Graph
from zebra.hw import HwConfig, find_config
from zebra.relay import legalize, lower, partition
from zebra.runtime.verify import find_verifier

Seconds = dict[str, float]


@contextmanager
def clock(step: str, into: dict[str, Seconds]) -> Iterator[None]:
    """Add the seconds spent inside to ``into[step]``."""
    total = into.setdefault(step, {"cpu_s": 0.0, "wall_s": 0.0})
    cpu, wall = time.process_time(), time.perf_counter()
    try:
        yield
    finally:
        total["cpu_s"] += time.process_time() - cpu
        total["wall_s"] += time.perf_counter() - wall


def clocked(step: str, into: dict[str, Seconds], function: Callable[..., Any]) -> Any:
    """``function``, its time added to ``into[step]``."""

    def run(*args: Any, **settings: Any) -> Any:
        with clock(step, into):
            return function(*args, **settings)

    return run


def graphs_of(quantized: tvm.IRModule, config: HwConfig) -> list[Graph]:
    """The Graph of each region."""
    functions = partition(legalize(quantized), config).functions.values()
    regions = [f for f in functions if f.attrs and f.attrs.get("Compiler") == "zebra"]
    return [lower(region, config) for region in regions]


def split(graph: Graph, config: HwConfig, into: dict[str, Seconds]) -> int:
    """Compile ``graph``, each step's time added to ``into``; the number of instructions."""
    encode = clocked("encode", into, Emitter.code)
    check = clocked("verify", into, find_verifier())
    with clock("compile_graph", into), patch.object(Emitter, "code", encode):
        with clock("plan", into):
            schedule = generate.plan(graph, config)
        compiled = generate.generate(schedule, config, generate.best_gemm_tiling, check)
    return sum(layer.last - layer.first for layer in compiled.layers)


def measure(name: str, config: HwConfig, images: int) -> dict[str, object]:
    """The record of one network."""
    target = "zebra" if config.name == "zebra" else f"zebra/{config.name}"
    mod, params = NETWORKS[name]()
    params = lively(params)
    bound = mod.clone()
    bound["main"] = relay.build_module.bind_params_by_name(bound["main"], params)
    batches = [random_inputs(bound, seed) for seed in range(images)]
    seconds: dict[str, Seconds] = {}
    with warnings.catch_warnings(), clock("quantize", seconds):
        warnings.simplefilter("ignore")
        quantized = zebra.quantize(mod, params, calibration=batches, target=target)
    with clock("build", seconds):
        build(quantized, target)
    instructions = sum(split(graph, config, seconds) for graph in graphs_of(quantized, config))
    parts = ("plan", "encode", "verify")
    seconds["emit"] = {
        unit: seconds["compile_graph"][unit] - sum(seconds[part][unit] for part in parts)
        for unit in ("cpu_s", "wall_s")
    }
    rounded = {
        step: {unit: round(value, 2) for unit, value in both.items()}
        for step, both in seconds.items()
    }
    return {"network": name, "config": config.name, "instructions": instructions, **rounded}


def main() -> None:
    """Print one JSON line per network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="*", default=["resnet-50"], choices=list(NETWORKS))
    parser.add_argument("--config", default="zebra", help="configuration's name")
    parser.add_argument("--images", type=int, default=8, help="calibration images")
    options = parser.parse_args()
    config = find_config(options.config)
    for name in options.networks:
        print(json.dumps(measure(name, config, options.images)), flush=True)


if __name__ == "__main__":
    main()
