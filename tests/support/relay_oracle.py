"""Runs a Relay module the slow, exact way (promise P1) and its region through a Graph."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tvm
from tvm import relay
from tvm.contrib import graph_executor
from tvm.relay.backend import te_compiler

from zebra import graph as zg
from zebra.hw import find_config
from zebra.relay import exact_reference, lower, partition

CONFIG = find_config("zebra")
# asked for anew for every operator, this is half the time of a small build
te_compiler.libinfo = functools.cache(te_compiler.libinfo)

Arrays = list[npt.NDArray[Any]]


def module(*outputs: Any) -> tvm.IRModule:
    """A typed module whose main returns these expressions; its inputs are their variables."""
    body = outputs[0] if len(outputs) == 1 else relay.Tuple(list(outputs))
    function = relay.Function(relay.analysis.free_vars(body), body)
    return relay.transform.InferType()(tvm.IRModule.from_expr(function))


def run_llvm(mod: tvm.IRModule, feed: dict[str, npt.NDArray[Any]]) -> Arrays:
    """The outputs of ``mod`` on TVM's plain llvm target, in the reference's arithmetic."""
    with tvm.transform.PassContext(opt_level=2), exact_reference():
        library = relay.build(mod, target="llvm")
    executor = graph_executor.GraphModule(library["default"](tvm.cpu()))
    for name, array in feed.items():
        executor.set_input(name, array)
    executor.run()
    return [executor.get_output(i).numpy() for i in range(executor.get_num_outputs())]


def regions(mod: tvm.IRModule) -> list[Any]:
    """The functions of a partitioned module that are for the accelerator, by name."""
    items = sorted(mod.functions.items(), key=lambda item: item[0].name_hint)
    return [f for _, f in items if f.attrs is not None and "Compiler" in list(f.attrs.keys())]


def random_inputs(mod: tvm.IRModule, rng: np.random.Generator) -> dict[str, npt.NDArray[Any]]:
    """Random bytes for every input of main, extremes among them."""
    feed = {}
    for param in mod["main"].params:
        kind = np.dtype(param.checked_type.dtype)
        info = np.iinfo(kind)
        shape = [int(dim) for dim in param.checked_type.shape]
        array = rng.integers(info.min, info.max + 1, shape).astype(kind)
        array.reshape(-1)[:2] = (info.min, info.max)[: array.size]
        feed[param.name_hint] = array
    return feed


def assert_one_exact_region(*outputs: Any, seed: int = 0) -> zg.Graph:
    """All of ``outputs`` run in one region, and its Graph gives what TVM gives; the Graph."""
    mod = module(*outputs)
    cut = partition(mod, CONFIG)
    assert len(regions(cut)) == 1, cut
    feed = random_inputs(mod, np.random.default_rng(seed))
    names = _argument_names(cut["main"].body)
    graph = lower(regions(cut)[0], CONFIG)
    got = zg.call(graph, [_carried(feed[name]) for name in names])
    want = run_llvm(mod, feed)
    assert len(got) == len(want)
    for index, (mine, theirs) in enumerate(zip(got, want)):
        np.testing.assert_array_equal(mine, _carried(theirs), f"output {index}", strict=True)
    return graph


def _carried(array: npt.NDArray[Any]) -> npt.NDArray[np.int8]:
    """uint8 as the int8 that carries it; int8 as it is."""
    if array.dtype == np.uint8:
        return (array.astype(np.int16) - 128).astype(np.int8)
    assert array.dtype == np.int8
    return array


def _argument_names(body: Any) -> Sequence[str]:
    """The inputs of main in the order in which its one region takes them."""
    calls = []
    relay.analysis.post_order_visit(
        body,
        lambda e: (
            calls.append(e)
            if isinstance(e, relay.Call) and isinstance(e.op, relay.GlobalVar)
            else None
        ),
    )
    (call,) = calls
    return [relay.analysis.free_vars(arg)[0].name_hint for arg in call.args]
