"""The commands on a small network, from file to answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from zebra.cli import main

Capture = pytest.CaptureFixture[str]
pytestmark = pytest.mark.filterwarnings("ignore::zebra.errors.ZebraWarning")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """net.onnx (3x16x16 -> 4 classes), picture.png, labels.txt, x.npy."""
    path = tmp_path_factory.mktemp("net")
    onnx.save_model(_network(), path / "net.onnx")
    pixels = np.random.default_rng(3).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(path / "picture.png")
    (path / "labels.txt").write_text("ant\nbee\ncat\ndog\n")
    np.save(path / "x.npy", np.random.default_rng(4).normal(size=(1, 3, 16, 16)))
    return path


def _network() -> onnx.ModelProto:
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
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 16, 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def run(capsys: Capture, *words: str | Path) -> Any:
    """The JSON that a command prints."""
    assert main([*map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_run_answers_as_onnx_runtime_does(folder: Path, capsys: Capture) -> None:
    x = np.load(folder / "x.npy").astype(np.float32)
    session = onnxruntime.InferenceSession(folder / "net.onnx")
    scores = session.run(None, {"x": x})[0][0]
    expected = np.exp(scores) / np.exp(scores).sum()
    report = run(
        capsys,
        "run",
        folder / "net.onnx",
        "-i",
        folder / "x.npy",
        "-l",
        folder / "labels.txt",
        "-c",
    )
    (result,) = report["results"]
    names = ["ant", "bee", "cat", "dog"]
    found, floating = (
        {row["label"]: row["score"] for row in result[name]["top"]}
        for name in ("Zebra (int8)", "CPU (float)")
    )
    for name, score in zip(names, expected):
        assert floating[name] == pytest.approx(score, abs=1e-5)
        assert found[name] == pytest.approx(score, abs=0.05)
    assert found != floating
    assert report["regions"] == 1
    assert report["mac_share"] == 1.0


def test_run_prints_and_draws(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    target = tmp_path / "out.png"
    words = ["run", folder / "net.onnx", "-i", folder / "picture.png", "--save-image", target]
    assert main([str(word) for word in [*words, "-l", folder / "labels.txt"]]) == 0
    printed = capsys.readouterr().out
    assert "zebra: 1 region, 100.0 % of" in printed
    assert "centre cut to 16x16, RGB" in printed
    assert Image.open(target).size == (30, 20)


def test_calibration_pictures_set_the_ranges(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    np.save(tmp_path / "big.npy", 100 * np.load(folder / "x.npy"))
    words = ("run", folder / "net.onnx", "-i", folder / "x.npy")
    own = run(capsys, *words)["results"][0]["Zebra (int8)"]["outputs"]["y"]
    wide = run(capsys, *words, "--calibration", tmp_path)["results"][0]["Zebra (int8)"]
    assert wide["outputs"]["y"]["max"] != own["max"]


def test_inspect_counts_the_region(folder: Path, capsys: Capture) -> None:
    report = run(capsys, "inspect", folder / "net.onnx", "--target", "zebra/pynq")
    assert report["config"] == "pynq"
    assert report["macs"] == 8 * 3 * 9 * 16 * 16 + 4 * 8
    assert report["mac_share"] == 1.0
    assert {op["name"] for op in report["host"]} == {"qnn.quantize", "qnn.dequantize"}


def test_compile_writes_a_library_that_disasm_reads(
    folder: Path, tmp_path: Path, capsys: Capture
) -> None:
    library = tmp_path / "net.so"
    assert main(["compile", str(folder / "net.onnx"), "-o", str(library)]) == 0
    assert "1 region for zebra" in capsys.readouterr().out
    listings = []
    for source in (library, folder / "net.onnx"):
        assert main(["disasm", str(source)]) == 0
        listings.append(capsys.readouterr().out)
    assert all("GEMM" in text and "STORE" in text for text in listings)


def test_a_config_of_ones_own_is_a_target(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    assert main(["config", "show", "zebra", "--json"]) == 0
    keys = json.loads(capsys.readouterr().out)
    path = tmp_path / "narrow_cli_test.json"
    path.write_text(json.dumps({**keys, "LOG_BLOCK": 3}))
    report = run(capsys, "inspect", folder / "net.onnx", "--target", path)
    assert report["config"] == "narrow_cli_test"


def test_doctor_finds_this_installation_whole(capsys: Capture) -> None:
    findings = run(capsys, "doctor")
    assert all(finding["ok"] for finding in findings), findings
    assert "equal TVM's, bit for bit" in findings[-1]["found"]


def test_doctor_says_what_is_wrong_and_exits_1(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zebra.cli.selftest.differing_values", lambda: (3, 10))
    assert main(["doctor"]) == 1
    assert "3 of 10 values of a small convolution differ from TVM's" in capsys.readouterr().out
