"""Errors become one sentence and an exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.artifacts import chain_artifact

from zebra.cli import main
from zebra.cli.choices import read_numbers, read_shapes
from zebra.errors import ModelError, UsageError
from zebra.hw import available_configs

SOURCES = Path(__file__).parents[2] / "python"
Capture = pytest.CaptureFixture[str]


def fail(error: BaseException) -> Callable[..., None]:
    def raise_it(*_: object, **__: object) -> None:
        raise error

    return raise_it


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        pytest.param(ModelError("net.onnx is a JPEG"), 2, "zebra: net.onnx is a JPEG\n", id="user"),
        pytest.param(
            ZeroDivisionError("by zero"),
            1,
            "zebra: unexpected ZeroDivisionError: by zero (this is a defect of Zebra or TVM; "
            "zebra --debug shows where it happened)\n",
            id="defect",
        ),
    ],
)
def test_an_error_is_one_sentence(
    error: Exception,
    code: int,
    sentence: str,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("zebra.cli.configs.read_config", fail(error))
    assert main(["config", "check", "a.json"]) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == sentence
    with pytest.raises(type(error)):
        main(["--debug", "config", "check", "a.json"])
    with pytest.raises(type(error)):
        main(["config", "check", "a.json", "--debug"])


def test_ctrl_c_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zebra.cli.configs.read_config", fail(KeyboardInterrupt()))
    assert main(["config", "check", "a.json"]) == 130


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param(["frobnicate"], "No such command", id="command"),
        pytest.param(["run", "net.onnx"], "--input", id="missing-option"),
        pytest.param(["run", "nowhere.onnx", "-i", "a.png"], "there is no such file", id="model"),
        pytest.param(["disasm", "nowhere.onnx"], "cannot be read", id="disasm"),
        pytest.param(
            ["run", "m", "-i", "a", "--target", "gpu"], "--target gpu is unknown", id="target"
        ),
        pytest.param(
            ["run", "m", "-i", "a", "-t", "zebra/no"], "no configuration is called no", id="config"
        ),
        pytest.param(["run", "m", "-i", "a", "--fit", "fat"], "--fit fat is unknown", id="fit"),
        pytest.param(
            ["run", "m", "-i", "a", "--save-image", "a.gif"], "must end in .png", id="save"
        ),
        pytest.param(["run", "m", "-i", "a", "--size", "big"], "--size big: give", id="size"),
        pytest.param(["run", "m", "-i", "a", "--shape", "x"], "--shape x: give", id="shape"),
        pytest.param(["compile", "m", "-o", "net"], "must end in .so or .tar", id="suffix"),
        pytest.param(["compile", "m", "-o", "no/net.so"], "no does not exist", id="folder"),
        pytest.param(
            ["quantize", "m", "--report", "a.pdf"], "must end in .html or .json", id="report"
        ),
        pytest.param(
            ["quantize", "m", "--report", "no/a.html"], "no does not exist", id="report-folder"
        ),
        pytest.param(["config", "show", "nope"], "no configuration is called nope", id="show"),
    ],
)
def test_a_wrong_command_is_2_and_says_why(
    words: list[str],
    message: str,
    capsys: Capture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m").write_bytes(b"not a model")
    assert main(words) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert message in printed.err
    assert "Traceback" not in printed.err


def test_no_command_shows_the_help(capsys: Capture) -> None:
    main([])
    assert "zebra run" in capsys.readouterr().out


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["run"],
        ["compile"],
        ["inspect"],
        ["quantize"],
        ["disasm"],
        ["doctor"],
        ["config", "show"],
    ],
)
def test_every_command_has_help(command: list[str], capsys: Capture) -> None:
    assert main([*command, "--help"]) == 0
    assert "Usage: zebra" in capsys.readouterr().out


def test_version_and_help_do_not_import_tvm() -> None:
    script = (
        "import sys, zebra_command\n"
        "code = zebra_command.main()\n"
        "assert code == 0, code\n"
        "assert 'tvm' not in sys.modules and 'onnx' not in sys.modules\n"
    )
    for option in ("--version", "--help"):
        subprocess.run([sys.executable, "-c", script, option], check=True, cwd=SOURCES)


def test_config_list_names_every_configuration(capsys: Capture) -> None:
    assert main(["config", "list", "--json"]) == 0
    assert sorted(json.loads(capsys.readouterr().out)) == sorted(available_configs())
    assert main(["config", "list"]) == 0
    table = capsys.readouterr().out
    assert all(name in table for name in available_configs())


def test_config_show_explains_the_keys(capsys: Capture) -> None:
    assert main(["config", "show", "zebra"]) == 0
    shown = capsys.readouterr().out
    assert "LOG_BLOCK" in shown
    assert "lanes of a vector" in shown


def test_config_check_names_the_wrong_key(capsys: Capture, tmp_path: Path) -> None:
    assert main(["config", "show", "zebra", "--json"]) == 0
    keys = json.loads(capsys.readouterr().out)
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(json.dumps(keys))
    bad.write_text(json.dumps({**keys, "LOG_BLOCK": 40}))
    assert main(["config", "check", str(good)]) == 0
    assert "legal, 256 MAC/cycle" in capsys.readouterr().out
    assert main(["config", "check", str(good), str(bad)]) == 2
    assert "LOG_BLOCK = 40 is outside 2..7" in capsys.readouterr().err


def test_shapes_and_numbers_are_read() -> None:
    assert read_shapes(["x=1,3,8,8", "a=b=2"]) == {"x": (1, 3, 8, 8), "a=b": (2,)}
    assert read_numbers("--mean", "0.5,1") == (0.5, 1.0)
    with pytest.raises(UsageError, match="--std 1;2: give one number"):
        read_numbers("--std", "1;2")


def test_disasm_tells_the_layers_of_a_chain_apart(tmp_path: Path, capsys: Capture) -> None:
    chain_artifact().save(tmp_path / "net.zart")
    assert main(["disasm", str(tmp_path / "net.zart")]) == 0
    lines = capsys.readouterr().out.splitlines()
    words = [line if line.startswith(";") else line.split()[1] for line in lines]
    heads = ["; copy for zebra", "; copy: nn.identity"]
    assert words == [*heads, ";   a", "LOAD", ";   b", "STORE"]
