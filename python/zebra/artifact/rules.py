"""What must hold between the sections of an artifact, whoever made it.

The native reader (src/artifact/artifact.cc) holds the same rules.
"""

from __future__ import annotations

import math

from zebra.codegen.compiled import Compiled, TensorPort
from zebra.errors import ArtifactError
from zebra.hw import HwConfig
from zebra.isa.fields import WORD_BYTES
from zebra.isa.program import Program
from zebra.numerics import INT8_MAX, INT8_MIN
from zebra.schedule.fold import NO_FOLD

MAX_DRAM_BYTES = 1 << 32
"""A DRAM address has 32 bits."""
MAX_RANK = 8


def packed_bytes(port: TensorPort, block: int) -> int:
    """DRAM bytes of the folded, blocked value [N][ceil(C / block)][H][W][block]."""
    n, c, h, w = port.packed
    return n * -(-c // block) * h * w * block


def check(config: HwConfig, compiled: Compiled, origin: str) -> None:
    """ArtifactError, with ``origin``, if the parts contradict each other."""
    program = compiled.program
    if len(program.code) % WORD_BYTES:
        raise ArtifactError(
            f"{origin}: the code has {len(program.code)} bytes, not a whole number of "
            f"{WORD_BYTES}-byte instructions; build it again"
        )
    if program.dram_bytes > MAX_DRAM_BYTES or program.constant_bytes > program.dram_bytes:
        raise ArtifactError(
            f"{origin}: {program.dram_bytes} bytes of DRAM with {program.constant_bytes} of "
            f"constants are impossible; at most {MAX_DRAM_BYTES} bytes can be addressed"
        )
    if len(compiled.constants) != program.constant_bytes:
        raise ArtifactError(
            f"{origin}: there are {len(compiled.constants)} bytes of constants and the program "
            f"expects {program.constant_bytes}; build it again"
        )
    for span in program.inputs + program.outputs:
        if span.start < program.constant_bytes or span.stop > program.dram_bytes:
            raise ArtifactError(
                f"{origin}: the span {span.start}..{span.stop} lies outside the arena "
                f"{program.constant_bytes}..{program.dram_bytes}; build it again"
            )
    for port in compiled.inputs + compiled.outputs:
        _check_port(port, program, config.block, origin)
    for port in compiled.outputs:
        if port.fold != NO_FOLD:
            raise ArtifactError(
                f"{origin}: tensor {port.name} is an output and has a fold; only inputs are "
                "folded; build it again"
            )


def _check_port(port: TensorPort, program: Program, block: int, origin: str) -> None:
    n, c, h, w = port.dims
    if len(port.shape) > MAX_RANK or min((*port.shape, *port.dims)) < 1:
        raise ArtifactError(
            f"{origin}: tensor {port.name} has shape {port.shape} and dims {port.dims}; at most "
            f"{MAX_RANK} axes of at least 1 are possible"
        )
    if math.prod(port.dims) > MAX_DRAM_BYTES:
        raise ArtifactError(
            f"{origin}: tensor {port.name} has dims {port.dims}, more than {MAX_DRAM_BYTES} "
            "elements; build it again"
        )
    if port.layout == "NHWC":
        fits = port.shape == (n, h, w, c)
    else:
        fits = port.layout == "NCHW" and math.prod(port.shape) == math.prod(port.dims)
    if not fits:
        raise ArtifactError(
            f"{origin}: tensor {port.name} of shape {port.shape} ({port.layout}) cannot become "
            f"dims {port.dims}; build it again"
        )
    _check_fold(port, origin)
    stop = port.address + packed_bytes(port, block)
    if port.address < program.constant_bytes or stop > program.dram_bytes:
        raise ArtifactError(
            f"{origin}: tensor {port.name} at {port.address}..{stop} lies outside the arena "
            f"{program.constant_bytes}..{program.dram_bytes}; build it again"
        )


def _check_fold(port: TensorPort, origin: str) -> None:
    fold = port.fold
    if min(*fold.taps, *fold.step, *fold.dilation) < 1:
        raise ArtifactError(
            f"{origin}: tensor {port.name} has a fold of taps {fold.taps}, step {fold.step} and "
            f"dilation {fold.dilation}; each must be at least 1; build it again"
        )
    if not INT8_MIN <= fold.pad_value <= INT8_MAX:
        raise ArtifactError(
            f"{origin}: tensor {port.name} has a fold with pad value {fold.pad_value}, which is "
            "not an int8; build it again"
        )
    if min(port.packed) < 1:
        raise ArtifactError(
            f"{origin}: tensor {port.name} has a fold that leaves no pixel of dims {port.dims}; "
            "build it again"
        )
