"""What a program means: the golden model, in plain NumPy.

Slow and obviously right. Every instruction checks its rules in the order that
docs/architecture.md gives, then runs in the sequential order of its nest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from zebra.errors import InputError
from zebra.hw import HwConfig
from zebra.isa.access import accesses
from zebra.isa.check import check_operands, place
from zebra.isa.codec import decode_program
from zebra.isa.insns import Accum, AccumOp, Engine, Gemm, Insn, Load, Store
from zebra.isa.memories import Memories
from zebra.isa.operations import Machine, run
from zebra.isa.program import Program
from zebra.isa.tokens import Tokens


@dataclass(slots=True)
class Counters:
    """What the engines did. Lists are indexed by Engine.

    ``macs``: BLOCK^2 per iteration of GEMM, BLOCK per iteration of ACCUM MAC.
    """

    instructions: list[int] = field(default_factory=lambda: [0] * len(Engine))
    iterations: list[int] = field(default_factory=lambda: [0] * len(Engine))
    dram_read_bytes: int = 0
    dram_written_bytes: int = 0
    macs: int = 0

    def add(self, insn: Insn, config: HwConfig) -> None:
        """Count one instruction."""
        iterations = math.prod(level.extent for level in insn.levels)
        self.instructions[insn.ENGINE] += 1
        self.iterations[insn.ENGINE] += iterations
        if isinstance(insn, Load):
            entry, _ = accesses(insn, config)[0].nest[0]
            self.dram_read_bytes += iterations * entry
        elif isinstance(insn, Store):
            self.dram_written_bytes += iterations * insn.lanes
        elif isinstance(insn, Gemm):
            self.macs += iterations * config.block**2
        elif isinstance(insn, Accum) and insn.op is AccumOp.MAC:
            self.macs += iterations * config.block


def execute(program: Program, config: HwConfig, dram: npt.NDArray[np.uint8]) -> Counters:
    """Run ``program`` on ``dram``, uint8 [dram_bytes], in place.

    Raises the ProgramError subclass or EncodingError of the first rule broken;
    ``dram`` then holds what the instructions before stored. InputError if
    ``dram`` is not an array of the program's size.
    """
    if dram.shape != (program.dram_bytes,) or dram.dtype != np.uint8:
        raise InputError(
            f"dram is {dram.dtype} of shape {dram.shape}; the program needs uint8 of shape "
            f"({program.dram_bytes},)"
        )
    machine = Machine(config, dram)
    memories = Memories(program, config)
    tokens: Tokens[None] = Tokens()
    counters = Counters()
    for index, insn in enumerate(decode_program(program.code)):
        where = place(index, insn)
        check_operands(where, insn, config)
        tokens.take(where, insn)
        touched = accesses(insn, config)
        memories.check_bounds(where, touched)
        memories.check_written(where, touched)
        run(where, insn, machine)
        memories.mark_written(touched)
        tokens.give(insn, None)
        counters.add(insn, config)
    tokens.check_empty()
    memories.check_outputs()
    return counters
