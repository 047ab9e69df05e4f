"""Regions inside what TVM builds: every executor, saved and loaded, near and far."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tvm
from tests.support.regions import expected, partitioned_module, sample_input
from tvm import relay
from tvm.contrib import graph_executor

import zebra
from zebra import find_regions

pytestmark = pytest.mark.usefixtures("lower_negation")


def run_graph(library: Any, x: np.ndarray) -> np.ndarray:
    executor = graph_executor.GraphModule(library["default"](zebra.device()))
    executor.set_input("x", x)
    executor.run()
    return executor.get_output(0).numpy()


def in_new_process(script: str, **environment: str) -> str:
    """What a fresh Python prints; it finds zebra where this one did."""
    path = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


LOADED = """
import sys, json, numpy as np, tvm, zebra
assert "tvm.relay" not in sys.modules
library = tvm.runtime.load_module({library!r})
factory = library["default"](zebra.device())
"""
RUN_GRAPH = "executor = tvm.contrib.graph_executor.GraphModule(factory)"
RUN_AOT = "executor = tvm.runtime.executor.AotModule(factory)"
FINISH = """
executor.set_input("x", np.load({input!r}))
executor.run()
np.save({output!r}, executor.get_output(0).numpy())
print(json.dumps([region.counters()["calls"] for region in zebra.find_regions(library)]))
"""


def run_with_the_runtime_only(directory: Path, library: Any, make: str, x: np.ndarray) -> Any:
    """Save the library, run it once in a new process without a compiler.

    Returns the output and how often each region ran.
    """
    library.export_library(str(directory / "net.so"))
    np.save(directory / "x.npy", x)
    script = f"import tvm.contrib.graph_executor{LOADED}{make}{FINISH}".format(
        library=str(directory / "net.so"),
        input=str(directory / "x.npy"),
        output=str(directory / "y.npy"),
    )
    calls = json.loads(in_new_process(script, TVM_USE_RUNTIME_LIB="1"))
    return np.load(directory / "y.npy"), calls


@pytest.mark.parametrize("regions", [1, 2])
def test_graph_executor(regions: int) -> None:
    library = relay.build(partitioned_module(regions), target="zebra")
    x = sample_input()
    np.testing.assert_array_equal(run_graph(library, x), expected(x, regions))
    assert [region.name for region in find_regions(library)] == [
        f"net_zebra_{index}" for index in range(regions)
    ]


def test_virtual_machine() -> None:
    executable = relay.vm.compile(partitioned_module(2), target="zebra")
    machine = tvm.runtime.vm.VirtualMachine(executable, zebra.device())
    x = sample_input()
    np.testing.assert_array_equal(machine.invoke("main", x).numpy(), expected(x, 2))
    assert [region.counters()["calls"] for region in find_regions(executable)] == [1, 1]


def test_saved_virtual_machine(tmp_path: Path) -> None:
    executable = relay.vm.compile(partitioned_module(), target="zebra")
    executable.mod.export_library(str(tmp_path / "net.so"))
    loaded = tvm.runtime.load_module(str(tmp_path / "net.so"))
    machine = tvm.runtime.vm.VirtualMachine(loaded, zebra.device())
    x = sample_input()
    np.testing.assert_array_equal(machine.invoke("main", x).numpy(), expected(x))


def test_saved_library_in_a_new_process(tmp_path: Path) -> None:
    x = sample_input()
    library = relay.build(partitioned_module(2), target="zebra")
    y, calls = run_with_the_runtime_only(tmp_path, library, RUN_GRAPH, x)
    np.testing.assert_array_equal(y, expected(x, 2))
    assert calls == [1, 1]


def test_ahead_of_time_program_in_a_new_process(tmp_path: Path) -> None:
    executor = relay.backend.Executor("aot", {"interface-api": "packed", "unpacked-api": False})
    library = relay.build(partitioned_module(2), target="zebra", executor=executor)
    x = sample_input()
    y, calls = run_with_the_runtime_only(tmp_path, library, RUN_AOT, x)
    np.testing.assert_array_equal(y, expected(x, 2))
    assert calls == [1, 1]


def test_over_rpc(tmp_path: Path) -> None:
    from tvm import rpc

    relay.build(partitioned_module(), target="zebra").export_library(str(tmp_path / "net.so"))
    server = rpc.Server(
        host="127.0.0.1", port=9090, port_end=9190, load_library=str(zebra.library_path())
    )
    try:
        session = rpc.connect("127.0.0.1", server.port)
        session.upload(str(tmp_path / "net.so"))
        library = session.load_module("net.so")
        executor = graph_executor.GraphModule(library["default"](session.cpu(0)))
        x = sample_input()
        executor.set_input("x", tvm.nd.array(x, session.cpu(0)))
        executor.run()
        np.testing.assert_array_equal(executor.get_output(0).numpy(), expected(x))
    finally:
        server.terminate()


def test_two_configurations_in_one_process() -> None:
    x = sample_input()
    blocks = []
    for target in ("zebra/zebra", "zebra/u250"):
        library = relay.build(partitioned_module(), target=target)
        np.testing.assert_array_equal(run_graph(library, x), expected(x))
        (region,) = find_regions(library)
        blocks.append(region.artifact().config.block)
    assert blocks[0] != blocks[1]


def test_same_module_gives_same_artifact() -> None:
    first, second = (
        find_regions(relay.build(partitioned_module(), target="zebra"))[0].artifact().to_bytes()
        for _ in range(2)
    )
    assert first == second
