"""Timing one tiling of one workload on the cycle model."""

from __future__ import annotations

from zebra.codegen.gemm import GemmGenerator
from zebra.hw import HwConfig
from zebra.isa.program import Program
from zebra.runtime.cycle import count_cycles
from zebra.schedule.tiling import GemmTiling, GemmWorkload
from zebra.tune.emission import TimingEmitter
from zebra.tune.synthetic import ADDRESSES, synthetic_plan


class Meter:
    """Times tilings of one workload on one configuration."""

    def __init__(self, work: GemmWorkload, config: HwConfig) -> None:
        self.config = config
        self._plan = synthetic_plan(work, config)

    def code(self, tiling: GemmTiling) -> bytes:
        """The instructions of the layer alone."""
        emitter = TimingEmitter(self.config, ADDRESSES)
        GemmGenerator(self._plan(tiling), emitter).emit()
        return emitter.code()

    def cycles(self, tiling: GemmTiling) -> int:
        """Cycles of the layer alone, from its first instruction to its last."""
        return count_cycles(Program(self.code(tiling), 1 << 32), self.config)
