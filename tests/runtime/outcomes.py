"""What a program does on the golden model and on the simulator, in comparable form."""

from __future__ import annotations

import numpy as np
from tests.support.programs import Case

from zebra.errors import ZebraError
from zebra.isa.semantics import Counters, execute
from zebra.runtime.fsim import run_program
from zebra.runtime.native import available_kernels

KERNELS = available_kernels()[1:]

Outcome = tuple[type[ZebraError] | Counters, bytes]


def golden(case: Case) -> Outcome:
    dram = np.frombuffer(case.dram, np.uint8).copy()
    try:
        result: type[ZebraError] | Counters = execute(case.program, case.config, dram)
    except ZebraError as error:
        result = type(error)
    return result, dram.tobytes()


def simulated(case: Case, kernel: str = "auto", threads: int = 2) -> Outcome:
    dram = np.frombuffer(case.dram, np.uint8).copy()
    try:
        result: type[ZebraError] | Counters = run_program(
            case.program, case.config, dram, threads, kernel
        )
    except ZebraError as error:
        result = type(error)
    return result, dram.tobytes()
