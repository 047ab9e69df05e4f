"""What an instruction reads and writes: sets of addresses given by affine nests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from zebra.hw import HwConfig
from zebra.isa.insns import (
    Accum,
    AccumOp,
    Fill,
    Gemm,
    Insn,
    Load,
    Memory,
    Post,
    PostOp,
    Store,
)

Nest = tuple[tuple[int, int], ...]
"""(extent, stride) of every level, innermost first."""

KNOWN_NESTS = 4096
"""Nests whose derived properties are kept: a program repeats few of them often."""

UNITS = {
    Memory.ACT: "vectors",
    Memory.WGT: "tiles",
    Memory.ACC: "vectors",
    Memory.PAR: "vectors",
    Memory.TAB: "tables",
    Memory.DRAM: "bytes",
}

POST_PARAMETERS = {PostOp.SCALE: 3, PostOp.MUL: 4, PostOp.ADD: 6, PostOp.SUB: 6}
"""PAR vectors a POST reads from ``par`` on."""


class Access(NamedTuple):
    """The addresses one operand of one instruction reads or writes."""

    operand: str
    memory: Memory
    write: bool
    base: int
    nest: Nest

    @property
    def last(self) -> int:
        """The highest address touched; ``base`` is the lowest."""
        return self.base + reach(self.nest)

    def __str__(self) -> str:
        return f"{self.operand}: {self.memory.name} {UNITS[self.memory]} {self.base}..{self.last}"


@lru_cache(maxsize=KNOWN_NESTS)
def nests_of(levels: tuple[Any, ...]) -> Mapping[str, Nest]:
    """The nest of every operand: each level's extent with the operand's stride."""
    strides = [field.name for field in fields(levels[0]) if field.name != "extent"]
    return {
        name: tuple((level.extent, getattr(level, name)) for level in levels) for name in strides
    }


def nest_of(levels: tuple[Any, ...], stride: str) -> Nest:
    """The nest of one operand: every level's extent with the stride called ``stride``."""
    return nests_of(levels)[stride] if levels else ()


@lru_cache(maxsize=KNOWN_NESTS)
def reach(nest: Nest) -> int:
    """How far behind its base the last address of a nest lies."""
    return sum((extent - 1) * stride for extent, stride in nest)


def addresses(base: int, nest: Nest) -> npt.NDArray[np.int64]:
    """The address of every iteration, shape [iterations], in sequential order."""
    result = np.array([base], np.int64)
    for extent, stride in reversed(nest):
        result = (result[:, None] + np.arange(extent, dtype=np.int64) * stride).ravel()
    return result


@lru_cache(maxsize=KNOWN_NESTS)
def footprint(nest: Nest) -> Nest:
    """The fewest levels that visit the same set of addresses as ``nest``.

    A level of stride k * s over e addresses s apart, k <= e, leaves no gap: the
    two are one progression. Repeated and single visits vanish.
    """
    merged: list[tuple[int, int]] = []
    for extent, stride in sorted(nest, key=lambda level: level[1]):
        if extent == 1 or stride == 0:
            continue
        if merged:
            inner, step = merged[-1]
            if stride % step == 0 and stride // step <= inner:
                merged[-1] = ((extent - 1) * (stride // step) + inner, step)
                continue
        merged.append((extent, stride))
    return tuple(merged)


def view(table: npt.NDArray[Any], access: Access) -> npt.NDArray[Any]:
    """The entries of a per-address ``table`` (1-D) that ``access`` touches, without a copy.

    The access must lie inside the table. An address may appear more than once.
    """
    levels = footprint(access.nest)
    if not levels:
        return table[access.base : access.base + 1]
    if len(levels) == 1:
        extent, stride = levels[0]
        return table[access.base : access.base + extent * stride : stride]
    size = table.itemsize
    shape = tuple(extent for extent, _ in reversed(levels))
    strides = tuple(stride * size for _, stride in reversed(levels))
    return np.ndarray(shape, table.dtype, table, access.base * size, strides)


def entry_bytes(memory: Memory, block: int, widen: bool = False) -> int:
    """DRAM bytes of one whole entry of WGT, PAR or TAB."""
    sizes = {Memory.WGT: block * block, Memory.PAR: block if widen else 4 * block, Memory.TAB: 256}
    return sizes[memory]


def _load(insn: Load, block: int) -> tuple[Access, ...]:
    if insn.memory is Memory.ACT:
        entry = (insn.lanes, insn.lane_stride)
    else:
        entry = (entry_bytes(insn.memory, block, insn.widen), 1)
    nest = nest_of(insn.loops, "sram")
    source = Access("source", Memory.DRAM, False, insn.dram, (entry, *nest_of(insn.loops, "dram")))
    destination = Access("destination", insn.memory, True, insn.sram, nest)
    if insn.merge and insn.lanes < block:
        kept = Access("merged lanes", insn.memory, False, insn.sram, nest)
        return source, kept, destination
    return source, destination


def _store(insn: Store, block: int) -> tuple[Access, ...]:
    lanes = (insn.lanes, insn.lane_stride)
    return (
        Access("source", Memory.ACT, False, insn.sram, nest_of(insn.loops, "sram")),
        Access("destination", Memory.DRAM, True, insn.dram, (lanes, *nest_of(insn.loops, "dram"))),
    )


def _fill(insn: Fill, block: int) -> tuple[Access, ...]:
    return (Access("destination", Memory.ACT, True, insn.sram, nest_of(insn.loops, "sram")),)


def _accumulator(insn: Gemm | Accum) -> tuple[Access, ...]:
    nest = nest_of(insn.levels, "acc")
    write = Access("acc", Memory.ACC, True, insn.acc, nest)
    if insn.overwrite:
        return (write,)
    return Access("acc", Memory.ACC, False, insn.acc, nest), write


def _gemm(insn: Gemm, block: int) -> tuple[Access, ...]:
    return (
        Access("act", Memory.ACT, False, insn.act, nest_of(insn.loops, "act")),
        Access("wgt", Memory.WGT, False, insn.wgt, nest_of(insn.loops, "wgt")),
        *_accumulator(insn),
    )


def _accum(insn: Accum, block: int) -> tuple[Access, ...]:
    touched = [Access("act", Memory.ACT, False, insn.act, nest_of(insn.loops, "act"))]
    if insn.op is AccumOp.MAC:
        touched.append(Access("par", Memory.PAR, False, insn.par, nest_of(insn.loops, "par")))
    return (*touched, *_accumulator(insn))


def _post(insn: Post, block: int) -> tuple[Access, ...]:
    vectors = (POST_PARAMETERS[insn.op], 1)
    touched = [
        Access("a", insn.a_memory, False, insn.a, nest_of(insn.loops, "a")),
        Access("par", Memory.PAR, False, insn.par, (vectors, *nest_of(insn.loops, "par"))),
    ]
    if insn.op is not PostOp.SCALE:
        touched.append(Access("b", Memory.ACT, False, insn.b, nest_of(insn.loops, "b")))
    if insn.lookup:
        touched.append(Access("table", Memory.TAB, False, insn.table, ()))
    touched.append(Access("dst", insn.dst_memory, True, insn.dst, nest_of(insn.loops, "dst")))
    return tuple(touched)


_ACCESSES: dict[type[Insn], Any] = {
    Load: _load,
    Store: _store,
    Fill: _fill,
    Gemm: _gemm,
    Accum: _accum,
    Post: _post,
}


def accesses(insn: Insn, config: HwConfig) -> tuple[Access, ...]:
    """Everything ``insn`` reads and writes, reads first; unused operands do not appear.

    The instruction must have passed ``check.check_operands``.
    """
    result: tuple[Access, ...] = _ACCESSES[type(insn)](insn, config.block)
    return result


def entries(config: HwConfig, dram_bytes: int) -> dict[Memory, int]:
    """Number of addresses of every memory."""
    return {
        Memory.ACT: config.act_entries,
        Memory.WGT: config.wgt_entries,
        Memory.ACC: config.acc_entries,
        Memory.PAR: config.par_entries,
        Memory.TAB: config.tab_entries,
        Memory.DRAM: dram_bytes,
    }
