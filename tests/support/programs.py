"""Random programs for comparing the golden semantics, the verifier and the simulators.

``random_program(seed)`` is deterministic. About 60 % of the cases run to the
end; the others are one or two mutations away from a legal program.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from tests.support.mutations import mutate
from zebra.hw import HwConfig
from zebra.isa.access import Access, accesses, entries, entry_bytes, view
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

TRIPLES = 5
"""Parameter groups at the start of PAR: three narrow, one wide, one that no POST may use."""
NARROW = 3
MAX_ITERATIONS = 240


@dataclass(frozen=True, slots=True)
class Case:
    """A program, its accelerator, and DRAM before the run (constants and inputs in place)."""

    seed: int
    program: Program
    config: HwConfig
    dram: bytes
    constants: bytes


@cache
def small_config(log_block: int, log_batch: int, extra: int, mult_width: int) -> HwConfig:
    """A legal accelerator of a few kilobytes; ``extra`` doublings of its memories."""
    keys = {
        "LOG_INP_WIDTH": 3,
        "LOG_WGT_WIDTH": 3,
        "LOG_ACC_WIDTH": 5,
        "LOG_BATCH": log_batch,
        "LOG_BLOCK": log_block,
        "LOG_ACT_BUFF_SIZE": 6 + log_block + extra,
        "LOG_WGT_BUFF_SIZE": max(8, 2 * log_block + 2),
        "LOG_ACC_BUFF_SIZE": 6 + log_block + extra,
        "LOG_PAR_BUFF_SIZE": 6 + log_block + extra,
        "LOG_TAB_BUFF_SIZE": 8 + extra,
        "MULT_WIDTH": mult_width,
        "CLOCK_MHZ": 100,
        "DRAM_BYTES_PER_CYCLE": 8,
        "DRAM_LATENCY": 10,
    }
    return HwConfig.from_mapping(f"random{log_block}{log_batch}{extra}{mult_width}", keys)


def parameter_image(rng: random.Random, config: HwConfig) -> bytes:
    """TRIPLES groups of bias, multiplier and shift vectors, int32 little endian."""
    block, width = config.block, config.mult_width
    image = np.empty((TRIPLES, 3, block), "<i4")
    for triple in range(TRIPLES):
        bits = width if triple < NARROW else 31
        for lane in range(block):
            low = rng.randint(0, 31 - bits)
            image[triple, 0, lane] = rng.randint(-(1 << 31), (1 << 31) - 1) >> rng.randint(0, 30)
            image[triple, 1, lane] = rng.randint(0, (1 << bits) - 1) << low
            image[triple, 2, lane] = rng.choice((1, 62, rng.randint(1, 62), rng.randint(20, 40)))
    row, value = rng.choice(((1, -1), (2, 0), (2, 63)))
    image[TRIPLES - 1, row, rng.randrange(block)] = value
    return image.tobytes()


class Builder:
    """Appends random legal instructions and the tokens that order them."""

    def __init__(self, seed: int) -> None:
        rng = self.rng = random.Random(seed)
        block = rng.choice((2, 2, 3, 4, 4, 5))
        width = rng.choice((8, 16, 16, 31))
        self.config = small_config(block, rng.choice((0, 1, 3)), rng.choice((0, 1, 2)), width)
        block = self.config.block
        wgt = self.config.wgt_entries * block * block
        self.tables = wgt + TRIPLES * 12 * block
        constants = self.tables + 256 * self.config.tab_entries + rng.randint(0, 40)
        self.inputs = Span(constants + rng.randint(0, 16), rng.randint(1, 64 * block))
        self.arena = self.inputs.stop + rng.randint(0, 16)
        noise = np.random.default_rng(seed).bytes(self.arena + rng.randint(1, 96 * block))
        image = parameter_image(rng, self.config)
        self.dram = noise[:wgt] + image + noise[wgt + len(image) :]
        self.constant_bytes = constants
        self.sizes = entries(self.config, len(self.dram))
        self.written = {memory: np.zeros(size, np.bool_) for memory, size in self.sizes.items()}
        self.written[Memory.DRAM][:constants] = True
        self.written[Memory.DRAM][self.inputs.start : self.inputs.stop] = True
        self.insns: list[Insn] = []
        self._touched: list[tuple[Access, ...]] = []
        self._known = {(taker, giver): -1 for taker in Engine for giver in Engine}

    def extents(self, levels: int) -> list[int]:
        """Iterations of up to ``levels`` levels, at most MAX_ITERATIONS together."""
        chosen: list[int] = []
        for _ in range(self.rng.randint(0, levels)):
            room = MAX_ITERATIONS // math.prod(chosen)
            chosen.append(min(self.rng.choice((1, 2, 2, 3, 3, 4, 5)), room))
        return chosen

    def operand(
        self, extents: Sequence[int], low: int, high: int, apart: bool = False, unit: int = 1
    ) -> tuple[int, list[int]]:
        """A base and strides (multiples of ``unit``) inside [low, high).

        With ``apart``, level 0 moves. Strides prefer 0, 1 and a dense packing.
        """
        room, dense, strides = (high - low - 1) // unit, 1, []
        for level, extent in enumerate(extents):
            limit = room // (extent - 1) if extent > 1 else 4
            wanted = self.rng.choice((0, 1, dense, dense, self.rng.randint(0, max(limit, 0))))
            least = 1 if apart and level == 0 else 0
            stride = max(min(wanted, limit), least)
            room -= (extent - 1) * stride
            dense *= extent
            strides.append(stride * unit)
        return low + self.rng.randint(0, room) * unit, strides

    def add(self, insn: Insn) -> bool:
        """Append ``insn`` with the tokens it needs unless it reads what nothing wrote."""
        touched = accesses(insn, self.config)
        if not all(
            access.write or view(self.written[access.memory], access).all() for access in touched
        ):
            return False
        wait = 0
        for giver in Engine:
            if giver is not insn.ENGINE and self._order(insn.ENGINE, giver, touched):
                wait |= 1 << giver
        self.insns.append(replace(insn, wait=wait))
        self._touched.append(touched)
        for access in touched:
            if access.write:
                view(self.written[access.memory], access)[...] = True
        return True

    def _order(self, taker: Engine, giver: Engine, touched: tuple[Access, ...]) -> bool:
        """Let the last conflicting instruction of ``giver`` signal; sometimes any later one."""
        for index in range(len(self.insns) - 1, self._known[taker, giver], -1):
            insn = self.insns[index]
            if insn.ENGINE is not giver:
                continue
            if _conflict(self._touched[index], touched) or self.rng.random() < 0.02:
                self.insns[index] = replace(insn, signal=insn.signal | 1 << taker)
                self._known[taker, giver] = index
                return True
        return False

    def program(self) -> Program:
        """The program so far; its outputs are two random runs of what it stored."""
        stored = self.written[Memory.DRAM][self.constant_bytes :].astype(np.int8)
        edges = np.flatnonzero(np.diff(stored, prepend=0, append=0)) + self.constant_bytes
        runs = [Span(int(a), int(b - a)) for a, b in edges.reshape(-1, 2)]
        outputs = tuple(self.rng.sample(runs, min(2, len(runs))))
        return Program(
            encode_program(self.insns),
            len(self.dram),
            self.constant_bytes,
            (self.inputs,),
            outputs,
        )


def _conflict(earlier: tuple[Access, ...], later: tuple[Access, ...]) -> bool:
    return any(
        one.memory is other.memory
        and (one.write or other.write)
        and one.base <= other.last
        and other.base <= one.last
        for one in earlier
        for other in later
    )


def levels_of(kind: type[Any], extents: Sequence[int], **strides: Sequence[int]) -> tuple[Any, ...]:
    """Loop levels of ``kind`` from one list per operand."""
    return tuple(
        kind(extent, **{name: values[level] for name, values in strides.items()})
        for level, extent in enumerate(extents)
    )


def load_act(b: Builder) -> Insn:
    """A strided LOAD to ACT, some lanes of it, sometimes merging."""
    block, extents = b.config.block, b.extents(4)
    lanes = b.rng.choice((block, block, b.rng.randint(1, block)))
    lane = b.rng.randint(0, block - lanes)
    end = b.rng.choice((b.inputs.stop, b.inputs.stop, len(b.dram)))
    dram, strides = b.operand([lanes, *extents], 0, end)
    sram, steps = b.operand(extents, 0, b.sizes[Memory.ACT])
    loops = levels_of(DmaLevel, extents, dram=strides[1:], sram=steps)
    merge = b.rng.random() < 0.4
    return Load(0, 0, Memory.ACT, merge, False, dram, sram, lane, lanes, strides[0], loops)


def load_entries(b: Builder) -> Insn:
    """A LOAD to WGT, TAB or the part of PAR that no POST uses."""
    memory = b.rng.choice((Memory.WGT, Memory.TAB, Memory.PAR))
    widen = memory is Memory.PAR and b.rng.random() < 0.5
    block, extents = b.config.block, b.extents(3)
    first = 3 * TRIPLES if memory is Memory.PAR else 0
    size = entry_bytes(memory, block, widen)
    dram, strides = b.operand(extents, 0, b.inputs.stop - size + 1)
    sram, steps = b.operand(extents, first, b.sizes[memory])
    loops = levels_of(DmaLevel, extents, dram=strides, sram=steps)
    return Load(0, 0, memory, False, widen, dram, sram, 0, block, 1, loops)


def store(b: Builder) -> Insn:
    """A STORE of some lanes to the arena or over the inputs."""
    block, extents = b.config.block, b.extents(4)
    lanes = b.rng.choice((block, block, b.rng.randint(1, block)))
    lanes = min(lanes, len(b.dram) - b.inputs.start)
    lane = b.rng.randint(0, block - lanes)
    dram, strides = b.operand([lanes, *extents], b.inputs.start, len(b.dram), apart=True)
    sram, steps = b.operand(extents, 0, b.sizes[Memory.ACT])
    loops = levels_of(DmaLevel, extents, dram=strides[1:], sram=steps)
    return Store(0, 0, dram, sram, lane, lanes, strides[0], loops)


def fill(b: Builder) -> Insn:
    """A FILL of ACT."""
    extents = b.extents(4)
    sram, steps = b.operand(extents, 0, b.sizes[Memory.ACT])
    return Fill(0, 0, sram, b.rng.randint(-128, 127), levels_of(FillLevel, extents, sram=steps))


def accumulator(b: Builder, extents: Sequence[int]) -> tuple[int, list[int]]:
    """ACC base and strides, every further level a reduction level with probability 0.4."""
    base, strides = b.operand(extents, 0, b.sizes[Memory.ACC], apart=True)
    for level in range(1, len(strides)):
        if b.rng.random() < 0.4:
            strides[level] = 0
    return base, strides


def gemm(b: Builder) -> Insn:
    """A GEMM."""
    extents = b.extents(6)
    act, acts = b.operand(extents, 0, b.sizes[Memory.ACT])
    wgt, wgts = b.operand(extents, 0, b.sizes[Memory.WGT])
    acc, accs = accumulator(b, extents)
    loops = levels_of(GemmLevel, extents, act=acts, wgt=wgts, acc=accs)
    return Gemm(0, 0, b.rng.random() < 0.6, act, wgt, acc, loops)


def accum(b: Builder) -> Insn:
    """An ACCUM of any operation."""
    extents = b.extents(5)
    act, acts = b.operand(extents, 0, b.sizes[Memory.ACT])
    par, pars = b.operand(extents, 0, 3 * TRIPLES)
    acc, accs = accumulator(b, extents)
    loops = levels_of(AccumLevel, extents, act=acts, acc=accs, par=pars)
    op = b.rng.choice(tuple(AccumOp))
    return Accum(0, 0, op, b.rng.random() < 0.6, act, acc, par, loops)


def post(b: Builder) -> Insn:
    """A POST of any operation, in place or with its destination apart from its sources."""
    rng, extents = b.rng, b.extents(5)
    op, dst_memory = rng.choice(tuple(PostOp)), rng.choice((Memory.ACT, Memory.ACT, Memory.ACC))
    a_memory = rng.choice((Memory.ACT, Memory.ACC))
    size = b.sizes[dst_memory]
    split = rng.randint(size // 3, 2 * size // 3)
    dst_first = rng.random() < 0.5
    own, rest = ((0, split), (split, size)) if dst_first else ((split, size), (0, split))
    dst, dsts = b.operand(extents, *own, apart=True)

    def source(memory: Memory) -> tuple[int, list[int]]:
        if memory is not dst_memory:
            return b.operand(extents, 0, b.sizes[memory])
        return (dst, dsts) if rng.random() < 0.4 else b.operand(extents, *rest)

    a, a_strides = source(a_memory)
    second, second_strides = source(Memory.ACT)
    wide = rng.random() < 0.3
    full = a_memory is Memory.ACC or op is PostOp.MUL
    usable = NARROW if full and not wide else NARROW + 1
    groups = usable if op is PostOp.SCALE else usable - 1
    par, pars = b.operand(extents, 0, 3 * groups, unit=3)
    low, high = sorted((rng.randint(-128, 127), rng.randint(-128, 127)))
    if rng.random() < 0.7:
        low, high = -128, 127
    lookup = dst_memory is Memory.ACT and rng.random() < 0.3
    loops = levels_of(PostLevel, extents, dst=dsts, a=a_strides, b=second_strides, par=pars)
    return Post(
        op=op,
        truncate=rng.random() < 0.3,
        wide=wide,
        lookup=lookup,
        dst_memory=dst_memory,
        a_memory=a_memory,
        table=rng.randrange(b.sizes[Memory.TAB]),
        offset=rng.randint(-512, 511),
        low=low,
        high=high,
        dst=dst,
        a=a,
        b=second,
        par=par,
        loops=loops,
    )


def prologue(b: Builder) -> None:
    """Write most of the scratchpads, so that most random reads find something."""
    block, sizes = b.config.block, b.sizes
    wgt = DmaLevel(sizes[Memory.WGT], block * block, 1)
    b.add(Load(memory=Memory.WGT, lanes=block, loops=(wgt,)))
    start = sizes[Memory.WGT] * block * block
    par = DmaLevel(3 * TRIPLES, 4 * block, 1)
    b.add(Load(memory=Memory.PAR, dram=start, lanes=block, loops=(par,)))
    tab = DmaLevel(sizes[Memory.TAB], 256, 1)
    b.add(Load(memory=Memory.TAB, dram=b.tables, lanes=block, loops=(tab,)))
    b.add(Fill(value=b.rng.randint(-128, 127), loops=(FillLevel(sizes[Memory.ACT], 1),)))
    for _ in range(2):
        b.add(load_act(b))
    acc = GemmLevel(sizes[Memory.ACC], 1 if sizes[Memory.ACC] <= sizes[Memory.ACT] else 0, 0, 1)
    b.add(Gemm(overwrite=True, loops=(acc,)))


MAKERS = (load_act, load_entries, store, fill, gemm, gemm, accum, accum, post, post, post)


def legal_builder(seed: int) -> Builder:
    """A builder filled with a legal program of 12 to 25 instructions."""
    b = Builder(seed)
    prologue(b)
    for _ in range(b.rng.randint(4, 16)):
        b.add(b.rng.choice(MAKERS)(b))
    b.add(store(b))
    return b


def legal_program(seed: int) -> Case:
    """A case that runs to the end and passes the verifier."""
    b = legal_builder(seed)
    return Case(seed, b.program(), b.config, b.dram, b.dram[: b.constant_bytes])


def random_program(seed: int) -> Case:
    """A case; with probability 0.55 mutated once or twice, and then mostly illegal."""
    case = legal_program(seed)
    rng = random.Random(f"mutations of {seed}")
    if rng.random() < 0.45:
        return case
    program = case.program
    for _ in range(rng.choice((1, 1, 1, 2))):
        program = mutate(rng, program, case.config)
    return replace(case, program=program)
