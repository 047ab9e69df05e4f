"""A program: code plus what it assumes about DRAM."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes [start, start + size) of DRAM."""

    start: int
    size: int

    @property
    def stop(self) -> int:
        """First byte behind the span."""
        return self.start + self.size


@dataclass(frozen=True, slots=True)
class Program:
    """Encoded instructions and their DRAM contract.

    DRAM is [0, dram_bytes). Bytes [0, constant_bytes) hold the constants, are
    initialized before the run and are read-only for STORE. ``inputs`` are the
    further spans the driver initializes; ``outputs`` must be wholly written
    when the program ends. Reading any other byte before a STORE wrote it is an
    UninitializedError.

    Meaning: the instructions executed one after the other in program order. A
    wait must find its token in program order (so the program cannot deadlock
    at any queue depth), and tokens must order every two engines' conflicting
    accesses (so running the engines concurrently gives the same bits); at the
    end no token may be left.
    """

    code: bytes
    dram_bytes: int
    constant_bytes: int = 0
    inputs: tuple[Span, ...] = ()
    outputs: tuple[Span, ...] = ()
