"""Tiny programs on tiny accelerators for the cycle model."""

from __future__ import annotations

from zebra.hw import HwConfig
from zebra.isa.codec import encode_program
from zebra.isa.insns import DmaLevel, Engine, Gemm, GemmLevel, Insn, Load
from zebra.isa.program import Program
from zebra.runtime.cycle import CycleReport, Spent, simulate


def config(rows: int = 4, **keys: int) -> HwConfig:
    """Block 4; DRAM of 8 bytes per cycle, latency 10, bursts of 64 bytes unless said otherwise."""
    values = {
        "LOG_INP_WIDTH": 3,
        "LOG_WGT_WIDTH": 3,
        "LOG_ACC_WIDTH": 5,
        "LOG_BATCH": rows.bit_length() - 1,
        "LOG_BLOCK": 2,
        "LOG_ACT_BUFF_SIZE": 16,
        "LOG_WGT_BUFF_SIZE": 16,
        "LOG_ACC_BUFF_SIZE": 16,
        "LOG_PAR_BUFF_SIZE": 12,
        "LOG_TAB_BUFF_SIZE": 10,
        "CLOCK_MHZ": 100,
        "DRAM_BYTES_PER_CYCLE": 8,
        "DRAM_LATENCY": 10,
        "DRAM_BURST_BYTES": 64,
    }
    return HwConfig.from_mapping("timing", {**values, **keys})


def time(insns: list[Insn], hw: HwConfig | None = None) -> CycleReport:
    """The report of a program of these instructions, with its timeline."""
    return simulate(Program(encode_program(insns), 1 << 20), hw or config(), timeline=True)


def lost(report: CycleReport, engine: Engine) -> dict[Spent, int]:
    """What ``engine`` spent its cycles on, without zeros and the time before and after its work."""
    outside = (Spent.FETCH, Spent.FINISHED)
    return {
        kind: cycles
        for kind, cycles in report.spent[engine].items()
        if cycles and kind not in outside
    }


def load(vectors: int, **fields: int) -> Load:
    """A LOAD of one run of ``vectors`` times 4 bytes."""
    return Load(lanes=4, loops=(DmaLevel(vectors, 4, 1),), **fields)


def gemm(groups: int, **fields: int) -> Gemm:
    """A GEMM of ``groups`` busy cycles."""
    return Gemm(loops=(GemmLevel(4 * groups, 1, 0, 1),), **fields)


def spans(report: CycleReport) -> list[tuple[int, int]]:
    """(start, end) of every instruction."""
    return [(entry.start, entry.end) for entry in report.timeline]
