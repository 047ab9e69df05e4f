"""What the benchmarks share: running libraries, reading photographs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

os.environ.setdefault("TOPHUB_LOCATION", "NONE")  # the oracle needs no tuning logs

import tvm
from tvm import relay
from tvm.contrib import graph_executor
from tvm.relay.backend import te_compiler

import zebra

te_compiler.libinfo = cache(te_compiler.libinfo)  # asked once per operator, half of a build

Arrays = dict[str, np.ndarray]


class Runner:
    """A built library on the CPU, called again and again."""

    def __init__(self, library: Any) -> None:
        self.executor = graph_executor.GraphModule(library["default"](tvm.cpu()))

    def __call__(self, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """All outputs for one set of inputs."""
        for name, value in inputs.items():
            self.executor.set_input(name, value)
        self.executor.run()
        count = self.executor.get_num_outputs()
        return [self.executor.get_output(i).numpy() for i in range(count)]


def build(mod: tvm.IRModule, target: str, params: Any = None) -> Runner:
    """Build at opt_level 3 for a target and open it."""
    with tvm.transform.PassContext(opt_level=3):
        return Runner(relay.build(mod, target=target, params=params))


def build_oracle(quantized: tvm.IRModule) -> Runner:
    """Promise P1's reference: plain llvm, requantize UPWARD in int64.

    At opt_level 2: folding every constant and choosing other layouts changes how
    integers are summed, not what comes out, and takes most of a large build.
    """
    with zebra.exact_reference(), tvm.transform.PassContext(opt_level=2):
        return Runner(relay.build(quantized, target="llvm"))


def build_float(mod: tvm.IRModule, params: Any) -> Runner:
    """The float module for this CPU: the reference for accuracy only."""
    return build(mod, f"llvm -mcpu={tvm.target.codegen.llvm_get_system_cpu()}", params)


def equal(mine: Sequence[np.ndarray], theirs: Sequence[np.ndarray]) -> bool:
    """Every element of every output."""
    return all(np.array_equal(a, b) for a, b in zip(mine, theirs, strict=True))


def photographs(folder: Path) -> list[Path]:
    """The JPEG files of a folder in sorted order."""
    return sorted(folder.glob("*.jpg"))


def crop(path: Path, size: int, short: int) -> np.ndarray:
    """uint8 [size, size, 3]: short side to ``short`` (bilinear), centre crop."""
    image = Image.open(path).convert("RGB")
    scale = short / min(image.size)
    shape = [max(size, round(side * scale)) for side in image.size]
    image = image.resize(shape, Image.Resampling.BILINEAR)
    left, top = ((side - size) // 2 for side in image.size)
    return np.asarray(image.crop((left, top, left + size, top + size)))


def normalized(path: Path, mean: Sequence[float], std: Sequence[float]) -> np.ndarray:
    """float32 [1, 3, 224, 224] as ImageNet networks take it."""
    pixels = crop(path, 224, 256).astype(np.float32) / 255
    standard = (pixels - np.float32(mean)) / np.float32(std)
    return np.ascontiguousarray(standard.transpose(2, 0, 1)[None], dtype=np.float32)
