"""The verifier in C++: the rules of zebra.isa.verify, some twenty times as fast."""

from __future__ import annotations

from collections.abc import Callable

from zebra.hw import HwConfig
from zebra.isa import verify as golden
from zebra.isa.program import Program
from zebra.runtime.fsim import job_of
from zebra.runtime.native import is_built, verify_job


def verify(program: Program, config: HwConfig) -> None:
    """Raise the error of the first rule of docs/architecture.md that ``program`` breaks.

    Judges as ``zebra.isa.verify.verify`` without constants does: races included,
    POST parameters not.
    """
    verify_job(job_of(program, config))


def find_verifier() -> Callable[[Program, HwConfig], None]:
    """``verify``; in a source tree that was not built, the golden one."""
    return verify if is_built() else golden.verify
