"""Small changes that make a legal program break one rule of the machine, mostly."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from zebra.errors import EncodingError
from zebra.hw import HwConfig
from zebra.isa.codec import decode, encode
from zebra.isa.fields import WORD_BYTES
from zebra.isa.insns import Accum, Gemm, Insn, Load, Memory, Post, PostOp, Store
from zebra.isa.program import Program, Span

MAX_USEFUL_ITERATIONS = 1 << 11
"""A mutant with more iterations (and not too many to be legal) would only cost time."""

Edit = Callable[[random.Random, Any, HwConfig], Insn]


def own_token(rng: random.Random, insn: Insn, config: HwConfig) -> Insn:
    own = 1 << insn.ENGINE
    if rng.random() < 0.5:
        return replace(insn, wait=insn.wait | own)
    return replace(insn, signal=insn.signal | own)


def other_token(rng: random.Random, insn: Insn, config: HwConfig) -> Insn:
    bit = 1 << rng.choice([engine for engine in range(4) if engine != insn.ENGINE])
    if rng.random() < 0.5:
        return replace(insn, wait=insn.wait ^ bit)
    return replace(insn, signal=insn.signal ^ bit)


def too_many_iterations(rng: random.Random, insn: Any, config: HwConfig) -> Insn:
    levels = tuple(replace(level, extent=4096) for level in insn.loops)
    return replace(insn, loops=levels)


def lanes(rng: random.Random, insn: Any, config: HwConfig) -> Insn:
    return replace(insn, lane=config.block - insn.lanes + 1)


def entry_modes(rng: random.Random, insn: Any, config: HwConfig) -> Insn:
    changes: list[dict[str, Any]] = [
        {"memory": Memory.ACC},
        {"memory": Memory.DRAM},
        {"widen": True, "memory": rng.choice((Memory.ACT, Memory.WGT, Memory.TAB))},
        {"memory": Memory.WGT, "merge": True, "lane": 0, "lanes": config.block},
        {"memory": Memory.PAR, "lane_stride": 2, "lane": 0, "lanes": config.block},
        {"memory": Memory.TAB, "lanes": 1},
    ]
    return replace(insn, **rng.choice(changes))


def one_byte(rng: random.Random, insn: Any, config: HwConfig) -> Insn:
    return replace(insn, lane=0, lanes=config.block, lane_stride=0)


def still_level(rng: random.Random, insn: Any, config: HwConfig) -> Insn:
    name = "dst" if isinstance(insn, Post) else "acc"
    first = replace(insn.loops[0], extent=2, **{name: 0})
    return replace(insn, loops=(first, *insn.loops[1:]))


def post_modes(rng: random.Random, insn: Any, config: HwConfig) -> Insn:
    still = tuple(replace(level, par=0) for level in insn.loops)
    changes: list[dict[str, Any]] = [
        {"low": 5, "high": 4},
        {"dst_memory": Memory.ACC, "lookup": True},
        {"a_memory": Memory.WGT},
        {"dst_memory": Memory.DRAM},
        {"a_memory": insn.dst_memory, "a": insn.dst + 1},
        {"op": PostOp.ADD, "dst_memory": Memory.ACT, "b": insn.dst + 1},
        {"par": 12, "op": PostOp.SCALE, "loops": still},
        {"par": 9, "op": PostOp.SCALE, "wide": False, "loops": still},
        {"par": 1},
        {"table": 63, "lookup": True, "dst_memory": Memory.ACT},
    ]
    return replace(insn, **rng.choice(changes))


def far_base(rng: random.Random, insn: Any, config: HwConfig) -> Insn:
    names = [name for name in ("sram", "act", "acc", "wgt", "dst", "a", "b") if hasattr(insn, name)]
    name = rng.choice(names)
    if name == "wgt":
        return replace(insn, wgt=config.wgt_entries - rng.randint(0, 1))
    size = config.acc_entries if name == "acc" else config.act_entries
    return replace(insn, **{name: size - rng.randint(0, 4)})


def far_dram(rng: random.Random, insn: Any, config: HwConfig) -> Insn:
    return replace(
        insn, dram=rng.choice((0, insn.dram // 2, insn.dram + 40 * config.block, 1 << 31))
    )


def far_stride(rng: random.Random, insn: Any, config: HwConfig) -> Insn:
    level = rng.randrange(len(insn.loops))
    old = insn.loops[level]
    names = [name for name in type(old).__dataclass_fields__ if name != "extent"]
    new = replace(old, extent=2, **{rng.choice(names): rng.choice((1, 7, 4095))})
    return replace(insn, loops=(*insn.loops[:level], new, *insn.loops[level + 1 :]))


def accumulate(rng: random.Random, insn: Any, config: HwConfig) -> Insn:
    return replace(insn, overwrite=False)


EDITS: tuple[tuple[tuple[type[Insn], ...], Edit], ...] = (
    ((Insn,), own_token),
    ((Insn,), other_token),
    ((Insn,), too_many_iterations),
    ((Load, Store), lanes),
    ((Load,), entry_modes),
    ((Store,), one_byte),
    ((Gemm, Accum, Post), still_level),
    ((Post,), post_modes),
    ((Post,), post_modes),
    ((Insn,), far_base),
    ((Load, Store), far_dram),
    ((Insn,), far_stride),
    ((Gemm, Accum), accumulate),
)


def edit_one(rng: random.Random, code: bytes, config: HwConfig) -> bytes:
    """Change one instruction by one of the EDITS that fit it."""
    kinds, edit = rng.choice(EDITS)
    words = _words(code)
    for index in rng.sample(range(len(words)), len(words)):
        try:
            insn = decode(words[index])
        except EncodingError:
            continue
        if isinstance(insn, kinds):
            words[index] = encode(edit(rng, insn, config))
            break
    return b"".join(words)


def flip_bit(rng: random.Random, code: bytes, config: HwConfig) -> bytes:
    """Flip one bit of one instruction."""
    bit = rng.randrange(8 * len(code))
    changed = bytearray(code)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def bad_word(rng: random.Random, code: bytes, config: HwConfig) -> bytes:
    """An unknown opcode, an unused bit, or code that ends inside an instruction."""
    at = rng.randrange(len(code) // WORD_BYTES) * WORD_BYTES
    changed = bytearray(code)
    kind = rng.randrange(3)
    if kind == 0:
        changed[at] = changed[at] & 0xF0 | rng.choice((0, 7, 15))
    elif kind == 1:
        changed[at + WORD_BYTES - 1] |= 0x80
    else:
        return code[: -rng.randint(1, WORD_BYTES - 1)]
    return bytes(changed)


def drop(rng: random.Random, code: bytes, config: HwConfig) -> bytes:
    """Leave one instruction out."""
    words = _words(code)
    del words[rng.randrange(len(words))]
    return b"".join(words)


def skip(rng: random.Random, code: bytes, config: HwConfig) -> bytes:
    """Shrink one LOAD to a single ACT vector: what it wrote is missing, its tokens stay."""
    words = _words(code)
    index = rng.randrange(len(words))
    insn = decode(words[index]) if _decodes(words[index]) else None
    if isinstance(insn, Load):
        words[index] = encode(replace(insn, memory=Memory.ACT, widen=False, loops=()))
    return b"".join(words)


def swap(rng: random.Random, code: bytes, config: HwConfig) -> bytes:
    """Exchange two neighbours."""
    words = _words(code)
    index = rng.randrange(len(words) - 1)
    words[index], words[index + 1] = words[index + 1], words[index]
    return b"".join(words)


def contract(rng: random.Random, program: Program) -> Program:
    """Change what the program says about DRAM."""
    arena = Span(program.constant_bytes, program.dram_bytes - program.constant_bytes)
    return rng.choice(
        (
            replace(program, inputs=()),
            replace(program, outputs=(arena,)),
            replace(program, outputs=(*program.outputs, Span(program.dram_bytes - 1, 1))),
        )
    )


CODE_CHANGES = (*(edit_one,) * 6, flip_bit, flip_bit, bad_word, drop, skip, swap)


def _words(code: bytes) -> list[bytes]:
    return [code[at : at + WORD_BYTES] for at in range(0, len(code), WORD_BYTES)]


def _decodes(word: bytes) -> bool:
    try:
        decode(word)
    except EncodingError:
        return False
    return True


def _bearable(code: bytes) -> bool:
    for word in _words(code):
        if len(word) == WORD_BYTES and _decodes(word):
            count = math.prod(level.extent for level in decode(word).levels)
            if MAX_USEFUL_ITERATIONS < count <= 1 << 24:
                return False
    return True


def mutate(rng: random.Random, program: Program, config: HwConfig) -> Program:
    """``program`` with one random change; its size and constants stay."""
    if rng.random() < 0.1:
        return contract(rng, program)
    code = rng.choice(CODE_CHANGES)(rng, program.code, config)
    return replace(program, code=code) if _bearable(code) else program
