"""zebra profile and zebra.profile on small networks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import tvm
from onnx import TensorProto, helper, numpy_helper
from tvm import relay

import zebra
from zebra.cli import main

Capture = pytest.CaptureFixture[str]
pytestmark = pytest.mark.filterwarnings("ignore::zebra.errors.ZebraWarning")

MACS = 8 * 3 * 9 * 16 * 16 + 4 * 8
"""conv 3 -> 8, 3x3 on 16x16, and dense 8 -> 4."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """conv, relu, global average, dense."""
    generator = np.random.default_rng(0)
    constants = {
        "w": generator.normal(size=(8, 3, 3, 3)).astype(np.float32) / 5,
        "v": generator.normal(size=(4, 8)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "v"], ["y"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 16, 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = tmp_path_factory.mktemp("net") / "net.onnx"
    onnx.save_model(proto, path)
    return path


@pytest.fixture(scope="module")
def library(model: Path) -> Any:
    mod, params = zebra.load(model)
    return relay.build(zebra.quantize(mod, params), target="zebra")


def run(capsys: Capture, *words: str | Path) -> Any:
    """The JSON that zebra profile prints."""
    assert main(["profile", *map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_model_and_its_library_have_one_profile(
    model: Path, tmp_path: Path, capsys: Capture
) -> None:
    assert main(["compile", str(model), "-o", str(tmp_path / "net.so")]) == 0
    capsys.readouterr()
    first, second = run(capsys, model), run(capsys, tmp_path / "net.so")
    assert first["macs"] == MACS
    assert first["mac_utilization"] == MACS / (first["cycles"] * 256)
    assert first["seconds"] == first["cycles"] / 100e6
    assert 0 < first.pop("host_seconds") < 1
    assert 0 < second.pop("host_seconds") < 1
    assert first.pop("model") != second.pop("model")
    assert first == second
    assert sum(layer["macs"] for layer in first["regions"][0]["layers"]) == MACS


def test_an_artifact_is_profiled_without_a_host_part(
    library: Any, tmp_path: Path, capsys: Capture
) -> None:
    (region,) = zebra.find_regions(library)
    region.artifact().save(tmp_path / "net.zart")
    found = run(capsys, tmp_path / "net.zart")
    assert found["host_seconds"] is None
    assert found["cycles"] == zebra.profile(library, host=False).cycles


def test_files_and_words(model: Path, tmp_path: Path, capsys: Capture) -> None:
    page, trace = tmp_path / "page.html", tmp_path / "trace.json"
    words = ["profile", str(model), "--html", str(page), "--trace", str(trace), "--no-host"]
    assert main([*words, "--target", "zebra/kv260"]) == 0
    printed = capsys.readouterr().out
    assert "kv260" in printed
    assert "GEMM is busy" in printed
    assert "not measured" in printed
    assert "<h1>net.onnx</h1>" in page.read_text()
    assert len(json.loads(trace.read_text())["traceEvents"]) > 10


def test_bytes_by_hand(library: Any) -> None:
    """Input of 16x16 vectors, output of one; constants and instructions once.

    The driver folds the 3 columns of the kernel into 9 of the 16 lanes.
    """
    found = zebra.profile(library, host=False)
    (region,) = zebra.find_regions(library)
    compiled = region.artifact().compiled
    ports = 16 * 16 * 16 + 16
    code = len(compiled.program.code)
    assert found.dram_bytes_min == len(compiled.constants) + ports + code
    assert (found.weight_bytes, found.code_bytes) == (len(compiled.constants), code)
    (chain,) = found.layers
    assert chain.macs == MACS
    # Each of the 3 rows left is a GEMM iteration of 1 block by 1 block for every pixel; the
    # dense layer behind the pool is one.
    assert chain.array.useful + chain.array.padding + chain.array.rows == 3 * 16 * 16 + 1
    assert chain.array.useful == pytest.approx(MACS / 256)


def test_macs_are_those_of_inspect(library: Any, model: Path) -> None:
    mod, params = zebra.load(model)
    assert zebra.profile(library, host=False).macs == zebra.inspect(mod, params).macs


def test_a_network_of_two_regions_is_their_sum() -> None:
    """An operator that stays on the host between two convolutions."""
    rng = np.random.default_rng(0)
    weight = relay.const((rng.standard_normal((4, 4, 3, 3)) / 6).astype("float32"))
    x = relay.var("x", shape=(1, 4, 8, 8))
    y = relay.nn.conv2d(x, weight, padding=(1, 1))
    y = relay.image.resize2d(y, (11, 11), method="linear")
    y = relay.nn.conv2d(y, weight, padding=(1, 1))
    mod = zebra.quantize(tvm.IRModule.from_expr(relay.Function([x], y)))
    found = zebra.profile(relay.build(mod, target="zebra"))
    assert len(found.regions) == 2
    assert found.cycles == sum(region.cycles for region in found.regions)
    assert [region.macs for region in found.regions] == [36 * 4 * 64, 36 * 4 * 121]
    assert all(time.cycles == found.cycles for time in found.engines.values())
    assert found.host_seconds is not None
    assert found.host_seconds > 0


@pytest.mark.parametrize("kind", ["vm", "aot"])
def test_other_executors_have_no_host_time(model: Path, library: Any, kind: str) -> None:
    mod, params = zebra.load(model)
    quantized = zebra.quantize(mod, params)
    if kind == "vm":
        other = relay.vm.compile(quantized, target="zebra")
    else:
        executor = relay.backend.Executor("aot", {"interface-api": "packed", "unpacked-api": False})
        other = relay.build(quantized, target="zebra", executor=executor)
    found = zebra.profile(other)
    assert found.host_seconds is None
    assert found.cycles == zebra.profile(library, host=False).cycles


def test_a_library_without_a_region_is_refused() -> None:
    x = relay.var("x", shape=(1, 4))
    library = relay.build(tvm.IRModule.from_expr(relay.Function([x], x + x)), target="llvm")
    with pytest.raises(zebra.UsageError, match="nothing in this library runs on the accelerator"):
        zebra.profile(library)


def test_a_file_that_is_nothing_is_refused(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "net.so").write_bytes(b"\x7fELF but no library")
    assert main(["profile", str(tmp_path / "net.so")]) == 2
    assert "is no library that TVM loads" in capsys.readouterr().err
