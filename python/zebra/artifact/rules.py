"""What must hold between the sections of an artifact, whoever made it.

The native reader (src/artifact/artifact.cc) holds the same rules, but those of layers,
which it does not read.
"""

from __future__ import annotations

import math

import numpy as np

from zebra.codegen.compiled import Compiled, InputPort, LayerSpan, OutputPort
from zebra.errors import ArtifactError
from zebra.hw import HwConfig
from zebra.isa.fields import WORD_BYTES
from zebra.isa.program import Program
from zebra.numerics import INT8_MAX, INT8_MIN

MAX_DRAM_BYTES = 1 << 32
"""A DRAM address has 32 bits."""
MAX_RANK = 8


def packed_bytes(port: InputPort, block: int) -> int:
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
    for layer in compiled.layers:
        _check_layer(layer, len(program.code) // WORD_BYTES, origin)
    for port in compiled.inputs:
        _check_input(port, program, config.block, origin)
    for output in compiled.outputs:
        _check_output(output, program, config.block, origin)


def _check_layer(layer: LayerSpan, instructions: int, origin: str) -> None:
    """Layers are for people, and a profile adds up only where they are right."""
    if not 0 <= layer.first <= layer.last <= instructions:
        raise ArtifactError(
            f"{origin}: layer {layer.name} has instructions {layer.first}..{layer.last} of "
            f"{instructions}; build it again"
        )
    size = layer.last - layer.first
    if layer.parts and len(layer.owners) != size:
        raise ArtifactError(
            f"{origin}: layer {layer.name} says of {len(layer.owners)} instructions which part "
            f"they work for, and has {size}; build it again"
        )
    if not all(0 <= owner < len(layer.parts) for owner in set(layer.owners)):
        raise ArtifactError(
            f"{origin}: layer {layer.name} has instructions of a part that is not one of its "
            f"{len(layer.parts)}; build it again"
        )


def _check_input(port: InputPort, program: Program, block: int, origin: str) -> None:
    n, c, h, w = port.dims
    _check_extents(port.name, port.shape, port.dims, origin)
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
    _check_place(port.name, port.address, packed_bytes(port, block), program, origin)


def _check_output(port: OutputPort, program: Program, block: int, origin: str) -> None:
    """Every piece inside the array and inside DRAM, and every element in one piece."""
    size = math.prod(port.shape)
    for piece, address in zip(port.pieces, port.addresses, strict=True):
        _check_extents(port.name, port.shape, piece.dims, origin)
        n, c, h, w = piece.dims
        last = piece.offset
        last += sum((extent - 1) * stride for extent, stride in zip(piece.dims, piece.strides))
        inside = last < size and piece.first + c <= piece.channels
        if not inside or piece.channels > MAX_DRAM_BYTES:
            raise ArtifactError(
                f"{origin}: tensor {port.name} of shape {port.shape} has a piece of dims "
                f"{piece.dims} that does not lie in it; build it again"
            )
        stored = n * -(-piece.channels // block) * h * w * block
        _check_place(port.name, address, stored, program, origin)
    if not port.pieces or sum(math.prod(piece.dims) for piece in port.pieces) != size:
        raise ArtifactError(
            f"{origin}: tensor {port.name} of shape {port.shape} has pieces of another size; "
            "build it again"
        )
    if not _is_partition(port):
        raise ArtifactError(f"{origin}: tensor {port.name} has pieces that overlap; build it again")


def _is_partition(port: OutputPort) -> bool:
    """Whether pieces that lie inside, and are as large as the array together, do not overlap."""
    taken = np.zeros(math.prod(port.shape), np.bool_)
    for piece in port.pieces:
        piece.of(taken)[:] = True
    return bool(taken.all())


def _check_extents(name: str, shape: tuple[int, ...], dims: tuple[int, ...], origin: str) -> None:
    if len(shape) > MAX_RANK or min((*shape, *dims)) < 1:
        raise ArtifactError(
            f"{origin}: tensor {name} has shape {shape} and dims {dims}; at most "
            f"{MAX_RANK} axes of at least 1 are possible"
        )
    if max(math.prod(shape), math.prod(dims)) > MAX_DRAM_BYTES:
        raise ArtifactError(
            f"{origin}: tensor {name} has shape {shape} and dims {dims}, more than "
            f"{MAX_DRAM_BYTES} elements; build it again"
        )


def _check_place(name: str, address: int, size: int, program: Program, origin: str) -> None:
    if address < program.constant_bytes or address + size > program.dram_bytes:
        raise ArtifactError(
            f"{origin}: tensor {name} at {address}..{address + size} lies outside the arena "
            f"{program.constant_bytes}..{program.dram_bytes}; build it again"
        )


def _check_fold(port: InputPort, origin: str) -> None:
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
