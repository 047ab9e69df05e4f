"""A second, independent model: one iteration after the other, in Python integers.

It knows nothing of rules, tokens or vectorised nests; it only runs legal code.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from zebra.hw import HwConfig
from zebra.isa.codec import decode_program
from zebra.isa.insns import Accum, AccumOp, Fill, Gemm, Load, Memory, Post, PostOp, Store


def wrap(value: int) -> int:
    """The low 32 bits as two's complement."""
    return (value + (1 << 31)) % (1 << 32) - (1 << 31)


def requantized(x: int, m: int, s: int, truncate: bool) -> int:
    """Of one value: x * m / 2**s, rounded half up or toward zero, low 32 bits."""
    if truncate:
        return wrap(abs(x) * m // (1 << s) * (-1 if x < 0 else 1))
    return wrap((2 * x * m + (1 << s)) // (1 << (s + 1)))


def iterations(insn: Any) -> Iterator[tuple[int, ...]]:
    """Index tuples, level 0 first, in sequential order."""
    for indices in itertools.product(*(range(level.extent) for level in reversed(insn.loops))):
        yield tuple(reversed(indices))


def at(insn: Any, indices: tuple[int, ...], base: int, stride: str) -> int:
    """The address of one operand at one iteration."""
    return base + sum(
        index * getattr(level, stride) for index, level in zip(indices, insn.loops, strict=True)
    )


class OneByOne:
    """The memories as plain lists of lists."""

    def __init__(self, config: HwConfig, dram: bytes) -> None:
        self.block = config.block
        self.dram = bytearray(dram)
        sizes = {Memory.ACT: config.act_entries, Memory.ACC: config.acc_entries}
        self.vectors = {memory: [[0] * self.block for _ in range(n)] for memory, n in sizes.items()}
        self.wgt = [np.zeros((self.block, self.block), np.int64)] * config.wgt_entries
        self.par = [[0] * self.block for _ in range(config.par_entries)]
        self.tab = [[0] * 256 for _ in range(config.tab_entries)]

    def run(self, code: bytes) -> bytes:
        """DRAM after the program."""
        for insn in decode_program(code):
            for indices in iterations(insn):
                getattr(self, type(insn).__name__.lower())(insn, indices)
        return bytes(self.dram)

    def _bytes(self, start: int, count: int, stride: int = 1) -> list[int]:
        taken = [self.dram[start + k * stride] for k in range(count)]
        return [value - 256 if value > 127 else value for value in taken]

    def load(self, insn: Load, indices: tuple[int, ...]) -> None:
        """One entry from DRAM."""
        source, target = at(insn, indices, insn.dram, "dram"), at(insn, indices, insn.sram, "sram")
        block = self.block
        if insn.memory is Memory.WGT:
            tile = self._bytes(source, block * block)
            self.wgt[target] = np.array(tile, np.int64).reshape(block, block)
        elif insn.memory is Memory.TAB:
            self.tab[target] = self._bytes(source, 256)
        elif insn.memory is Memory.PAR and insn.widen:
            self.par[target] = self._bytes(source, block)
        elif insn.memory is Memory.PAR:
            raw = self.dram[source : source + 4 * block]
            words = (raw[4 * k : 4 * k + 4] for k in range(block))
            self.par[target] = [int.from_bytes(word, "little", signed=True) for word in words]
        else:
            old = self.vectors[Memory.ACT][target] if insn.merge else [0] * block
            new = self._bytes(source, insn.lanes, insn.lane_stride)
            self.vectors[Memory.ACT][target] = (
                old[: insn.lane] + new + old[insn.lane + insn.lanes :]
            )

    def store(self, insn: Store, indices: tuple[int, ...]) -> None:
        """Lanes of one vector to DRAM."""
        target = at(insn, indices, insn.dram, "dram")
        vector = self.vectors[Memory.ACT][at(insn, indices, insn.sram, "sram")]
        for k in range(insn.lanes):
            self.dram[target + k * insn.lane_stride] = vector[insn.lane + k] & 0xFF

    def fill(self, insn: Fill, indices: tuple[int, ...]) -> None:
        """One vector of one value."""
        target = at(insn, indices, insn.sram, "sram")
        self.vectors[Memory.ACT][target] = [insn.value] * self.block

    def _accumulate(self, insn: Gemm | Accum, indices: tuple[int, ...], terms: list[int]) -> None:
        acc = self.vectors[Memory.ACC]
        target = at(insn, indices, insn.acc, "acc")
        reduced = [i for i, level in zip(indices, insn.loops, strict=True) if level.acc == 0]
        if insn.overwrite and not any(reduced):
            acc[target] = [wrap(term) for term in terms]
        elif isinstance(insn, Accum) and insn.op is AccumOp.MAX:
            acc[target] = [max(old, term) for old, term in zip(acc[target], terms, strict=True)]
        else:
            acc[target] = [wrap(old + term) for old, term in zip(acc[target], terms, strict=True)]

    def gemm(self, insn: Gemm, indices: tuple[int, ...]) -> None:
        """One vector times one tile."""
        vector = self.vectors[Memory.ACT][at(insn, indices, insn.act, "act")]
        tile = self.wgt[at(insn, indices, insn.wgt, "wgt")]
        self._accumulate(insn, indices, [int(sum_) for sum_ in tile @ np.array(vector, np.int64)])

    def accum(self, insn: Accum, indices: tuple[int, ...]) -> None:
        """One vector, lane by lane."""
        terms = self.vectors[Memory.ACT][at(insn, indices, insn.act, "act")]
        if insn.op is AccumOp.MAC:
            factors = self.par[at(insn, indices, insn.par, "par")]
            terms = [x * factor for x, factor in zip(terms, factors, strict=True)]
        self._accumulate(insn, indices, terms)

    def post(self, insn: Post, indices: tuple[int, ...]) -> None:
        """One vector, lane by lane."""
        a = self.vectors[insn.a_memory][at(insn, indices, insn.a, "a")]
        b = [0] * self.block
        if insn.op is not PostOp.SCALE:
            b = self.vectors[Memory.ACT][at(insn, indices, insn.b, "b")]
        par = at(insn, indices, insn.par, "par")
        target = at(insn, indices, insn.dst, "dst")
        self.vectors[insn.dst_memory][target] = [
            self._finished(insn, self._combined(insn, lane, par, a[lane], b[lane]))
            for lane in range(self.block)
        ]

    def _combined(self, insn: Post, lane: int, par: int, a: int, b: int) -> int:
        left = wrap(a + self.par[par][lane])
        m, s = self.par[par + 1][lane], self.par[par + 2][lane]
        if insn.op is PostOp.SCALE:
            return requantized(left, m, s, insn.truncate)
        right = wrap(b + self.par[par + 3][lane])
        if insn.op is PostOp.MUL:
            return requantized(wrap(left * right), m, s, insn.truncate)
        second = requantized(right, self.par[par + 4][lane], self.par[par + 5][lane], insn.truncate)
        sign = 1 if insn.op is PostOp.ADD else -1
        return requantized(left, m, s, insn.truncate) + sign * second

    def _finished(self, insn: Post, value: int) -> int:
        value = wrap(wrap(value) + insn.offset)
        if insn.dst_memory is Memory.ACC:
            return value
        value = min(max(value, insn.low), insn.high)
        return self.tab[insn.table][value & 0xFF] if insn.lookup else value
