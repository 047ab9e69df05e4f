"""LOAD, STORE and the record of what was written equal the golden model on large nests."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from tests.runtime.outcomes import KERNELS, golden, simulated
from tests.support.programs import Case

from zebra.errors import UninitializedError
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
    Store,
)
from zebra.isa.program import Program, Span
from zebra.isa.semantics import Counters
from zebra.runtime.fsim import run_program

THREADS = (1, 3)


def config_of(block: int) -> HwConfig:
    """The default accelerator with another BLOCK and memories of some thousand entries."""
    sizes = {"LOG_ACT_BUFF_SIZE": 18, "LOG_WGT_BUFF_SIZE": 18, "LOG_ACC_BUFF_SIZE": 18}
    keys = {**find_config("zebra").to_mapping(), **sizes, "LOG_BLOCK": block.bit_length() - 1}
    return HwConfig.from_mapping(f"block{block}", keys)


def case_of(config: HwConfig, insns: list[Insn], data: bytes, out: int) -> Case:
    """``insns`` over the constants ``data``, with ``out`` bytes of output behind them."""
    size = len(data) + out
    program = Program(encode_program(insns), size, len(data), (), (Span(len(data), out),))
    return Case(0, program, config, data + bytes(out), data)


def assert_golden(case: Case) -> None:
    """Runs to the end, with the golden model's bytes and counters on every kernel."""
    expected = golden(case)
    assert isinstance(expected[0], Counters)
    for kernel in KERNELS:
        for threads in THREADS:
            assert simulated(case, kernel, threads) == expected, (kernel, threads)


def stored(config: HwConfig, load: Load, data: bytes, vectors: int) -> Case:
    """FILL the first ``vectors`` of ACT, ``load`` over them, STORE them."""
    block = config.block
    fill = Fill(value=-3, loops=(FillLevel(vectors, 1),))
    store = Store(
        wait=1 << Engine.LOAD,
        dram=len(data),
        lanes=block,
        loops=(DmaLevel(vectors, block, 1),),
    )
    return case_of(config, [fill, load, store], data, vectors * block)


def act_loads(block: int) -> dict[str, Load]:
    """Large LOADs to ACT of whole vectors and of some lanes, apart and over each other."""
    few, signal = block - 1, 1 << Engine.STORE
    return {
        "rows": Load(
            signal=signal,
            lanes=block,
            loops=(DmaLevel(37, block, 1), DmaLevel(31, 41 * block, 43)),
        ),
        "strided": Load(
            signal=signal, lanes=block, loops=(DmaLevel(61, 3 * block, 2), DmaLevel(19, 7, 131))
        ),
        "over_each_other": Load(
            signal=signal, lanes=block, loops=(DmaLevel(30, block, 1), DmaLevel(40, block, 1))
        ),
        "last_wins": Load(
            signal=signal, lanes=block, loops=(DmaLevel(5, block, 1), DmaLevel(999, 5, 0))
        ),
        "some_lanes": Load(
            signal=signal, lanes=few, lane_stride=3, loops=(DmaLevel(1213, 2 * block, 1),)
        ),
        "merged_lanes": Load(
            signal=signal, merge=True, lane=1, lanes=few, loops=(DmaLevel(1200, 5, 1),)
        ),
    }


@pytest.mark.parametrize("name", act_loads(4))
@pytest.mark.parametrize("block", [4, 8, 16, 64])
def test_large_loads_of_activations_equal_golden(block: int, name: str) -> None:
    data = np.random.default_rng(block).bytes(1400 * 3 * block)
    assert_golden(stored(config_of(block), act_loads(block)[name], data, 1500))


@pytest.mark.parametrize("lanes", [1, 3, 4, 11, 16])
@pytest.mark.parametrize("lane_stride", [1, 2])
def test_large_stores_of_some_lanes_equal_golden(lanes: int, lane_stride: int) -> None:
    config, vectors = config_of(16), 900
    data = np.random.default_rng(lanes).bytes(vectors * 16)
    step = lanes * lane_stride
    load = Load(signal=1 << Engine.STORE, lanes=16, loops=(DmaLevel(vectors, 16, 1),))
    everything = Store(
        wait=1 << Engine.LOAD, dram=len(data), lanes=16, loops=(DmaLevel(vectors * 2, 16, 0),)
    )
    store = Store(
        dram=len(data) + 1,
        lane=16 - lanes,
        lanes=lanes,
        lane_stride=lane_stride,
        loops=(DmaLevel(30, step, 1), DmaLevel(30, 30 * step, 30)),
    )
    assert_golden(case_of(config, [load, everything, store], data, vectors * 2 * 16))


@pytest.mark.parametrize("twice", [False, True], ids=["apart", "over_each_other"])
@pytest.mark.parametrize("block", [4, 8, 16, 32, 128])
def test_large_loads_of_weights_equal_golden(block: int, twice: bool) -> None:
    """All tiles as GEMM sees them: one row of outputs per tile."""
    config = config_of(block)
    tiles = min(config.wgt_entries, 90) & ~1
    area, rng = block * block, np.random.default_rng(block)
    levels = (DmaLevel(tiles // 2, area, 1), DmaLevel(2, tiles // 2 * area, tiles // 2))
    if twice:
        levels = (DmaLevel(tiles // 2, area, 1), DmaLevel(2, area * (tiles // 2), 1))
    used = tiles // 2 + 1 if twice else tiles
    parameters = np.tile(np.array([[[0], [1 << 30], [34]]], "<i4"), (1, 1, block)).tobytes()
    data = rng.bytes(tiles * area + block) + parameters
    vec, gemm = 1 << Engine.VEC, 1 << Engine.GEMM
    insns: list[Insn] = [
        Load(memory=Memory.WGT, lanes=block, loops=levels),
        Load(dram=tiles * area, lanes=block),
        Load(
            memory=Memory.PAR,
            dram=tiles * area + block,
            lanes=block,
            signal=gemm | vec,
            loops=(DmaLevel(3, 4 * block, 1),),
        ),
        Gemm(
            overwrite=True, wait=1 << Engine.LOAD, signal=vec, loops=(GemmLevel(used - 1, 0, 1, 1),)
        ),
        Post(
            wait=1 << Engine.LOAD | gemm,
            signal=1 << Engine.STORE,
            dst=1,
            loops=(PostLevel(used - 1, 1, 1),),
        ),
        Store(
            wait=vec,
            sram=1,
            dram=len(data),
            lanes=block,
            loops=(DmaLevel(used - 1, block, 1),),
        ),
    ]
    assert_golden(case_of(config, insns, data, (used - 1) * block))


def gaps(vectors: int, missing: int) -> list[Insn]:
    """FILL all of the first ``vectors`` of ACT but one."""
    parts = [(0, missing), (missing + 1, vectors - missing - 1)]
    return [
        Fill(sram=start, loops=(FillLevel(count, 1),), signal=(1 << Engine.VEC) * (start > 0))
        for start, count in parts
        if count > 0
    ]


READS = {
    "dense": (AccumLevel(400, 1, 1),),
    "rows": (AccumLevel(70, 1, 1), AccumLevel(4, 110, 70)),
    "every_second": (AccumLevel(20, 2, 1), AccumLevel(10, 40, 20)),
    "windows": (AccumLevel(9, 2, 1), AccumLevel(11, 36, 9), AccumLevel(3, 1), AccumLevel(3, 18)),
}


@pytest.mark.parametrize("missing", [1, 63, 64, 65, 127, 128, 191, 300, 320, 398])
@pytest.mark.parametrize("name", READS)
def test_one_vector_never_written_is_found_where_it_is_read(name: str, missing: int) -> None:
    config, loops = config_of(16), READS[name]
    read = {0}
    for level in loops:
        read = {at + i * level.act for at in read for i in range(level.extent)}
    accum = Accum(op=AccumOp.SUM, overwrite=True, wait=1 << Engine.LOAD, loops=loops)
    case = case_of(config, [*gaps(500, missing), accum], bytes(16), 0)
    expected = golden(case)
    assert (expected[0] is UninitializedError) == (missing in read)
    assert simulated(case) == expected
    if missing in read:
        dram = np.frombuffer(case.dram, np.uint8).copy()
        with pytest.raises(UninitializedError, match=f"ACT vector {missing}, which nothing wrote"):
            run_program(case.program, config, dram)


def holes(seed: int) -> Case:
    """STORE some runs to DRAM, LOAD others, which may lie beside them."""
    rng, config, store, load = random.Random(seed), config_of(16), 1 << Engine.STORE, Engine.LOAD
    insns: list[Insn] = [Fill(signal=store)]
    for first in range(rng.randint(1, 3)):
        runs = DmaLevel(rng.randint(1, 9), rng.choice((16, 32, 640)), 0)
        insns.append(
            Store(
                wait=(1 << load) * (first == 0),
                dram=rng.randrange(900),
                lanes=16,
                loops=(DmaLevel(rng.randint(1, 40), 16, 0), runs),
            )
        )
    levels = (DmaLevel(rng.randint(1, 30), 16, 1), DmaLevel(rng.randint(1, 3), 640, 30))
    insns[-1] = replace(insns[-1], signal=1 << load)
    insns.append(Load(wait=store, dram=rng.randrange(900), lanes=16, loops=levels))
    program = Program(encode_program(insns), 9000, 0, (), ())
    return Case(seed, program, config, bytes(9000), b"")


def test_random_holes_in_dram_equal_golden() -> None:
    cases = [holes(seed) for seed in range(60)]
    outcomes = [golden(case) for case in cases]
    assert [simulated(case) for case in cases] == outcomes
    refused = [outcome[0] is UninitializedError for outcome in outcomes]
    assert 10 < sum(refused) < 50
