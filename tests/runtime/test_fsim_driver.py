"""The Python driver: refusals and their sentences, concurrency, packing of tensors."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.runtime.outcomes import simulated
from tests.support.artifacts import output_port
from tests.support.programs import legal_program, small_config

from zebra.codegen.compiled import Compiled, InputPort
from zebra.errors import (
    AddressError,
    DriverError,
    EncodingError,
    EnvironmentMismatchError,
    InputError,
    OperandError,
    TokenError,
    UninitializedError,
    ZebraError,
)
from zebra.isa.codec import encode_program
from zebra.isa.insns import (
    DmaLevel,
    Fill,
    FillLevel,
    Gemm,
    Insn,
    Load,
    Memory,
    Post,
    PostLevel,
    Store,
)
from zebra.isa.program import Program, Span
from zebra.runtime import native
from zebra.runtime.fsim import hw_sizes, pack_input, run_compiled, run_program, unpack_output

CONFIG = small_config(2, 0, 0, 16)
BLOCK = CONFIG.block
DRAM = 64


def run(*insns: Insn, **contract: object) -> None:
    code = encode_program(insns)
    program = replace(Program(code, DRAM, 16), **contract)  # type: ignore[arg-type]
    run_program(program, CONFIG, np.zeros(program.dram_bytes, np.uint8))


REFUSALS: dict[str, tuple[tuple[Insn, ...], type[ZebraError], str]] = {
    "own_token": (
        (Fill(wait=1),),
        OperandError,
        r"instruction 0 \(FILL\): wait = 1 names its own engine LOAD",
    ),
    "iterations": (
        (Fill(loops=(FillLevel(65536), FillLevel(257))),),
        OperandError,
        r"\(FILL\): at least 16842752 iterations are more than 16777216; split the nest",
    ),
    "lanes": (
        (Fill(), Load(lane=3, lanes=2)),
        OperandError,
        r"instruction 1 \(LOAD\): lane 3 \+ lanes 2 = 5 is more than BLOCK = 4",
    ),
    "load_acc": ((Load(memory=Memory.ACC),), OperandError, "memory = ACC cannot be loaded"),
    "partial_tile": (
        (Load(memory=Memory.WGT, lanes=3),),
        OperandError,
        "must be 0, 4, 1, 0: WGT takes whole entries",
    ),
    "store_one_byte": (
        (Store(lanes=2, lane_stride=0),),
        OperandError,
        "lane_stride = 0 stores 2 lanes to one byte",
    ),
    "clamp": ((Post(low=3, high=2),), OperandError, "low = 3 is above high = 2"),
    "overlap": (
        (Post(a_memory=Memory.ACT, dst=1, loops=(PostLevel(2, 1, 1),)),),
        OperandError,
        r"dst: ACT vectors 1..2 overlaps a: ACT vectors 0..1; keep them apart",
    ),
    "no_token": (
        (Gemm(wait=1),),
        TokenError,
        "waits for a token from LOAD, but none is there; an earlier LOAD instruction must",
    ),
    "left_token": (
        (Fill(signal=4),),
        TokenError,
        r"the program ends with 1 token\(s\) from LOAD to VEC",
    ),
    "beyond_act": (
        (Fill(loops=(FillLevel(65, 1),)),),
        AddressError,
        r"\(FILL\): destination: ACT vectors 0..64 leaves the memory's 64 vectors",
    ),
    "beyond_dram": (
        (Load(dram=1 << 31, loops=(DmaLevel(65536, (1 << 32) - 1),)),),
        AddressError,
        "source: DRAM bytes 2147483648..281472829161473 leaves the memory's 64 bytes",
    ),
    "store_constants": (
        (Fill(signal=8), Store(wait=1, dram=15)),
        AddressError,
        "destination: DRAM bytes 15..15 starts inside the 16 constant bytes",
    ),
    "unwritten_act": (
        (Store(dram=16, sram=3),),
        UninitializedError,
        r"instruction 0 \(STORE\): source reads ACT vector 3, which nothing wrote",
    ),
    "unwritten_dram": (
        (Load(dram=14, lanes=4),),
        UninitializedError,
        "source reads DRAM byte 16, which nothing wrote",
    ),
    "shift": (
        (
            Load(memory=Memory.PAR, lanes=BLOCK, signal=4, loops=(DmaLevel(3, 0, 1),)),
            Fill(signal=4),
            Post(wait=1, a_memory=Memory.ACT),
            Post(wait=1, a_memory=Memory.ACT),
        ),
        OperandError,
        r"instruction 2 \(POST\): shift of group 0, lane 0, = 0 must be 1..62",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals_name_instruction_field_and_limit(name: str) -> None:
    insns, kind, text = REFUSALS[name]
    with pytest.raises(kind, match=text):
        run(*insns)


def test_wide_multiplier_without_wide_is_refused() -> None:
    vectors = np.zeros((3, BLOCK), "<i4")
    vectors[1], vectors[2] = (1 << 16) + 1, 1
    program = Program(
        encode_program(
            [
                Load(memory=Memory.PAR, lanes=BLOCK, loops=(DmaLevel(3, 4 * BLOCK, 1),)),
                Load(memory=Memory.WGT, lanes=BLOCK),
                Fill(signal=6),
                Gemm(wait=1, overwrite=True, signal=4),
                Post(wait=3),
            ]
        ),
        48,
        48,
    )
    with pytest.raises(OperandError, match=r"= 65537 has more than MULT_WIDTH = 16 significant"):
        run_program(program, CONFIG, np.frombuffer(vectors.tobytes(), np.uint8).copy())


def test_code_that_is_no_instruction_is_refused() -> None:
    with pytest.raises(EncodingError, match="code of 65 bytes is not a whole number of 64-byte"):
        run(code=bytes(65))
    with pytest.raises(EncodingError, match="instruction 0: opcode 0 is not an instruction"):
        run(code=bytes(64))
    unused = bytearray(encode_program([Fill()]))
    unused[63] = 1
    with pytest.raises(EncodingError, match=r"instruction 0 \(FILL\): unused bits are set"):
        run(code=bytes(unused))


def test_contract_is_checked() -> None:
    with pytest.raises(AddressError, match="output span of 2 bytes at 63 leaves the DRAM of 64"):
        run(outputs=(Span(63, 2),))
    with pytest.raises(AddressError, match=r"input span of .* leaves the DRAM of 64 bytes"):
        run(inputs=(Span((1 << 64) - 1, (1 << 64) - 1),))
    with pytest.raises(AddressError, match="65 constant bytes do not fit the DRAM of 64 bytes"):
        run(constant_bytes=65)
    with pytest.raises(UninitializedError, match=r"output span 20..24 .* missing byte is 20"):
        run(outputs=(Span(20, 4),))


def test_arguments_are_checked() -> None:
    program = Program(b"", DRAM)
    dram = np.zeros(DRAM, np.uint8)
    with pytest.raises(InputError, match=r"dram is int8 of shape \(64,\); the program needs uint8"):
        run_program(program, CONFIG, dram.view(np.int8))  # type: ignore[arg-type]
    frozen = np.frombuffer(bytes(DRAM), np.uint8)
    with pytest.raises(InputError, match="dram must be contiguous and writable"):
        run_program(program, CONFIG, frozen)
    with pytest.raises(InputError, match="dram must be contiguous and writable"):
        run_program(program, CONFIG, np.zeros(2 * DRAM, np.uint8)[::2])
    with pytest.raises(DriverError, match="fsim has no kernel mmx; the kernels are auto, port"):
        run_program(program, CONFIG, dram, kernel="mmx")
    with pytest.raises(DriverError, match="cannot run on -1 threads"):
        run_program(program, CONFIG, dram, threads=-1)


@pytest.mark.parametrize(
    ("size", "value", "text"),
    [
        ("block", 3, "block = 3 is outside 4..128"),
        ("block", 24, "block = 24 is not a power of two"),
        ("act", 0, "act = 0 is outside 1.."),
        ("wgt", (1 << 32) - 1, "wgt = 4294967295 is outside 1..2097152"),
        ("mult_width", 32, "mult_width = 32 is outside 8..31"),
    ],
)
def test_impossible_sizes_are_refused(size: str, value: int, text: str) -> None:
    job = native.Job()
    job.sizes = hw_sizes(CONFIG)
    setattr(job.sizes, size, value)
    with pytest.raises(DriverError, match=text):
        native.run_job(job)


@pytest.mark.parametrize("field", ["code_bytes", "dram_bytes", "input_count", "output_count"])
def test_null_pointers_are_refused(field: str) -> None:
    job = native.Job()
    job.sizes = hw_sizes(CONFIG)
    setattr(job, field, 64)
    with pytest.raises(DriverError, match="null pointer"):
        native.run_job(job)


def test_an_unknown_kernel_number_is_refused() -> None:
    with pytest.raises(DriverError, match="unknown kernel"):
        native.run_job(native.Job(kernel=9))


def test_a_long_message_is_cut_to_the_buffer() -> None:
    library = native.load_simulator()
    text = ctypes.create_string_buffer(b"x" * 8, 8)
    job, counters = native.Job(kernel=9), native.NativeCounters()
    assert library.zebra_sim_run(job, counters, text, 5) == 7
    assert text.raw == b"fsim\0xxx"


def test_runs_at_once_do_not_disturb_each_other() -> None:
    cases = [legal_program(seed) for seed in range(24)] * 4
    expected = [simulated(case, threads=1) for case in cases]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(simulated, cases)) == expected


FORK = """
import os, sys
from tests.runtime.test_fsim_nests import NESTS, gemm_case
from tests.runtime.outcomes import simulated
block, loops = NESTS["conv3x3"]
case = gemm_case(block, *loops)
expected = simulated(case, threads=2)
child = os.fork()
same = simulated(case, threads=2) == expected
if child == 0:
    os._exit(0 if same else 1)
sys.exit(0 if same and os.waitpid(child, 0)[1] == 0 else 1)
"""


def test_a_forked_child_can_run() -> None:
    root = Path(__file__).parents[2]
    path = [str(root), str(root / "python")]
    code = f"import sys; sys.path[:0] = {path!r}\n{FORK}"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0


def test_a_missing_library_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(native, "candidates", lambda name: iter([tmp_path / name]))
    with pytest.raises(
        EnvironmentMismatchError,
        match=rf"^the native library libzebra_sim.so is not in {tmp_path}; install the tvm-zebra",
    ):
        native.find_library()


PORTS = {
    "NCHW": InputPort("x", (2, 5, 3, 2), "NCHW", (2, 5, 3, 2), 0),
    "NHWC": InputPort("x", (2, 3, 2, 5), "NHWC", (2, 5, 3, 2), 0),
    "flat": InputPort("x", (2, 30), "NCHW", (2, 30, 1, 1), 0),
}


@pytest.mark.parametrize("name", PORTS)
def test_tensors_are_packed_as_the_architecture_says(name: str) -> None:
    port = PORTS[name]
    array = np.arange(60, dtype=np.int8).reshape(port.shape)
    n, c, h, w = port.dims
    value = array.transpose(0, 3, 1, 2) if port.layout == "NHWC" else array.reshape(port.dims)
    packed = pack_input(port, BLOCK, array)
    blocks = packed.view(np.int8).reshape(n, -(-c // BLOCK), h, w, BLOCK)
    for i in np.ndindex(blocks.shape):
        channel = i[1] * BLOCK + i[4]
        expected = value[i[0], channel, i[2], i[3]] if channel < c else 0
        assert blocks[i] == expected
    output = replace(output_port("x", port.dims, 0, port.layout), shape=port.shape)
    assert (unpack_output(output, BLOCK, packed) == array).all()


def copy_program(config_block: int) -> Compiled:
    """A program that copies a value [1, 6, 3, 2] from DRAM 0 to DRAM 64."""
    vectors, block = 12, config_block
    levels = (DmaLevel(vectors, block, 1),)
    insns: list[Insn] = [
        Load(lanes=block, signal=8, loops=levels),
        Store(wait=1, dram=64, lanes=block, loops=levels),
    ]
    size = vectors * block
    program = Program(encode_program(insns), 64 + size, 0, (Span(0, size),), (Span(64, size),))
    source = InputPort("x", (1, 6, 3, 2), "NCHW", (1, 6, 3, 2), 0)
    target = output_port("y", (1, 6, 3, 2), 64, "NHWC")
    return Compiled("copy", program, b"", (source,), (target,), ())


def test_run_compiled_packs_runs_and_unpacks() -> None:
    x = np.random.default_rng(3).integers(-128, 128, (1, 6, 3, 2), np.int8)
    (y,), counters = run_compiled(copy_program(BLOCK), CONFIG, [x])
    assert (y == x.transpose(0, 2, 3, 1)).all()
    assert counters.dram_read_bytes == counters.dram_written_bytes == 48
    assert counters.instructions == [1, 0, 0, 1]


def test_run_compiled_refuses_wrong_inputs() -> None:
    compiled = copy_program(BLOCK)
    with pytest.raises(InputError, match="copy takes 1 inputs, 0 were given"):
        run_compiled(compiled, CONFIG, [])
    with pytest.raises(
        InputError, match=r"input x is int8 of shape \(6, 3, 2\); the program needs int8 of shape"
    ):
        run_compiled(compiled, CONFIG, [np.zeros((6, 3, 2), np.int8)])
