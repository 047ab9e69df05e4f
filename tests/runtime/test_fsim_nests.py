"""Each kind of nest equals the golden model, on every kernel and number of threads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from tests.runtime.outcomes import KERNELS, golden, simulated
from tests.support.programs import Case, small_config

from zebra.hw import HwConfig, find_config
from zebra.isa.codec import encode_program
from zebra.isa.insns import (
    Accum,
    AccumLevel,
    AccumOp,
    DmaLevel,
    Engine,
    Fill,
    FillLevel,
    Gemm,
    GemmLevel,
    Insn,
    Load,
    Memory,
    Post,
    PostLevel,
    PostOp,
    Store,
)
from zebra.isa.program import Program, Span
from zebra.isa.semantics import Counters
from zebra.runtime.fsim import run_program


def config_of(block: int) -> HwConfig:
    """The default accelerator with another BLOCK and memories for a nest of millions of MACs."""
    log = block.bit_length() - 1
    keys = find_config("zebra").to_mapping()
    sizes = {"LOG_ACT_BUFF_SIZE": 18, "LOG_WGT_BUFF_SIZE": 19, "LOG_ACC_BUFF_SIZE": 19}
    return HwConfig.from_mapping(f"block{block}", {**keys, **sizes, "LOG_BLOCK": log})


def gemm_case(block: int, *loops: GemmLevel, overwrite: bool = False) -> Case:
    """A GEMM over random ACT, WGT and ACC, and every byte of its accumulators in DRAM.

    Output byte plane k holds bits 8k..8k+7 (rounded): a POST shifts them to the top of the
    word, another one takes the top as int8.
    """
    config, rng = config_of(block), np.random.default_rng(block)
    acts, tiles, accs = (
        1 + sum((level.extent - 1) * getattr(level, operand) for level in loops)
        for operand in ("act", "wgt", "acc")
    )
    tiles_at, parameters_at = acts * block, (acts + tiles * block) * block
    parameters = np.zeros((5, 3, block), "<i4")
    parameters[:4, 1], parameters[:4, 2] = 1 << 30, np.arange(6, 31, 8)[:, None]
    parameters[4, 1], parameters[4, 2] = 1, 24
    constants = rng.integers(-128, 128, parameters_at, np.int8).tobytes() + parameters.tobytes()
    load, vec = mask(Engine.LOAD), mask(Engine.VEC)
    weights = DmaLevel(tiles, block * block, 1)
    groups = DmaLevel(15, 4 * block, 1)
    insns: list[Insn] = [
        Load(lanes=block, loops=(DmaLevel(acts, block, 1),)),
        Load(memory=Memory.WGT, dram=tiles_at, lanes=block, loops=(weights,)),
        Load(memory=Memory.PAR, dram=parameters_at, lanes=block, signal=6, loops=(groups,)),
        Accum(
            op=AccumOp.SUM,
            overwrite=True,
            wait=load,
            signal=mask(Engine.GEMM),
            loops=(AccumLevel(accs, 0, 1),),
        ),
        Gemm(overwrite=overwrite, wait=load | vec, signal=vec, loops=loops),
    ]
    move = (PostLevel(accs, 1, 1),)
    for byte in range(4):
        wait = mask(Engine.GEMM) if byte == 0 else 0
        up = Post(dst_memory=Memory.ACC, dst=accs, par=3 * byte, wait=wait, loops=move)
        signal = mask(Engine.STORE) if byte == 3 else 0
        down = Post(a=accs, dst=byte * accs, par=12, signal=signal, loops=move)
        insns += [up, down]
    output = Span(len(constants), 4 * accs * block)
    vectors = DmaLevel(4 * accs, block, 1)
    insns.append(Store(wait=vec, dram=output.start, lanes=block, loops=(vectors,)))
    program = Program(encode_program(insns), output.stop, output.start, (), (output,))
    return Case(0, program, config, constants + bytes(output.size), constants)


def mask(engine: Engine) -> int:
    return 1 << engine


def conv(kernel: int, size: int, ins: int, outs: int, stride: int = 1) -> tuple[GemmLevel, ...]:
    """The nest of a convolution of [ins, ., .] to [outs, size, size] blocks."""
    side = (size - 1) * stride + kernel
    return (
        GemmLevel(size, stride, 0, 1),
        GemmLevel(size, stride * side, 0, size),
        GemmLevel(kernel, 1, 1, 0),
        GemmLevel(kernel, side, kernel, 0),
        GemmLevel(ins, side * side, kernel * kernel, 0),
        GemmLevel(outs, 0, ins * kernel * kernel, size * size),
    )


NESTS: dict[str, tuple[int, tuple[GemmLevel, ...]]] = {
    "conv3x3": (16, conv(3, 14, 4, 4)),
    "conv_stride2": (16, conv(3, 13, 2, 5, 2)),
    "two_panels": (16, conv(3, 9, 2, 2)),
    "three_panels": (16, conv(2, 11, 2, 7)),
    "conv_block4": (4, conv(3, 19, 3, 7)),
    "conv_block8": (8, conv(2, 17, 3, 6)),
    "conv_block32": (32, conv(3, 7, 2, 3)),
    "conv_block64": (64, conv(1, 11, 2, 2)),
    "conv_block128": (128, conv(1, 9, 2, 1)),
    "dense": (16, (GemmLevel(1), GemmLevel(40, 1, 40, 0), GemmLevel(40, 0, 1, 1))),
    "grouped": (16, (GemmLevel(50, 1, 0, 1), GemmLevel(9, 50, 1, 50), GemmLevel(3, 2, 9, 0))),
    "weights_per_pixel": (16, (GemmLevel(60, 1, 1, 1), GemmLevel(4, 60, 2, 0))),
    "long_reduction": (4, (GemmLevel(3, 0, 0, 1), GemmLevel(90, 1, 0, 0), GemmLevel(91, 3, 1, 0))),
    "accumulators_overlap": (16, (GemmLevel(6, 1, 0, 1), GemmLevel(5, 2, 1, 2), GemmLevel(2, 1))),
    "accumulators_twice": (
        4,
        (GemmLevel(4, 1, 0, 2), GemmLevel(3, 1, 1, 0), GemmLevel(4, 5, 1, 2)),
    ),
}


@pytest.mark.parametrize("overwrite", [False, True], ids=["add", "overwrite"])
@pytest.mark.parametrize("nest", NESTS)
def test_gemm_nests_equal_golden(nest: str, overwrite: bool) -> None:
    block, loops = NESTS[nest]
    case = gemm_case(block, *loops, overwrite=overwrite)
    expected = golden(case)
    assert isinstance(expected[0], Counters)
    for kernel in KERNELS:
        for threads in (1, 2, 5):
            assert simulated(case, kernel, threads) == expected, (kernel, threads)


def extremes(block: int, act: int, wgt: int) -> Case:
    """Every activation ``act``, every weight ``wgt``: the sums that saturating kernels spoil."""
    case = gemm_case(block, GemmLevel(7, 1, 0, 1), GemmLevel(30, 2, 1, 0))
    gemm_bytes = len(case.constants) - 60 * block
    acts = (1 + 6 + 29 * 2) * block
    image = np.frombuffer(case.dram, np.int8).copy()
    image[:acts], image[acts:gemm_bytes] = act, wgt
    return replace(case, dram=image.tobytes(), constants=image[: len(case.constants)].tobytes())


@pytest.mark.parametrize("act", [-128, 127])
@pytest.mark.parametrize("wgt", [-128, 127])
@pytest.mark.parametrize("block", [4, 16, 64])
def test_extreme_values_do_not_saturate(block: int, act: int, wgt: int) -> None:
    case = extremes(block, act, wgt)
    expected = golden(case)
    for kernel in KERNELS:
        assert simulated(case, kernel) == expected, kernel


def vec_program(config: HwConfig, insns: list[Insn], data: npt.NDArray[np.uint8]) -> Case:
    """``insns`` of VEC between a prologue that writes all memories and a STORE of all of ACT."""
    block, act, acc = config.block, config.act_entries, config.acc_entries
    vec, load = mask(Engine.VEC), mask(Engine.LOAD)
    prologue: list[Insn] = [
        Load(lanes=block, loops=(DmaLevel(act, block, 1),)),
        Load(memory=Memory.TAB, lanes=block),
        Load(
            memory=Memory.PAR,
            dram=256,
            lanes=block,
            signal=vec,
            loops=(DmaLevel(6, 4 * block, 1),),
        ),
        Accum(
            op=AccumOp.SUM,
            overwrite=True,
            wait=load,
            loops=(AccumLevel(acc // 2, 1, 1), AccumLevel(2, acc // 2, acc // 2)),
        ),
    ]
    last = replace(insns[-1], signal=mask(Engine.STORE))
    store = Store(wait=vec, dram=data.size, lanes=block, loops=(DmaLevel(act, block, 1),))
    size = data.size + act * block
    program = Program(
        encode_program([*prologue, *insns[:-1], last, store]),
        size,
        data.size,
        (),
        (Span(data.size, act * block),),
    )
    return Case(0, program, config, data.tobytes() + bytes(act * block), data.tobytes())


def vec_data(config: HwConfig) -> npt.NDArray[np.uint8]:
    """Random ACT and TAB; behind 256 bytes two groups of parameters, 31-bit and narrow."""
    block, rng = config.block, np.random.default_rng(7)
    data = rng.integers(0, 256, max(config.act_entries, 64) * block + 1024, np.uint8)
    parameters = rng.integers(-(1 << 31), 1 << 31, (2, 3, block)).astype("<i4")
    parameters[:, 1] = rng.integers(0, 1 << 31, (2, block)) & ~0xFFFF
    parameters[:, 2] = rng.integers(1, 63, (2, block))
    data[256 : 256 + 24 * block] = np.frombuffer(parameters.tobytes(), np.uint8)
    return data


@pytest.mark.parametrize("truncate", [False, True], ids=["upward", "truncate"])
@pytest.mark.parametrize("memory", [Memory.ACT, Memory.ACC], ids=lambda memory: memory.name)
@pytest.mark.parametrize("op", PostOp, ids=lambda op: op.name)
@pytest.mark.parametrize("log_block", [2, 3, 4, 5])
def test_post_equals_golden(log_block: int, op: PostOp, memory: Memory, truncate: bool) -> None:
    config = small_config(log_block, 0, 2, 16)
    count = config.acc_entries
    first = Post(
        op=op,
        truncate=truncate,
        wide=True,
        dst_memory=memory,
        a_memory=memory,
        offset=-7,
        loops=(PostLevel(count, 1, 1, 1, 0),),
    )
    second = Post(
        lookup=True, wide=True, low=-100, high=90, dst=count, loops=(PostLevel(count, 1, 1, 0, 0),)
    )
    case = vec_program(config, [first, second], vec_data(config))
    expected = golden(case)
    assert isinstance(expected[0], Counters)
    for kernel in KERNELS:
        assert simulated(case, kernel) == expected, kernel


@pytest.mark.parametrize("overwrite", [False, True], ids=["add", "overwrite"])
@pytest.mark.parametrize("op", AccumOp, ids=lambda op: op.name)
@pytest.mark.parametrize("log_block", [2, 3, 4, 5])
def test_accum_equals_golden(log_block: int, op: AccumOp, overwrite: bool) -> None:
    config = small_config(log_block, 0, 2, 16)
    window = (
        AccumLevel(6, 1, 1),
        AccumLevel(3, 1, 0, 1),
        AccumLevel(4, 8, 7),
        AccumLevel(2, 8, 0, 3),
    )
    pool = Accum(op=op, overwrite=overwrite, acc=2, loops=window)
    post = Post(wide=True, loops=(PostLevel(config.acc_entries // 2, 1, 1),))
    case = vec_program(config, [pool, post], vec_data(config))
    expected = golden(case)
    assert isinstance(expected[0], Counters)
    for kernel in KERNELS:
        assert simulated(case, kernel) == expected, kernel


@pytest.mark.parametrize("along", [False, True], ids=["from_row_to_row", "along_a_row"])
@pytest.mark.parametrize("op", [PostOp.SCALE, PostOp.MUL], ids=lambda op: op.name)
@pytest.mark.parametrize("log_block", [2, 3, 4, 5])
def test_post_with_changing_parameters_equals_golden(
    log_block: int, op: PostOp, along: bool
) -> None:
    config = small_config(log_block, 0, 2, 16)
    data, block = vec_data(config), config.block
    # Every PAR vector serves as bias, multiplier and shift of three overlapping groups.
    words = data[256 : 256 + 24 * block].view("<i4")
    words[:] = np.random.default_rng(log_block).integers(1, 63, words.size)
    row = 2 if along else config.acc_entries // 4
    loops = (PostLevel(row, 1, 1, 1, 0), PostLevel(3, row, row, row, 1))
    post = Post(op=op, wide=True, b=3 * row, offset=3, loops=loops)
    case = vec_program(config, [post], data)
    expected = golden(case)
    assert isinstance(expected[0], Counters)
    for kernel in KERNELS:
        assert simulated(case, kernel) == expected, kernel


@pytest.mark.parametrize("overwrite", [False, True], ids=["add", "overwrite"])
@pytest.mark.parametrize("op", AccumOp, ids=lambda op: op.name)
def test_accum_over_thousands_of_steps_equals_golden(op: AccumOp, overwrite: bool) -> None:
    config = small_config(2, 0, 2, 16)
    levels = (AccumLevel(2, 1, 1), AccumLevel(70, 0, 0), AccumLevel(71, 1, 0))
    pool = Accum(op=op, overwrite=overwrite, loops=levels)
    post = Post(wide=True, loops=(PostLevel(2, 1, 1),))
    case = vec_program(config, [pool, post], vec_data(config))
    expected = golden(case)
    assert isinstance(expected[0], Counters)
    for kernel in KERNELS:
        assert simulated(case, kernel) == expected, kernel


def test_large_vec_nests_use_threads_and_equal_golden() -> None:
    config = config_of(16)
    acc = min(config.acc_entries, 8000)
    rows = (AccumLevel(80, 1, 1), AccumLevel(100, 80, 80), AccumLevel(5, 1, 0, 1))
    post = (PostLevel(80, 1, 1), PostLevel(100, 80, 80))
    insns: list[Insn] = [
        Accum(op=AccumOp.MAC, overwrite=True, loops=rows),
        Post(wide=True, dst=0, loops=post),
        Post(wide=True, a_memory=Memory.ACT, a=0, dst=acc, loops=post),
        Post(op=PostOp.ADD, wide=True, b=acc, dst=0, loops=post),
    ]
    case = vec_program(config, insns, vec_data(config))
    expected = golden(case)
    assert isinstance(expected[0], Counters)
    for threads in (1, 3):
        assert simulated(case, threads=threads) == expected


def test_fill_takes_every_level() -> None:
    config = small_config(4, 0, 0, 16)
    loops = (FillLevel(2, 1), FillLevel(3, 5), FillLevel(2, 20), FillLevel(1))
    fills: list[Insn] = [
        Fill(value=5, loops=(FillLevel(config.act_entries, 1),)),
        Fill(value=-128, sram=1, loops=loops, signal=mask(Engine.STORE)),
    ]
    block = config.block
    store = Store(
        wait=mask(Engine.LOAD), lanes=block, loops=(DmaLevel(config.act_entries, block, 1),)
    )
    size = config.act_entries * block
    program = Program(encode_program([*fills, store]), size)
    dram = np.zeros(size, np.uint8)
    run_program(program, config, dram)
    vectors = dram.view(np.int8).reshape(-1, block)
    filled = {1 + a + 5 * b + 20 * c for a in range(2) for b in range(3) for c in range(2)}
    assert {index for index, vector in enumerate(vectors) if (vector == -128).all()} == filled
    assert (vectors[[i for i in range(len(vectors)) if i not in filled]] == 5).all()
