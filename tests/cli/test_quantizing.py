"""zebra quantize on small networks."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper

import zebra
from zebra.cli import main, pipeline
from zebra.relay.quantizer import QuantizationReport, Techniques

Capture = pytest.CaptureFixture[str]
Array = npt.NDArray[np.float32]

LONG = "/a/module/whose/path/is/longer/than/any/terminal/is/wide/and/ends/in/first/Conv"


def save(
    path: Path, nodes: Sequence[NodeProto], constants: Mapping[str, Array], shape: Sequence[int]
) -> Path:
    """The ONNX file of a network from "x" of ``shape`` to "y"."""
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", "k"])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    opsets = [helper.make_opsetid("", 17)]
    onnx.save_model(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """conv, relu, conv, relu, global average, dense."""
    generator = np.random.default_rng(0)
    constants = {
        "w": generator.normal(size=(8, 3, 3, 3)).astype(np.float32) / 5,
        "v": generator.normal(size=(8, 8, 1, 1)).astype(np.float32) / 3,
        "u": generator.normal(size=(4, 8)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], name=LONG, pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"], name="[bold]first/Relu"),
        helper.make_node("Conv", ["b", "v"], ["c"], name="second/Conv"),
        helper.make_node("Relu", ["c"], ["d"], name="second/Relu"),
        helper.make_node("GlobalAveragePool", ["d"], ["p"], name="pool"),
        helper.make_node("Flatten", ["p"], ["f"], name="[bold]flat"),
        helper.make_node("Gemm", ["f", "u"], ["y"], name="last", transB=1),
    ]
    path = tmp_path_factory.mktemp("net") / "net.onnx"
    return save(path, nodes, constants, [1, 3, 12, 12])


@pytest.fixture(scope="module")
def poor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A channel a million times the others, undone by the weights: the others get no levels."""
    grow = np.ones((1, 4, 1, 1), np.float32)
    grow[0, 0] = 1e6
    matrix = np.random.default_rng(1).uniform(-1, 1, (10, 4, 64)).astype(np.float32)
    matrix[:, 0] /= 1e6
    nodes = [
        helper.make_node("Sigmoid", ["x"], ["s"]),
        helper.make_node("Mul", ["s", "grow"], ["g"]),
        helper.make_node("Flatten", ["g"], ["f"]),
        helper.make_node("Gemm", ["f", "m"], ["y"], transB=1),
    ]
    constants = {"grow": grow, "m": matrix.reshape(10, 256)}
    return save(tmp_path_factory.mktemp("poor") / "poor.onnx", nodes, constants, [1, 4, 8, 8])


def arrays(count: int, shape: Sequence[int]) -> list[Array]:
    generator = np.random.default_rng(2)
    return [generator.standard_normal(shape).astype(np.float32) for _ in range(count)]


def folder(tmp_path: Path, count: int, shape: Sequence[int] = (1, 3, 12, 12)) -> Path:
    made = tmp_path / "inputs"
    made.mkdir()
    for number, array in enumerate(arrays(count, shape)):
        np.save(made / f"{number:03}.npy", array)
    return made


def told(model: Path, count: int, how: Techniques) -> QuantizationReport:
    """The report of zebra.quantize itself, on what ``folder`` writes."""
    mod, params = zebra.load(model)
    found: list[QuantizationReport] = []
    inputs = arrays(count, (1, 3, 12, 12))
    zebra.quantize(mod, params, inputs, techniques=how, tell=found.append)
    return found[0]


def words(*parts: str | Path) -> list[str]:
    return ["quantize", *map(str, parts)]


def test_json_is_the_report_of_zebra_quantize(model: Path, tmp_path: Path, capsys: Capture) -> None:
    inputs = folder(tmp_path, 10)
    assert main(words(model, "--calibration", inputs, "--json")) == 0
    document = json.loads(capsys.readouterr().out)
    report = told(model, 10, Techniques())
    assert (document["model"], document["target"]) == (str(model), "zebra")
    assert document["ablation"] == []
    assert (document["calibration_batches"], document["comparison"]["batches"]) == (8, 2)
    expected = json.loads(json.dumps(report.to_dict()))
    assert {key: document[key] for key in expected} == expected


def test_values_have_the_models_names(model: Path) -> None:
    values = {value.name: value.kind for value in told(model, 5, Techniques()).values}
    assert values == {
        "x": "input",
        LONG: "nn.conv2d",
        "second/Conv": "nn.conv2d",
        "pool": "nn.global_avg_pool2d",
        "[bold]flat": "nn.batch_flatten",
        "last": "nn.dense",
    }


def test_the_terminal_says_it_in_80_columns(model: Path, tmp_path: Path, capsys: Capture) -> None:
    inputs = folder(tmp_path, 10)
    assert main(words(model, "--calibration", inputs)) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("good: output SQNR ")
    assert f"ranges from 8 of 10 inputs in {inputs}, 2 held out" in printed
    assert "equalization across layers, narrowed ranges, scales shared by sums" in printed
    table = printed[printed.index("Lowest SQNR") :].splitlines()
    assert max(map(len, table)) <= 80
    assert any("…" in line and "ends/in/first/Conv" in line for line in table)
    assert any("[bold]flat" in line for line in table)
    numbers = [float(found[1]) for line in table if (found := re.search(r" (\d+\.\d) ", line))]
    assert len(numbers) == 6
    assert numbers == sorted(numbers)


def test_a_poor_result_is_said_and_no_failure(poor: Path, tmp_path: Path, capsys: Capture) -> None:
    inputs = folder(tmp_path, 10, (1, 4, 8, 8))
    assert main(words(poor, "--calibration", inputs)) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("poor: output SQNR ")
    assert "calibrate with more typical inputs" in printed.out
    assert "warning" not in printed.err


@pytest.mark.filterwarnings("always::zebra.errors.ZebraWarning")
@pytest.mark.parametrize("count", [0, 4])
def test_without_held_out_inputs_nothing_is_measured(
    model: Path, tmp_path: Path, capsys: Capture, count: int
) -> None:
    given = ["--calibration", folder(tmp_path, count)] if count else []
    page = tmp_path / "page.html"
    assert main(words(model, *given, "--report", page)) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("not measured: give at least five")
    source = "ranges from 4 of 4 inputs" if count else "ranges from 32 inputs that were made up"
    assert source in printed.out
    assert "Lowest SQNR" in printed.out
    assert ("no calibration data" in printed.err) == (count == 0)
    assert "<strong>not measured</strong>" in page.read_text()


class Page(HTMLParser):
    """Elements by name; fails on anything unclosed, or loaded from elsewhere."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.count: dict[str, int] = {}
        self.rows: list[list[str]] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not {"src", "href"} & {name for name, _ in attrs}
        self.count[tag] = self.count.get(tag, 0) + 1
        if tag != "meta":
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def test_files_have_the_ablation_and_what_is_printed(
    model: Path, tmp_path: Path, capsys: Capture
) -> None:
    inputs, page, data = folder(tmp_path, 5), tmp_path / "page.html", tmp_path / "all.json"
    given = words(model, "--calibration", inputs, "--report", page, "--report", data, "--ablation")
    assert main([*given, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert json.loads(data.read_text()) == document
    text = page.read_text()
    without = {each["technique"]: each["without"] for each in document["ablation"]}
    alone = told(model, 5, Techniques(equalize=False)).comparison
    assert alone is not None
    assert without["equalize"]["sqnr_db"] == alone.sqnr_db != document["comparison"]["sqnr_db"]
    assert document["verdict"] in text
    assert "<h1>net.onnx</h1>" in text
    found = Page(text)
    values = document["values"]
    assert found.count["svg"] == 1 + len(values)
    assert [row[1] for row in found.rows if len(row) == 7] == [
        "value",
        *(value["name"] for value in values),
    ]
    assert [row[0] for row in found.rows if len(row) == 5] == [
        "without",
        "nothing",
        "equalization across layers",
        "narrowed ranges",
        "scales shared by sums",
        "error-compensated rounding",
        "bias correction",
    ]


@pytest.mark.parametrize("count", [0, 4])
def test_ablation_needs_held_out_inputs(
    model: Path, tmp_path: Path, capsys: Capture, count: int
) -> None:
    given = ["--calibration", folder(tmp_path, count)] if count else []
    assert main(words(model, *given, "--ablation")) == 2
    assert "give a --calibration folder of at least 5 files" in capsys.readouterr().err


@pytest.mark.filterwarnings("always::zebra.errors.ZebraWarning")
def test_inputs_left_out_are_counted_and_not_compared_with(
    model: Path, tmp_path: Path, capsys: Capture
) -> None:
    inputs = folder(tmp_path, 5)
    np.save(inputs / "001.npy", 1e4 * arrays(1, (1, 3, 12, 12))[0])
    assert main(words(model, "--calibration", inputs)) == 0
    printed = capsys.readouterr()
    assert f"ranges from 4 of 5 inputs in {inputs}, 0 held out, 1 left out" in printed.out
    assert "calibration batch 1: input x reaches" in printed.err
    assert main(words(model, "--calibration", inputs, "--ablation")) == 2
    assert "at least 5 files that are not left out" in capsys.readouterr().err


def test_a_full_disk_is_one_sentence(model: Path, tmp_path: Path, capsys: Capture) -> None:
    page = tmp_path / "page.html"
    page.symlink_to("/dev/full")
    assert main(words(model, "--calibration", folder(tmp_path, 2), "--report", page)) == 2
    sentence = capsys.readouterr().err.splitlines()[-1]
    assert sentence == f"zebra: {page}: the page cannot be written (No space left on device)"


def test_a_quantized_model_is_refused(tmp_path: Path, capsys: Capture) -> None:
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"]),
    ]
    constants: dict[str, Any] = {"scale": np.float32(0.1), "zero": np.int8(0)}
    constants = {name: np.asarray(value) for name, value in constants.items()}
    path = save(tmp_path / "net.onnx", nodes, constants, [1, 4])
    assert main(words(path)) == 2
    assert "is quantized already, so nothing is left to quantize" in capsys.readouterr().err


def test_a_network_without_int8_work_is_refused(tmp_path: Path, capsys: Capture) -> None:
    path = save(tmp_path / "net.onnx", [helper.make_node("Softmax", ["x"], ["y"])], {}, [1, 4])
    assert main(words(path)) == 2
    assert "nothing of it can be quantized" in capsys.readouterr().err


def test_a_folder_is_read_one_file_at_a_time(model: Path, tmp_path: Path, capsys: Capture) -> None:
    inputs = folder(tmp_path, 2)
    (inputs / "001.npy").write_bytes(b"\x93NUMPY and no more")
    network = pipeline.open_network(model, {})
    found = pipeline.read_calibration(inputs, network, None)
    assert found is not None
    assert len(found) == 2
    first = next(iter(found))
    np.testing.assert_array_equal(first["x"], arrays(1, (1, 3, 12, 12))[0])
    assert main(words(model, "--calibration", inputs)) == 2
    assert "001.npy: is not a readable NumPy file" in capsys.readouterr().err
