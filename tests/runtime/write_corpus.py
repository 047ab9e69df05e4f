"""Write legal and illegal programs, and what the golden model makes of them, for zebra_fuzz.

python write_corpus.py FILE COUNT: little endian; u64 count, then per program u32 sizes[8],
u64 dram_bytes, constant_bytes, code_bytes, inputs, outputs, spans (u64 start, size), code,
DRAM before the run, u64 status, DRAM after it.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "python")]

import numpy as np  # noqa: E402
from tests.support.programs import Case, random_program  # noqa: E402

from zebra.errors import ZebraError  # noqa: E402
from zebra.isa.semantics import execute  # noqa: E402
from zebra.runtime.fsim import hw_sizes  # noqa: E402
from zebra.runtime.native import STATUS  # noqa: E402


def entry(case: Case) -> bytes:
    """One program and its outcome."""
    program, dram = case.program, np.frombuffer(case.dram, np.uint8).copy()
    codes = {error: code for code, error in STATUS.items()}
    try:
        execute(program, case.config, dram)
        status = 0
    except ZebraError as error:
        status = codes[type(error)]
    spans = [
        value for span in program.inputs + program.outputs for value in (span.start, span.size)
    ]
    counts = (program.dram_bytes, program.constant_bytes, len(program.code))
    return b"".join(
        (
            bytes(hw_sizes(case.config)),
            struct.pack("<5Q", *counts, len(program.inputs), len(program.outputs)),
            struct.pack(f"<{len(spans)}Q", *spans),
            program.code,
            case.dram,
            struct.pack("<Q", status),
            dram.tobytes(),
        )
    )


def main(path: str, count: int) -> None:
    entries = [entry(random_program(seed)) for seed in range(count)]
    Path(path).write_bytes(struct.pack("<Q", count) + b"".join(entries))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
