"""The rules an instruction must keep whatever ran before it.

Every rule is one function; its docstring is the rule, as docs/isa.md lists it.
A rule returns None or what is wrong: field, value and limit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from zebra.errors import OperandError
from zebra.hw import HwConfig
from zebra.isa.access import Access, nest_of
from zebra.isa.insns import INSTRUCTIONS, Accum, Gemm, Insn, Load, Memory, Post, PostOp, Store
from zebra.numerics import MAX_SHIFT

MAX_ITERATIONS = 1 << 24

Rule = Callable[[Any, HwConfig], str | None]


def place(index: int, insn: Insn) -> str:
    """How every message names an instruction."""
    return f"instruction {index} ({type(insn).__name__.upper()})"


def other_engines(insn: Insn, config: HwConfig) -> str | None:
    """No token goes to or comes from the instruction's own engine."""
    own = 1 << insn.ENGINE
    if not (insn.wait | insn.signal) & own:
        return None
    for name, mask in (("wait", insn.wait), ("signal", insn.signal)):
        if mask & own:
            return (
                f"{name} = {mask} names its own engine {insn.ENGINE.name}, a queue in order anyway"
            )
    return None


def few_iterations(insn: Insn, config: HwConfig) -> str | None:
    """The nest has at most 2^24 iterations."""
    count = math.prod(level.extent for level in insn.levels)
    if count > MAX_ITERATIONS:
        return f"{count} iterations are more than {MAX_ITERATIONS}; split the nest"
    return None


def lanes_fit(insn: Load | Store, config: HwConfig) -> str | None:
    """LOAD, STORE: lane + lanes is at most BLOCK."""
    if insn.lane + insn.lanes > config.block:
        return (
            f"lane {insn.lane} + lanes {insn.lanes} = {insn.lane + insn.lanes} "
            f"is more than BLOCK = {config.block}"
        )
    return None


def loadable(insn: Load, config: HwConfig) -> str | None:
    """LOAD: the destination is ACT, WGT, PAR or TAB."""
    if insn.memory in (Memory.ACC, Memory.DRAM):
        return f"memory = {insn.memory.name} cannot be loaded; ACT, WGT, PAR and TAB can"
    return None


def whole_entries(insn: Load, config: HwConfig) -> str | None:
    """LOAD to WGT, PAR or TAB: lane = 0, lanes = BLOCK, lane_stride = 1 and no merge."""
    if insn.memory is Memory.ACT:
        return None
    whole = {"lane": 0, "lanes": config.block, "lane_stride": 1, "merge": False}
    for name, legal in whole.items():
        value = getattr(insn, name)
        if value != legal:
            return f"{name} = {value} must be {legal}: {insn.memory.name} takes whole entries"
    return None


def widen_par(insn: Load, config: HwConfig) -> str | None:
    """LOAD: widen only with PAR."""
    if insn.widen and insn.memory is not Memory.PAR:
        return f"widen is for PAR, not for {insn.memory.name}"
    return None


def distinct_lanes(insn: Store, config: HwConfig) -> str | None:
    """STORE: with more than one lane, lane_stride is not 0."""
    if insn.lanes > 1 and insn.lane_stride == 0:
        return f"lane_stride = 0 stores {insn.lanes} lanes to one byte"
    return None


def distinct_accumulators(insn: Gemm | Accum, config: HwConfig) -> str | None:
    """GEMM, ACCUM: level 0 is no reduction level (acc stride 0) unless its extent is 1."""
    if insn.levels and insn.levels[0].extent > 1 and insn.levels[0].acc == 0:
        return f"level 0 has extent {insn.levels[0].extent} and acc stride 0"
    return None


def post_memories(insn: Post, config: HwConfig) -> str | None:
    """POST: dst_memory and a_memory are ACT or ACC."""
    for name, memory in (("dst_memory", insn.dst_memory), ("a_memory", insn.a_memory)):
        if memory not in (Memory.ACT, Memory.ACC):
            return f"{name} = {memory.name} must be ACT or ACC"
    return None


def clamp_order(insn: Post, config: HwConfig) -> str | None:
    """POST: low is at most high."""
    return f"low = {insn.low} is above high = {insn.high}" if insn.low > insn.high else None


def lookup_act(insn: Post, config: HwConfig) -> str | None:
    """POST: lookup only with an ACT destination."""
    if insn.lookup and insn.dst_memory is Memory.ACC:
        return "lookup gives a byte, but dst_memory = ACC"
    return None


def distinct_destinations(insn: Post, config: HwConfig) -> str | None:
    """POST: level 0 has a dst stride unless its extent is 1."""
    if insn.loops and insn.loops[0].extent > 1 and insn.loops[0].dst == 0:
        return f"level 0 has extent {insn.loops[0].extent} and dst stride 0"
    return None


def in_place_or_apart(insn: Post, config: HwConfig) -> str | None:
    """POST: the destination's interval overlaps a source's in the same memory only in place.

    In place means the same base and the same stride on every level.
    """
    target = Access("dst", insn.dst_memory, True, insn.dst, nest_of(insn.loops, "dst"))
    sources = [Access("a", insn.a_memory, False, insn.a, nest_of(insn.loops, "a"))]
    if insn.op is not PostOp.SCALE:
        sources.append(Access("b", Memory.ACT, False, insn.b, nest_of(insn.loops, "b")))
    for source in sources:
        apart = source.last < target.base or target.last < source.base
        in_place = (source.base, source.nest) == (target.base, target.nest)
        if source.memory is target.memory and not apart and not in_place:
            return f"{target} overlaps {source}; keep them apart or give both the same nest"
    return None


RULES: tuple[tuple[tuple[type[Insn], ...], Rule], ...] = (
    ((Insn,), other_engines),
    ((Insn,), few_iterations),
    ((Load, Store), lanes_fit),
    ((Load,), loadable),
    ((Load,), whole_entries),
    ((Load,), widen_par),
    ((Store,), distinct_lanes),
    ((Gemm, Accum), distinct_accumulators),
    ((Post,), post_memories),
    ((Post,), clamp_order),
    ((Post,), lookup_act),
    ((Post,), distinct_destinations),
    ((Post,), in_place_or_apart),
)


_RULES_OF: dict[type[Insn], tuple[Rule, ...]] = {
    kind: tuple(rule for kinds, rule in RULES if issubclass(kind, kinds)) for kind in INSTRUCTIONS
}


def check_operands(where: str, insn: Insn, config: HwConfig) -> None:
    """Raise OperandError for the first static rule that ``insn`` breaks."""
    for rule in _RULES_OF[type(insn)]:
        problem = rule(insn, config)
        if problem is not None:
            raise OperandError(f"{where}: {problem}")


def parameter_groups(op: PostOp) -> int:
    """Number of parameter groups whose multiplier and shift a POST uses."""
    return 2 if op in (PostOp.ADD, PostOp.SUB) else 1


def _too_wide(multipliers: npt.NDArray[np.int32], width: int) -> npt.NDArray[np.bool_]:
    """Which multipliers (not negative) have more than ``width`` significant bits."""
    wide = multipliers.astype(np.int64)
    lowest = wide & -wide
    return (wide > 0) & (wide >= lowest << width)


def check_parameters(
    where: str, insn: Post, group: int, par: npt.NDArray[np.int32], config: HwConfig
) -> None:
    """Raise OperandError for a multiplier or shift of ``group`` that POST cannot use.

    ``par`` is int32 [vectors, 3, BLOCK]: bias, multiplier, shift. Multipliers are
    not negative; shifts are 1..62; without ``wide``, the multipliers that meet a
    32-bit value (A from ACC, or the product of MUL: group 0) have at most
    MULT_WIDTH significant bits.
    """
    multipliers, shifts = par[:, 1], par[:, 2]
    rules = [
        ("multiplier", multipliers, multipliers < 0, "must not be negative"),
        ("shift", shifts, (shifts < 1) | (shifts > MAX_SHIFT), f"must be 1..{MAX_SHIFT}"),
    ]
    full = insn.a_memory is Memory.ACC or insn.op is PostOp.MUL
    if group == 0 and full and not insn.wide:
        limit = f"has more than MULT_WIDTH = {config.mult_width} significant bits; set wide"
        rules.append(("multiplier", multipliers, _too_wide(multipliers, config.mult_width), limit))
    for name, values, bad, problem in rules:
        if bad.any():
            vector, lane = np.argwhere(bad)[0]
            value = int(values[vector, lane])
            raise OperandError(
                f"{where}: {name} of group {group}, lane {lane}, = {value} {problem}"
            )
