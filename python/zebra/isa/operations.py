"""What each instruction does to the memories, in plain NumPy.

Operands are checked before; the functions here only compute. The sequential
order of a nest matters where an address is visited more than once: see
``last_visits`` and ``groups``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from zebra.hw import HwConfig
from zebra.isa.access import addresses, entry_bytes, nest_of
from zebra.isa.check import check_parameters, parameter_groups
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
from zebra.numerics import Rounding, requantize, wrap32

Addresses = npt.NDArray[np.int64]
Int32s = npt.NDArray[np.int32]


class Machine:
    """The memories of one accelerator; ``dram`` is the caller's array.

    act int8 [entries, BLOCK], wgt int8 [entries, BLOCK, BLOCK] (output lane,
    input lane), acc and par int32 [entries, BLOCK], tab int8 [entries, 256].
    """

    def __init__(self, config: HwConfig, dram: npt.NDArray[np.uint8]) -> None:
        block = config.block
        self.config = config
        self.block = block
        self.act = np.zeros((config.act_entries, block), np.int8)
        self.wgt = np.zeros((config.wgt_entries, block, block), np.int8)
        self.acc = np.zeros((config.acc_entries, block), np.int32)
        self.par = np.zeros((config.par_entries, block), np.int32)
        self.tab = np.zeros((config.tab_entries, 256), np.int8)
        self.dram = dram


def last_visits(visited: Addresses) -> Addresses:
    """Positions in ``visited`` after which their address is not visited again."""
    _, from_the_end = np.unique(visited[::-1], return_index=True)
    return visited.size - 1 - from_the_end


def groups(insn: Gemm | Accum | Post, stride: str) -> tuple[Addresses, npt.NDArray[np.bool_]]:
    """Iterations that may run at once: positions [groups, iterations], and each group's first.

    Running the groups one after the other equals the sequential order, because
    within a group no address of the operand with ``stride`` repeats. Where the
    non-reduction levels repeat no address, a group is one index of all reduction
    levels; else it is level 0. ``first`` [groups]: every reduction index is 0.
    """
    nest = nest_of(insn.levels, stride)
    written = addresses(0, nest)
    weight, ranks = 1, []
    for extent, step in nest:
        ranks.append((extent, weight if step == 0 else 0))
        weight *= extent if step == 0 else 1
    rank = addresses(0, tuple(ranks))
    by_rank = np.argsort(rank, kind="stable").reshape(weight, -1)
    if np.unique(written[by_rank[0]]).size == by_rank.shape[1]:
        return by_rank, rank[by_rank[:, 0]] == 0
    pixels = np.arange(written.size).reshape(-1, nest[0][0])
    return pixels, rank[pixels[:, 0]] == 0


def _load(where: str, insn: Load, machine: Machine) -> None:
    sram = addresses(insn.sram, nest_of(insn.loops, "sram"))
    last = last_visits(sram)
    sram, dram = sram[last], addresses(insn.dram, nest_of(insn.loops, "dram"))[last]
    if insn.memory is Memory.ACT:
        if not insn.merge:
            machine.act[sram] = 0
        data = machine.dram[dram[:, None] + np.arange(insn.lanes) * insn.lane_stride]
        machine.act[sram, insn.lane : insn.lane + insn.lanes] = data.view(np.int8)
        return
    size = entry_bytes(insn.memory, machine.block, insn.widen)
    data = machine.dram[dram[:, None] + np.arange(size)]
    if insn.memory is Memory.WGT:
        machine.wgt[sram] = data.view(np.int8).reshape(-1, machine.block, machine.block)
    elif insn.memory is Memory.TAB:
        machine.tab[sram] = data.view(np.int8)
    else:
        machine.par[sram] = data.view(np.int8 if insn.widen else "<i4")


def _store(where: str, insn: Store, machine: Machine) -> None:
    sram = addresses(insn.sram, nest_of(insn.loops, "sram"))
    lanes = (insn.lanes, insn.lane_stride)
    dram = addresses(insn.dram, (lanes, *nest_of(insn.loops, "dram")))
    data = machine.act[sram, insn.lane : insn.lane + insn.lanes].ravel()
    last = last_visits(dram)
    machine.dram[dram[last]] = data[last].view(np.uint8)


def _fill(where: str, insn: Fill, machine: Machine) -> None:
    machine.act[addresses(insn.sram, nest_of(insn.loops, "sram"))] = insn.value


def _products(machine: Machine, act: Addresses, wgt: Addresses) -> Int32s:
    """int32 [iterations, BLOCK]: each vector times its tile."""
    result = np.empty((act.size, machine.block), np.int32)
    for tile in np.unique(wgt):
        rows = wgt == tile
        weights = machine.wgt[tile].astype(np.int32)
        result[rows] = machine.act[act[rows]].astype(np.int32) @ weights.T
    return result


def _gemm(where: str, insn: Gemm, machine: Machine) -> None:
    act = addresses(insn.act, nest_of(insn.loops, "act"))
    wgt = addresses(insn.wgt, nest_of(insn.loops, "wgt"))
    acc = addresses(insn.acc, nest_of(insn.loops, "acc"))
    for group, first in zip(*groups(insn, "acc"), strict=True):
        result = _products(machine, act[group], wgt[group])
        if not (insn.overwrite and first):
            result = wrap32(machine.acc[acc[group]].astype(np.int64) + result)
        machine.acc[acc[group]] = result


def _accum(where: str, insn: Accum, machine: Machine) -> None:
    act = addresses(insn.act, nest_of(insn.loops, "act"))
    acc = addresses(insn.acc, nest_of(insn.loops, "acc"))
    par = addresses(insn.par, nest_of(insn.loops, "par"))
    for group, first in zip(*groups(insn, "acc"), strict=True):
        result = machine.act[act[group]].astype(np.int64)
        if insn.op is AccumOp.MAC:
            result = result * machine.par[par[group]]
        if not (insn.overwrite and first):
            old = machine.acc[acc[group]].astype(np.int64)
            result = np.maximum(old, result) if insn.op is AccumOp.MAX else old + result
        machine.acc[acc[group]] = wrap32(result)


def _post(where: str, insn: Post, machine: Machine) -> None:
    par = addresses(insn.par, nest_of(insn.loops, "par"))
    for group in range(parameter_groups(insn.op)):
        used = np.unique(par)[:, None] + np.arange(3 * group, 3 * group + 3)
        check_parameters(where, insn, group, machine.par[used], machine.config)
    a = addresses(insn.a, nest_of(insn.loops, "a"))
    b = addresses(insn.b, nest_of(insn.loops, "b"))
    dst = addresses(insn.dst, nest_of(insn.loops, "dst"))
    source = machine.acc if insn.a_memory is Memory.ACC else machine.act
    target = machine.acc if insn.dst_memory is Memory.ACC else machine.act
    for group in groups(insn, "dst")[0]:
        value = _combined(insn, machine, source[a[group]], b[group], par[group])
        value = wrap32(value.astype(np.int64) + insn.offset)
        target[dst[group]] = _byte(insn, machine, value) if target is machine.act else value


def _combined(
    insn: Post, machine: Machine, a: npt.NDArray[Any], b: Addresses, par: Addresses
) -> Int32s:
    """op(A, B) of PostOp before the offset; ``a`` holds values, ``b`` and ``par`` addresses."""
    rounding = Rounding.TRUNCATE if insn.truncate else Rounding.UPWARD

    def biased(values: npt.NDArray[Any], bias: int) -> Int32s:
        return wrap32(values.astype(np.int64) + machine.par[par + bias])

    def scaled(values: Int32s, group: int) -> npt.NDArray[np.int64]:
        multiplier, shift = machine.par[par + 3 * group + 1], machine.par[par + 3 * group + 2]
        return requantize(values, multiplier, shift, rounding).astype(np.int64)

    left = biased(a, 0)
    if insn.op is PostOp.SCALE:
        return wrap32(scaled(left, 0))
    right = biased(machine.act[b], 3)
    if insn.op is PostOp.MUL:
        return wrap32(scaled(wrap32(left.astype(np.int64) * right), 0))
    if insn.op is PostOp.SUB:
        return wrap32(scaled(left, 0) - scaled(right, 1))
    return wrap32(scaled(left, 0) + scaled(right, 1))


def _byte(insn: Post, machine: Machine, value: Int32s) -> npt.NDArray[np.int8]:
    """Clamp to [low, high] and look up."""
    byte = np.clip(value, insn.low, insn.high).astype(np.int8)
    return machine.tab[insn.table][byte.view(np.uint8)] if insn.lookup else byte


_OPERATIONS: dict[type[Insn], Callable[[str, Any, Machine], None]] = {
    Load: _load,
    Store: _store,
    Fill: _fill,
    Gemm: _gemm,
    Accum: _accum,
    Post: _post,
}


def run(where: str, insn: Insn, machine: Machine) -> None:
    """Do what ``insn`` says; OperandError for a POST parameter that cannot be used."""
    _OPERATIONS[type(insn)](where, insn, machine)
