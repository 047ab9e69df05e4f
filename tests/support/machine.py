"""Run a Compiled on the golden semantics."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from zebra.codegen import Compiled
from zebra.codegen.constants import pack_activation
from zebra.hw import HwConfig
from zebra.isa.semantics import execute


def run_golden(
    compiled: Compiled, config: HwConfig, inputs: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Outputs by name, in their ports' shapes; inputs are values [N, C, H, W]."""
    dram = np.zeros(compiled.program.dram_bytes, np.uint8)
    dram[: len(compiled.constants)] = np.frombuffer(compiled.constants, np.uint8)
    for port in compiled.inputs:
        packed = pack_activation(port.fold.apply(inputs[port.name]), config.block)
        dram[port.address : port.address + packed.size] = packed.reshape(-1).view(np.uint8)
    execute(compiled.program, config, dram)
    outputs = {}
    for port in compiled.outputs:
        dense = np.zeros(math.prod(port.shape), np.int8)
        for piece, address in zip(port.pieces, port.addresses, strict=True):
            n, c, h, w = piece.dims
            shape = (n, -(-piece.channels // config.block), h, w, config.block)
            span = dram[address : address + math.prod(shape)].view(np.int8)
            value = span.reshape(shape).transpose(0, 1, 4, 2, 3).reshape(n, -1, h, w)
            index = np.indices(piece.dims).reshape(4, -1).T @ np.array(piece.strides)
            dense[piece.offset + index] = value[:, piece.first : piece.first + c].reshape(-1)
        outputs[port.name] = dense.reshape(port.shape)
    return outputs
