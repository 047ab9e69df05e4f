"""Limits of the memories and which of their entries have been written."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from zebra.errors import AddressError, UninitializedError
from zebra.hw import HwConfig
from zebra.isa.access import UNITS, Access, addresses, entries, view
from zebra.isa.insns import Memory
from zebra.isa.program import Program


def check_spans(program: Program) -> None:
    """Raise AddressError unless constants, inputs and outputs lie inside DRAM."""
    named = [("input", span) for span in program.inputs]
    named += [("output", span) for span in program.outputs]
    for name, span in named:
        if span.start < 0 or span.size < 0 or span.stop > program.dram_bytes:
            raise AddressError(
                f"{name} span {span.start}..{span.stop} leaves the DRAM of "
                f"{program.dram_bytes} bytes"
            )
    if not 0 <= program.constant_bytes <= program.dram_bytes:
        raise AddressError(
            f"{program.constant_bytes} constant bytes do not fit the DRAM of "
            f"{program.dram_bytes} bytes"
        )


class Memories:
    """Entry counts of every memory and, per entry (DRAM: byte), whether it was written."""

    def __init__(self, program: Program, config: HwConfig) -> None:
        check_spans(program)
        self.sizes = entries(config, program.dram_bytes)
        self.constant_bytes = program.constant_bytes
        self._outputs = program.outputs
        self._written: dict[Memory, npt.NDArray[np.bool_]] = {
            memory: np.zeros(size, np.bool_) for memory, size in self.sizes.items()
        }
        dram = self._written[Memory.DRAM]
        dram[: program.constant_bytes] = True
        for span in program.inputs:
            dram[span.start : span.stop] = True

    def check_bounds(self, where: str, touched: Iterable[Access]) -> None:
        """Raise AddressError for an access that leaves its memory or writes a constant."""
        for access in touched:
            size = self.sizes[access.memory]
            if access.last >= size:
                raise AddressError(
                    f"{where}: {access} leaves the memory's {size} {UNITS[access.memory]}"
                )
            constant = access.memory is Memory.DRAM and access.base < self.constant_bytes
            if access.write and constant:
                raise AddressError(
                    f"{where}: {access} starts inside the {self.constant_bytes} constant bytes"
                )

    def check_written(self, where: str, touched: Iterable[Access]) -> None:
        """Raise UninitializedError for a read of what nothing wrote."""
        for access in touched:
            constant = access.memory is Memory.DRAM and access.last < self.constant_bytes
            if access.write or constant:
                continue
            # The ufunc itself: .all() goes through Python and costs twice as much.
            if np.logical_and.reduce(view(self._written[access.memory], access), axis=None):
                continue
            visited = addresses(access.base, access.nest)
            first = visited[~self._written[access.memory][visited]][0]
            raise UninitializedError(
                f"{where}: {access.operand} reads {access.memory.name} "
                f"{UNITS[access.memory][:-1]} {first}, which nothing wrote"
            )

    def mark_written(self, touched: Iterable[Access]) -> None:
        """Note what an instruction wrote."""
        for access in touched:
            if access.write:
                view(self._written[access.memory], access)[...] = True

    def check_outputs(self) -> None:
        """Raise UninitializedError if a byte of an output span was never written."""
        for span in self._outputs:
            missing = np.flatnonzero(~self._written[Memory.DRAM][span.start : span.stop])
            if missing.size:
                raise UninitializedError(
                    f"the program ends but {missing.size} byte(s) of the output span "
                    f"{span.start}..{span.stop} were never written, the first at "
                    f"{span.start + int(missing[0])}"
                )
