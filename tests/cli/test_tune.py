"""zebra tune, from file to log to library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from tests.frontend.onnx_files import convolution

from zebra.cli import main
from zebra.tune.records import read_records

Capture = pytest.CaptureFixture[str]
pytestmark = pytest.mark.filterwarnings("ignore::zebra.errors.ZebraWarning")
SEARCH = ("--tuner", "random", "--trials", "12")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tune") / "net.onnx"
    onnx.save_model(convolution((1, 3, 16, 16)), path)
    return path


def tune(capsys: Capture, model: Path, log: Path, *options: str) -> Any:
    assert main(["tune", str(model), "--log", str(log), "--json", *SEARCH, *options]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_network_is_tuned_and_compiled(model: Path, capsys: Capture, tmp_path: Path) -> None:
    log, library = tmp_path / "net.log", tmp_path / "net.so"
    report = tune(capsys, model, log)
    assert report["target"] == "zebra"
    (row,) = report["workloads"]
    assert row["trials"] == 12 == len(read_records(log))
    assert row["best_cycles"] <= row["default_cycles"]
    again = tune(capsys, model, log)
    assert again["workloads"] == report["workloads"]
    assert len(read_records(log)) == 12
    assert main(["compile", str(model), "-o", str(library), "--tuned", str(log)]) == 0
    assert library.stat().st_size > 0


def test_the_table_names_the_log(model: Path, capsys: Capture, tmp_path: Path) -> None:
    log = tmp_path / "net.log"
    assert main(["tune", str(model), "--log", str(log), *SEARCH]) == 0
    assert f"the records are in {log}" in capsys.readouterr().out


def test_a_network_of_chains_has_nothing_to_tune(capsys: Capture, tmp_path: Path) -> None:
    weight = np.random.default_rng(0).normal(size=(16, 16, 3, 3)).astype(np.float32)
    ends = [helper.make_tensor_value_info(name, 1, [1, 16, 12, 12]) for name in "xz"]
    nodes = [helper.make_node("Conv", [a, "w"], [b], pads=[1] * 4) for a, b in ("xy", "yz")]
    graph = helper.make_graph(
        nodes, "two", ends[:1], ends[1:], [numpy_helper.from_array(weight, "w")]
    )
    path = tmp_path / "two.onnx"
    opset = helper.make_opsetid("", 17)
    onnx.save_model(helper.make_model(graph, opset_imports=[opset], ir_version=8), path)
    assert main(["tune", str(path), "--log", str(tmp_path / "two.log"), *SEARCH]) == 0
    assert "nothing to tune: every convolution runs in a chain" in capsys.readouterr().err


def test_a_log_of_other_hardware_is_a_warm_start_only(
    model: Path, capsys: Capture, tmp_path: Path
) -> None:
    old, new = tmp_path / "old.log", tmp_path / "new.log"
    tune(capsys, model, old, "--target", "zebra/kv260")
    assert main(["tune", str(model), "--log", str(old), *SEARCH]) == 2
    assert "was tuned for other hardware: configuration kv260" in capsys.readouterr().err
    assert len(read_records(old)) == 12
    tune(capsys, model, new, "--warm-start", str(old))
    assert len(read_records(new)) == 12


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--tuner", "best"), "no tuner is called best; known: xgb, ga, random, grid"),
        (("--tracker", "here"), "--tracker here: give the tracker's address as HOST:PORT"),
        (("--target", "zebra/none"), "no configuration is called none"),
        (("--log", "/nowhere/a.log"), "/nowhere/a.log: cannot be written"),
    ],
    ids=["tuner", "tracker", "target", "log"],
)
def test_a_wrong_option_is_named(
    options: tuple[str, ...], text: str, model: Path, capsys: Capture, tmp_path: Path
) -> None:
    log = str(tmp_path / "a.log")
    assert main(["tune", str(model), "--log", log, *SEARCH, *options]) == 2
    assert text in capsys.readouterr().err


def test_a_missing_tuned_log_is_named(model: Path, capsys: Capture, tmp_path: Path) -> None:
    words = ["compile", str(model), "-o", str(tmp_path / "a.so"), "--tuned", "nothing.log"]
    assert main(words) == 2
    assert "--tuned nothing.log: there is no such file" in capsys.readouterr().err
