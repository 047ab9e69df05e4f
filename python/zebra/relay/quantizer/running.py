"""Running float Relay expressions, for calibration and for tables."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy.typing as npt
import tvm
from tvm import autotvm, relay
from tvm.contrib import graph_executor

from zebra.relay.host_build import quick_build
from zebra.relay.quantizer.rewriting import Expr

BUILD_CONFIG = {"tir.disable_cse_tir": True}
"""LLVM 22 refuses the debug records of the floats that this pass names: no bilinear resize."""


UNNEEDED = (
    "qnn.Legalize",
    "SimplifyExpr",
    "FlattenAtrousConv",
    "FoldScaleAxis",
    "SimplifyExprPostAlterOp",
)
"""Passes that a float network runs without: TVM infers all its types again around each."""


def host_target() -> tvm.target.Target:
    """This CPU, by its LLVM name: fast, and good for float only (int8 is not exact on it)."""
    return tvm.target.Target(f"llvm -mcpu={tvm.target.codegen.llvm_get_system_cpu()}")


@contextmanager
def _quiet() -> Iterator[None]:
    """Build without asking the network for tuned schedules and without advice about them."""
    silent = autotvm.GLOBAL_SCOPE.silent
    advice = logging.getLogger("strategy")
    level = advice.level
    advice.setLevel(logging.ERROR)
    autotvm.GLOBAL_SCOPE.silent = True
    try:
        with autotvm.apply_history_best([]), quick_build():
            yield
    finally:
        autotvm.GLOBAL_SCOPE.silent = silent
        advice.setLevel(level)


class FloatRunner:
    """Computes ``values``, float expressions of ``params``, with one compiled function.

    ``fuse`` False, for float operators only, compiles several times as fast; with
    every value an output there is little to fuse in a whole network.
    """

    def __init__(
        self,
        params: Sequence[Expr],
        values: Sequence[Expr],
        target: tvm.target.Target,
        *,
        fuse: bool = True,
    ) -> None:
        function = relay.Function(list(params), relay.Tuple(list(values)))
        passes = tvm.transform.PassContext(
            opt_level=3 if fuse else 0,
            disabled_pass=() if fuse else UNNEEDED,
            config=BUILD_CONFIG,
        )
        with _quiet(), passes:
            library = relay.build(tvm.IRModule.from_expr(function), target=target)
        self._module = graph_executor.GraphModule(library["default"](tvm.cpu()))

    def run(self, inputs: Mapping[str, npt.NDArray[Any]]) -> Iterator[npt.NDArray[Any]]:
        """The values, one at a time, for one set of inputs."""
        for name, array in inputs.items():
            self._module.set_input(name, array)
        self._module.run()
        for index in range(self._module.get_num_outputs()):
            yield self._module.get_output(index).numpy()
