"""What importing Zebra changes in TVM, and what it leaves alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import tvm
from tests.support.regions import partitioned_module
from tvm import relay
from tvm.relay.backend.vm import VMCompiler

import zebra
from zebra.errors import ConfigError, EnvironmentMismatchError, UsageError
from zebra.hw import available_configs, find_config
from zebra.plugin import environment, hooks, install
from zebra.plugin.targets import config_of, is_zebra


def float_module() -> tvm.IRModule:
    x = relay.var("x", shape=(1, 4, 6, 6))
    return tvm.IRModule.from_expr(relay.Function([x], relay.nn.relu(x)))


@pytest.mark.parametrize("name", available_configs())
def test_every_configuration_is_a_target(name: str) -> None:
    target = tvm.target.Target(f"zebra/{name}")
    assert is_zebra(target)
    assert config_of(target) == find_config(name)
    assert "mcpu" not in target.attrs


def test_zebra_is_the_default_configuration() -> None:
    assert config_of(tvm.target.Target("zebra")).name == "zebra"


def test_register_config_makes_a_target(tmp_path: Path) -> None:
    values = find_config("pynq").to_mapping() | {"LOG_BATCH": 1}
    path = tmp_path / "my_board.json"
    path.write_text(json.dumps(values))
    assert zebra.register_config(path) == "zebra/my_board"
    assert zebra.register_config(path) == "zebra/my_board"
    assert config_of(tvm.target.Target("zebra/my_board")).rows == 2


def test_register_config_refuses_a_taken_name(tmp_path: Path) -> None:
    path = tmp_path / "pynq.json"
    path.write_text(json.dumps(find_config("u250").to_mapping()))
    with pytest.raises(ConfigError, match="different configuration named pynq"):
        zebra.register_config(path)
    assert config_of(tvm.target.Target("zebra/pynq")) == find_config("pynq")


def test_installing_twice_wraps_once() -> None:
    before = relay.build_module.BuildModule.build, VMCompiler.lower, tvm.autotvm.tophub.context
    install()
    after = relay.build_module.BuildModule.build, VMCompiler.lower, tvm.autotvm.tophub.context
    assert before == after


@pytest.fixture
def passed_on(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Targets for which a build was prepared; the preparation itself is left out."""
    prepared: list[str] = []

    def prepare(mod: Any, params: Any, target: Any) -> Any:
        prepared.append(str(target.attrs["model"]))
        return mod

    monkeypatch.setattr(hooks, "prepare", prepare)
    return prepared


BUILD_FOR_LLVM = """
import hashlib, sys
import numpy as np, tvm
from tvm import relay
x = relay.var("x", shape=(1, 4, 6, 6))
w = relay.var("w", shape=(4, 4, 3, 3))
y = relay.nn.relu(relay.nn.conv2d(x, w, padding=(1, 1), kernel_size=(3, 3), channels=4))
weights = np.random.default_rng(0).standard_normal((4, 4, 3, 3)).astype("float32")
mod = tvm.IRModule.from_expr(relay.Function([x, w], y))
library = relay.build(mod, target="llvm", params={"w": tvm.nd.array(weights)})
print(library.get_graph_json())
print(sorted(map(str, library.function_metadata)))
print(library.get_lib().get_source("ll").count("define"))
print({k: hashlib.sha256(v.numpy().tobytes()).hexdigest() for k, v in library.get_params().items()})
assert ("zebra" in sys.modules) == (len(sys.argv) > 1)
"""


def test_other_targets_build_as_without_zebra() -> None:
    plain, beside_zebra = (
        subprocess.run(
            [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True
        ).stdout
        for script, arguments in (
            (BUILD_FOR_LLVM, []),
            ("import zebra\n" + BUILD_FOR_LLVM, ["with zebra"]),
        )
    )
    assert "tvmgen_default_fused_nn" in plain
    assert beside_zebra == plain


def test_other_targets_are_handed_on_untouched(passed_on: list[str]) -> None:
    calls: list[tuple[Any, Any]] = []
    build = hooks._graph_build(lambda self, mod, target, **rest: calls.append((mod, rest)))
    mod, params = float_module(), {"w": 1}
    build(None, mod, [tvm.target.Target("llvm")], params=params)
    assert calls[0][0] is mod
    assert calls[0][1]["params"] is params
    assert passed_on == []


def test_a_zebra_build_and_vm_prepare_the_module(passed_on: list[str]) -> None:
    relay.build(float_module(), target="zebra/pynq")
    relay.vm.compile(float_module(), target="zebra/ultra96")
    assert passed_on == ["pynq", "ultra96"]


def test_zebra_builds_do_not_ask_for_tuned_cpu_schedules(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Any] = []
    context = hooks._tophub_context(lambda target, *rest: asked.append(target))
    context([tvm.target.Target("zebra/kv260")])
    assert asked == []
    context([tvm.target.Target("llvm")])
    assert len(asked) == 1


def test_two_zebra_targets_are_refused() -> None:
    targets = [tvm.target.Target("zebra/pynq"), tvm.target.Target("zebra/u250")]
    with pytest.raises(UsageError, match="2 were given: pynq, u250"):
        hooks.find_zebra(targets)


def test_a_region_in_a_build_for_another_target_is_refused() -> None:
    with pytest.raises(UsageError, match="net_zebra_0 is a function for the accelerator"):
        relay.build(partitioned_module(), target="llvm")


def test_a_missing_tvm_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tvm", None)
    with pytest.raises(EnvironmentMismatchError, match=r"no module tvm: pip install xtc-tvm"):
        environment.require_tvm()


def test_another_tvm_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    other = ModuleType("tvm")
    other.__version__ = "0.25.0"
    other.__path__ = ["/somewhere/tvm"]
    monkeypatch.setitem(sys.modules, "tvm", other)
    with pytest.raises(EnvironmentMismatchError) as caught:
        environment.require_tvm()
    assert "tvm 0.25.0 in /somewhere/tvm: pip install xtc-tvm" in str(caught.value)


def test_unknown_attribute() -> None:
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        _ = zebra.lode


def test_importing_zebra_imports_nothing_but_tvm_and_its_own_plugin() -> None:
    script = (
        "import sys, json, tvm; before = set(sys.modules); import zebra; "
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    added = json.loads(done.stdout)
    packages = {name.partition(".")[0] for name in added} - set(sys.stdlib_module_names)
    rooms = {name.split(".")[1] for name in added if name.startswith("zebra.")}
    assert packages == {"zebra"}
    assert rooms == {"errors", "hw", "plugin", "runtime", "version"}
