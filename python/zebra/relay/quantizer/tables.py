"""Element-wise chains as tables: the float function at the 256 values of its input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import tvm
from tvm import relay

from zebra.relay.quantizer.rewriting import (
    Expr,
    FloatArray,
    rebuilt,
    value_of,
)
from zebra.relay.quantizer.running import FloatRunner
from zebra.relay.quantizer.scales import QParams
from zebra.relay.quantizer.steps import Chain

LEVELS: npt.NDArray[np.int8] = np.arange(256, dtype=np.uint8).view(np.int8)
"""The int8 value of each table index: the index is the byte read as unsigned."""

Table = npt.NDArray[np.int8]


def requantization_table(source: QParams, result: QParams) -> Table:
    """Table int8[256] from one scale and zero point to another."""
    return result.quantize(source.dequantize(LEVELS))


def chain_tables(chains: Sequence[Chain], params: Mapping[Expr, QParams]) -> dict[Expr, Table]:
    """{chain's value: table int8[256]}.

    All chains are compiled together, for plain llvm: tables do not depend on
    the machine they are made on.
    """
    if not chains:
        return {}
    variables = [relay.var(f"x{i}", shape=(256,), dtype="float32") for i in range(len(chains))]
    values = [_on_vector(chain, variable) for chain, variable in zip(chains, variables)]
    runner = FloatRunner(variables, values, tvm.target.Target("llvm"))
    inputs = {
        variable.name_hint: params[chain.inputs[0]].dequantize(LEVELS)
        for chain, variable in zip(chains, variables)
    }
    return {
        chain.expr: params[chain.expr].quantize(_defined(output))
        for chain, output in zip(chains, runner.run(inputs))
    }


def _on_vector(chain: Chain, variable: Expr) -> Expr:
    """The chain's function applied to ``variable`` (float32 [256]) in place of its input."""

    def scalar(node: Expr) -> Expr:
        constant = value_of(node)
        return node if constant is None else relay.const(constant.reshape(()))

    return rebuilt(chain.expr, {chain.inputs[0]: variable}, scalar)


def _defined(output: FloatArray) -> FloatArray:
    """NaN (a logarithm's below zero, say) takes the value of the nearest level that has one."""
    order = np.argsort(LEVELS)
    values = output[order].astype(np.float64)
    good = np.flatnonzero(~np.isnan(values))
    if len(good) == 0:
        return np.zeros_like(output)
    nearest = good[np.abs(np.arange(256)[:, None] - good).argmin(axis=1)]
    result = np.empty_like(values)
    result[order] = values[nearest]
    return result
