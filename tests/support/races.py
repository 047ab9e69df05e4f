"""Programs whose tokens are missing, wrong or just enough, with what a verifier says of them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from tests.support.programs import small_config
from zebra.isa.codec import encode_program
from zebra.isa.insns import (
    Accum,
    AccumLevel,
    AccumOp,
    DmaLevel,
    Engine,
    Fill,
    FillLevel,
    Insn,
    Load,
    Store,
)
from zebra.isa.program import Program, Span

CONFIG = small_config(2, 0, 0, 16)
L, G, V, S = (1 << engine for engine in Engine)


def token_pairs(insns: Sequence[Insn]) -> list[tuple[int, int]]:
    """(giver, taker) indices of every token, first given, first taken."""
    pairs = []
    for giver in Engine:
        for taker in Engine:
            given = [i for i, x in enumerate(insns) if x.ENGINE is giver and x.signal >> taker & 1]
            taken = [i for i, x in enumerate(insns) if x.ENGINE is taker and x.wait >> giver & 1]
            pairs += list(zip(given, taken, strict=True))
    return pairs


def without_token(rng: random.Random, insns: list[Insn]) -> list[Insn]:
    """``insns`` with one token neither given nor taken."""
    giver, taker = rng.choice(token_pairs(insns))
    changed = list(insns)
    changed[giver] = replace(insns[giver], signal=insns[giver].signal & ~(1 << insns[taker].ENGINE))
    changed[taker] = replace(insns[taker], wait=insns[taker].wait & ~(1 << insns[giver].ENGINE))
    return changed


def program_of(insns: Sequence[Insn]) -> Program:
    """256 bytes of DRAM, all of them input."""
    return Program(encode_program(insns), 256, 0, (Span(0, 256),))


FILL = Fill(loops=(FillLevel(16, 1),))
SUM = Accum(op=AccumOp.SUM, overwrite=True, loops=(AccumLevel(16, 1, 1),))
STORE = Store(dram=64, lanes=4, loops=(DmaLevel(8, 4, 1),))

RACES: dict[str, tuple[Sequence[Insn], str]] = {
    "read after write": (
        [FILL, SUM],
        "instruction 1 (ACCUM) reads ACT vector 0 (act), which instruction 0 (FILL) writes: "
        "no chain of tokens from LOAD to VEC orders the two",
    ),
    "write after read": (
        [replace(FILL, signal=V), replace(SUM, wait=L), Fill(sram=3)],
        "instruction 2 (FILL) writes ACT vector 3 (destination), which instruction 1 (ACCUM) reads",
    ),
    "DRAM": (
        [replace(FILL, signal=S), replace(STORE, wait=L), Load(sram=30, dram=70, lanes=4)],
        "instruction 2 (LOAD) reads DRAM byte 70 (source), which instruction 1 (STORE) writes",
    ),
    "store after load": (
        [replace(FILL, signal=S), Load(sram=30, dram=95), replace(STORE, wait=L)],
        "instruction 2 (STORE) writes DRAM byte 95 (destination), which instruction 1 (LOAD) reads",
    ),
    "token given too early": (
        [replace(FILL, signal=V), Fill(sram=3), replace(SUM, wait=L)],
        "instruction 2 (ACCUM) reads ACT vector 3 (act), which instruction 1 (FILL) writes",
    ),
    "tokens are taken in the order given": (
        [FILL, Fill(sram=40, signal=V), Fill(sram=3, signal=V), replace(SUM, wait=L)],
        "instruction 3 (ACCUM) reads ACT vector 3 (act), which instruction 2 (FILL) writes",
    ),
}


ORDERED: dict[str, Sequence[Insn]] = {
    "a token": [replace(FILL, signal=V), replace(SUM, wait=L)],
    "a chain over another engine": [
        replace(FILL, signal=S),
        Store(sram=0, dram=0, wait=L, signal=V),
        replace(SUM, wait=S),
    ],
    "a later token of the same engine": [FILL, Fill(sram=40, signal=V), replace(SUM, wait=L)],
    "two reads": [replace(FILL, signal=V | S), replace(SUM, wait=L), replace(STORE, wait=L)],
    "interleaved strides": [
        replace(FILL, signal=V),
        Accum(op=AccumOp.SUM, overwrite=True, wait=L, loops=(AccumLevel(8, 2, 1),)),
        Fill(sram=1, loops=(FillLevel(7, 2),)),
    ],
}
