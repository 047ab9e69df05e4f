"""Run a Compiled on the golden semantics."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from zebra.codegen import Compiled
from zebra.codegen.constants import pack_activation
from zebra.hw import HwConfig
from zebra.isa.semantics import execute


def run_golden(
    compiled: Compiled, config: HwConfig, inputs: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Values [N, C, H, W] of the outputs by name; inputs are given the same way."""
    dram = np.zeros(compiled.program.dram_bytes, np.uint8)
    dram[: len(compiled.constants)] = np.frombuffer(compiled.constants, np.uint8)
    for port in compiled.inputs:
        packed = pack_activation(port.fold.apply(inputs[port.name]), config.block)
        dram[port.address : port.address + packed.size] = packed.reshape(-1).view(np.uint8)
    execute(compiled.program, config, dram)
    outputs = {}
    for port in compiled.outputs:
        n, c, h, w = port.dims
        shape = (n, -(-c // config.block), h, w, config.block)
        span = dram[port.address : port.address + int(np.prod(shape))].view(np.int8)
        value = span.reshape(shape).transpose(0, 1, 4, 2, 3).reshape(n, -1, h, w)
        outputs[port.name] = value[:, :c]
    return outputs
