"""The functional simulator as a driver: fast, exact, checked."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from zebra.codegen.compiled import Compiled, InputPort, OutputPort
from zebra.codegen.constants import pack_activation
from zebra.errors import DriverError, InputError
from zebra.hw import HwConfig
from zebra.isa.program import Program, Span
from zebra.isa.semantics import Counters
from zebra.runtime.native import KERNELS, HwSizes, Job, NativeSpan, run_job

Int8s = npt.NDArray[np.int8]


def hw_sizes(config: HwConfig) -> HwSizes:
    """The sizes of ``config`` as the library takes them."""
    return HwSizes(
        config.rows,
        config.block,
        config.act_entries,
        config.wgt_entries,
        config.acc_entries,
        config.par_entries,
        config.tab_entries,
        config.mult_width,
    )


def _spans(spans: Sequence[Span]) -> tuple[ctypes.Array[NativeSpan], int]:
    """The spans as ZebraSpan structs."""
    natives = [NativeSpan(span.start, span.size) for span in spans]
    return (NativeSpan * len(natives))(*natives), len(natives)


def job_of(
    program: Program, config: HwConfig, dram: int | None = None, threads: int = 0, kernel: int = 0
) -> Job:
    """A program as the library takes it; ``dram`` is the address of its DRAM, if it is to run."""
    return Job(
        hw_sizes(config),
        threads,
        kernel,
        program.code,
        len(program.code),
        dram,
        program.dram_bytes,
        program.constant_bytes,
        *_spans(program.inputs),
        *_spans(program.outputs),
    )


def run_program(
    program: Program,
    config: HwConfig,
    dram: npt.NDArray[np.uint8],
    threads: int = 0,
    kernel: str = "auto",
) -> Counters:
    """Run ``program`` on ``dram``, uint8 [dram_bytes], in place.

    ``threads`` 0 means all cores; ``kernel`` is a name of native.KERNELS. Raises
    what zebra.isa.semantics.execute raises; DriverError if this CPU lacks the
    kernel; InputError if ``dram`` is not a writable array of the program's size.
    """
    if dram.shape != (program.dram_bytes,) or dram.dtype != np.uint8:
        raise InputError(
            f"dram is {dram.dtype} of shape {dram.shape}; the program needs uint8 of shape "
            f"({program.dram_bytes},)"
        )
    if not (dram.flags.c_contiguous and dram.flags.writeable):
        raise InputError("dram must be contiguous and writable; pass a copy")
    if kernel not in KERNELS:
        raise DriverError(f"fsim has no kernel {kernel}; the kernels are {', '.join(KERNELS)}")
    if threads < 0:
        raise DriverError(f"fsim cannot run on {threads} threads; 0 means all cores")
    counters = run_job(job_of(program, config, dram.ctypes.data, threads, KERNELS[kernel]))
    return Counters(
        list(counters.instructions),
        list(counters.iterations),
        counters.dram_read_bytes,
        counters.dram_written_bytes,
        counters.macs,
    )


def pack_input(port: InputPort, block: int, array: Int8s) -> npt.NDArray[np.uint8]:
    """The bytes of ``array``, int8 of the port's shape, as DRAM holds it; padding lanes are 0."""
    if array.dtype != np.int8 or array.shape != port.shape:
        raise InputError(
            f"input {port.name} is {array.dtype} of shape {array.shape}; the program needs int8 "
            f"of shape {port.shape}"
        )
    value = array.transpose(0, 3, 1, 2) if port.layout == "NHWC" else array.reshape(port.dims)
    packed = pack_activation(port.fold.apply(value), block)
    return np.ascontiguousarray(packed).reshape(-1).view(np.uint8)


def unpack_output(port: OutputPort, block: int, dram: npt.NDArray[np.uint8]) -> Int8s:
    """The int8 array of the port's shape from all bytes of DRAM."""
    dense = np.zeros(math.prod(port.shape), np.int8)
    for piece, address in zip(port.pieces, port.addresses, strict=True):
        n, c, h, w = piece.dims
        stored = (n, -(-piece.channels // block), h, w, block)
        lanes_last = dram[address : address + math.prod(stored)].view(np.int8).reshape(stored)
        value = lanes_last.transpose(0, 1, 4, 2, 3).reshape(n, -1, h, w)
        piece.of(dense)[:] = value[:, piece.first : piece.first + c]
    return dense.reshape(port.shape)


def run_compiled(
    compiled: Compiled,
    config: HwConfig,
    inputs: Sequence[Int8s],
    threads: int = 0,
    kernel: str = "auto",
) -> tuple[list[Int8s], Counters]:
    """Outputs in the order of ``compiled.outputs`` for inputs in the order of its inputs.

    InputError if the number, a shape or a dtype of the inputs is wrong; else as
    run_program.
    """
    if len(inputs) != len(compiled.inputs):
        raise InputError(
            f"{compiled.name} takes {len(compiled.inputs)} inputs, {len(inputs)} were given"
        )
    dram = np.zeros(compiled.program.dram_bytes, np.uint8)
    dram[: len(compiled.constants)] = np.frombuffer(compiled.constants, np.uint8)
    for port, array in zip(compiled.inputs, inputs, strict=True):
        packed = pack_input(port, config.block, array)
        dram[port.address : port.address + packed.size] = packed
    counters = run_program(compiled.program, config, dram, threads, kernel)
    outputs = [unpack_output(port, config.block, dram) for port in compiled.outputs]
    return outputs, counters
