"""How fast fsim is: GMAC/s of convolutions, and a whole ResNet-18 beside ONNX Runtime.

python benchmarks/fsim.py [--kernel NAME] [--threads N] [--case NAME]: one JSON line per case.

layers: each of ResNet-18's convolutions on fsim, in a plain C loop nest and in the NumPy
semantics; the C loops must give the semantics' sums (that fsim does is what tests/runtime holds).
resnet50: all convolutions of ResNet-50 together. portable: the same without vector instructions
of the CPU. In these, a layer is one GEMM over the whole image, on an accelerator with BLOCK 16
whose memories hold it; its time is that of a program with many such GEMMs less that of a program
with one, the best of several runs. resnet18: the network that benchmarks/resnet18.py makes and
ONNX Runtime quantizes, built by TVM for Zebra (host part included) and in ONNX Runtime, run in
turns, each after a pause in which the other's threads stop spinning; the best of each and their
ratio.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zebra.hw import HwConfig, find_config
from zebra.isa.codec import complete, encode_program
from zebra.isa.insns import DmaLevel, Engine, Gemm, GemmLevel, Insn, Load, Memory
from zebra.isa.operations import Machine, run
from zebra.isa.program import Program
from zebra.runtime.fsim import run_program

REPEATS = 5
NETWORK_RUNS = 60
PAUSE = 0.05  # seconds


@dataclass(frozen=True)
class Conv:
    """A convolution of ``ins`` x [size * stride + k - stride]^2 to ``outs`` x size^2."""

    ins: int
    outs: int
    size: int
    k: int
    stride: int

    @property
    def side(self) -> int:
        """Height and width of the (padded) input."""
        return (self.size - 1) * self.stride + self.k

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the channels that exist."""
        return self.ins * self.outs * self.size**2 * self.k**2


LAYERS = {
    "stage1_3x3": Conv(64, 64, 56, 3, 1),
    "stage2_down": Conv(64, 128, 28, 3, 2),
    "stage2_skip": Conv(64, 128, 28, 1, 2),
    "stage2_3x3": Conv(128, 128, 28, 3, 1),
    "stage3_down": Conv(128, 256, 14, 3, 2),
    "stage3_skip": Conv(128, 256, 14, 1, 2),
    "stage3_3x3": Conv(256, 256, 14, 3, 1),
    "stage4_down": Conv(256, 512, 7, 3, 2),
    "stage4_skip": Conv(256, 512, 7, 1, 2),
    "stage4_3x3": Conv(512, 512, 7, 3, 1),
}


def resnet50() -> Counter[Conv]:
    """The convolutions of ResNet-50 (stride in the 3x3 ones), and how often each occurs."""
    layers = Counter([Conv(3, 64, 112, 7, 2)])
    ins = 64
    for stage, (width, blocks) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3))):
        size, outs = 56 >> stage, 4 * width
        stride = 1 if stage == 0 else 2
        layers[Conv(ins, outs, size, 1, stride)] += 1
        for block in range(blocks):
            first = stride if block == 0 else 1
            layers[Conv(ins, width, size * first, 1, 1)] += 1
            layers[Conv(width, width, size, 3, first)] += 1
            layers[Conv(width, outs, size, 1, 1)] += 1
            ins = outs
    return layers


def large_config() -> HwConfig:
    """The default accelerator with memories for a whole layer."""
    sizes = {"LOG_ACT_BUFF_SIZE": 20, "LOG_WGT_BUFF_SIZE": 22, "LOG_ACC_BUFF_SIZE": 22}
    return HwConfig.from_mapping("bench", {**find_config("zebra").to_mapping(), **sizes})


def nest(conv: Conv, block: int) -> tuple[GemmLevel, ...]:
    """The layer's loop levels; ACT is [in block][y][x], WGT [out block][in block][v][u]."""
    ins, outs, side, k = -(-conv.ins // block), conv.outs // block, conv.side, conv.k
    return (
        GemmLevel(conv.size, conv.stride, 0, 1),
        GemmLevel(conv.size, conv.stride * side, 0, conv.size),
        GemmLevel(k, 1, 1, 0),
        GemmLevel(k, side, k, 0),
        GemmLevel(ins, side**2, k * k, 0),
        GemmLevel(outs, 0, ins * k * k, conv.size**2),
    )


def program(conv: Conv, block: int, gemms: int) -> Program:
    """Load activations and weights, then the layer ``gemms`` times."""
    ins = -(-conv.ins // block)
    vectors = ins * conv.side**2
    tiles = ins * (conv.outs // block) * conv.k**2
    loops = nest(conv, block)
    insns: list[Insn] = [
        Load(lanes=block, loops=(DmaLevel(vectors, block, 1),)),
        Load(
            memory=Memory.WGT,
            dram=vectors * block,
            lanes=block,
            signal=1 << Engine.GEMM,
            loops=(DmaLevel(tiles, block * block, 1),),
        ),
        Gemm(wait=1 << Engine.LOAD, overwrite=True, loops=loops),
        *(gemms - 1) * [Gemm(overwrite=True, loops=loops)],
    ]
    size = vectors * block + tiles * block * block
    return Program(encode_program(insns), size, size)


def best(call: Callable[[], object]) -> float:
    """The shortest of REPEATS calls, in seconds."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def time_fsim(
    conv: Conv, config: HwConfig, dram: npt.NDArray[np.uint8], threads: int, kernel: str
) -> float:
    """Seconds of one GEMM on fsim."""
    many = 21 if kernel != "portable" else 3
    seconds = [
        best(lambda code=code: run_program(code, config, dram, threads, kernel))  # type: ignore[misc]
        for code in (program(conv, config.block, 1), program(conv, config.block, many))
    ]
    return (seconds[1] - seconds[0]) / (many - 1)


def build_naive(directory: str) -> Any:
    """naive_conv.c, compiled -O3 -march=native."""
    library = Path(directory) / "naive_conv.so"
    source = Path(__file__).with_name("naive_conv.c")
    command = ["cc", "-O3", "-march=native", "-shared", "-fPIC", str(source), "-o", str(library)]
    subprocess.run(command, check=True)
    return ctypes.CDLL(str(library)).naive_conv


def run_naive(
    function: Any, conv: Conv, x: npt.NDArray[np.int8], w: npt.NDArray[np.int8]
) -> npt.NDArray[np.int32]:
    """The sums [outs, size, size]."""
    y = np.empty((conv.outs, conv.size, conv.size), np.int32)
    pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in (x, w, y)]
    sides = (conv.side, conv.side, conv.k, conv.stride, conv.size, conv.size)
    function(*pointers, conv.ins, conv.outs, *sides)
    return y


def run_semantics(machine: Machine, conv: Conv) -> npt.NDArray[np.int32]:
    """The sums [outs, size, size] that the golden model leaves in ACC."""
    run("bench", complete(Gemm(overwrite=True, loops=nest(conv, machine.block))), machine)
    blocks = conv.outs // machine.block
    sums = machine.acc[: blocks * conv.size**2].reshape(blocks, conv.size, conv.size, -1)
    return sums.transpose(0, 3, 1, 2).reshape(conv.outs, conv.size, conv.size)


def measure(name: str, conv: Conv, config: HwConfig, naive: Any, options: Any) -> dict[str, Any]:
    """GMAC/s of the three on random data; a difference of their sums ends the program."""
    rng, block = np.random.default_rng(0), config.block
    x = rng.integers(-128, 128, (conv.ins, conv.side, conv.side), np.int8)
    w = rng.integers(-128, 128, (conv.outs, conv.ins, conv.k, conv.k), np.int8)
    acts = x.reshape(-1, block, conv.side, conv.side).transpose(0, 2, 3, 1).reshape(-1, block)
    shape = (conv.outs // block, block, conv.ins // block, block, conv.k, conv.k)
    tiles = w.reshape(shape).transpose(0, 2, 4, 5, 1, 3).reshape(-1, block, block)
    machine = Machine(config, np.zeros(0, np.uint8))
    machine.act[: len(acts)], machine.wgt[: len(tiles)] = acts, tiles
    start = time.perf_counter()
    golden = run_semantics(machine, conv)
    semantics = time.perf_counter() - start
    if not (golden == run_naive(naive, conv, x, w)).all():
        raise SystemExit(f"{name}: the golden model and the C loops differ")
    dram = np.concatenate([acts.reshape(-1), tiles.reshape(-1)]).view(np.uint8)
    seconds = {
        "fsim": time_fsim(conv, config, dram, options.threads, options.kernel),
        "c_loops": best(lambda: run_naive(naive, conv, x, w)),
        "semantics": semantics,
    }
    rates = {key: round(conv.macs / value / 1e9, 3) for key, value in seconds.items()}
    return {"benchmark": "fsim", "layer": name, **asdict(conv), "gmac_per_s": rates}


def measure_layers(options: Any) -> Iterator[dict[str, Any]]:
    """One record per layer of ResNet-18."""
    with tempfile.TemporaryDirectory() as directory:
        naive = build_naive(directory)
        for name, conv in LAYERS.items():
            result = measure(name, conv, large_config(), naive, options)
            yield {**result, "kernel": options.kernel, "threads": options.threads}


def measure_resnet50(kernel: str, threads: int) -> dict[str, Any]:
    """All convolutions of ResNet-50: their multiply-accumulates by the sum of their times."""
    config, rng = large_config(), np.random.default_rng(0)
    macs, seconds = 0, 0.0
    for conv, count in resnet50().items():
        dram = rng.integers(0, 256, program(conv, config.block, 1).dram_bytes, np.uint8)
        macs += count * conv.macs
        seconds += count * time_fsim(conv, config, dram, threads, kernel)
    return {
        "benchmark": "fsim",
        "network": "resnet-50 convolutions",
        "macs": macs,
        "gmac_per_s": round(macs / seconds / 1e9, 1),
        "kernel": kernel,
        "threads": threads,
    }


def measure_resnet18() -> dict[str, Any]:
    """Milliseconds per image of the whole network on both, which agree on the best class."""
    import resnet18

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "resnet18.onnx"
        resnet18.make_quantized(path)
        zebra, onnx_runtime = resnet18.on_zebra(path), resnet18.on_onnx_runtime(path, 2)
        x = resnet18.picture(0)
        if zebra(x).argmax() != onnx_runtime(x).argmax():
            raise SystemExit("resnet-18: Zebra and ONNX Runtime find different classes")
        seconds = [(time_once(zebra, x), time_once(onnx_runtime, x)) for _ in range(NETWORK_RUNS)]
    mine, theirs = (1e3 * min(column) for column in zip(*seconds, strict=True))
    return {
        "benchmark": "fsim",
        "network": "resnet-18",
        "zebra_ms": round(mine, 1),
        "onnxruntime_ms": round(theirs, 1),
        "ratio": round(mine / theirs, 2),
        "runs": NETWORK_RUNS,
    }


def time_once(call: Callable[[Any], object], x: Any) -> float:
    """Seconds of one call, once no thread of another runtime spins any more."""
    time.sleep(PAUSE)
    start = time.perf_counter()
    call(x)
    return time.perf_counter() - start


def main() -> None:
    """Print one JSON line per case."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kernel", default="auto", help="auto, portable, avx2 or avx512_vnni")
    parser.add_argument("--threads", type=int, default=0, help="0: all cores")
    cases: dict[str, Callable[[], Iterable[dict[str, Any]]]] = {
        "layers": lambda: measure_layers(options),
        "resnet50": lambda: [measure_resnet50(options.kernel, options.threads)],
        "portable": lambda: [measure_resnet50("portable", options.threads)],
        "resnet18": lambda: [measure_resnet18()],
    }
    parser.add_argument("--case", choices=cases, help="one case instead of all")
    options = parser.parse_args()
    for name in [options.case] if options.case else cases:
        for record in cases[name]():
            print(json.dumps(record), flush=True)


if __name__ == "__main__":
    main()
