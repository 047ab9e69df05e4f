"""Timing one tiling of one workload on the cycle model."""

from __future__ import annotations

from collections.abc import Hashable

from zebra.codegen.constants import ConstantPool
from zebra.codegen.emitter import Emitter
from zebra.codegen.gemm import GemmGenerator, GemmPlan, plan_gemm, retile
from zebra.codegen.shapes import Shapes
from zebra.hw import HwConfig
from zebra.isa.insns import Memory
from zebra.isa.program import Program
from zebra.runtime.assemble import ShapeTable
from zebra.runtime.cycle import count_cycles
from zebra.schedule.tiling import GemmTiling, GemmWorkload
from zebra.tune.listing import ListingEmitter, Loads
from zebra.tune.synthetic import ADDRESSES, synthetic_layer


class Meter:
    """Times tilings of one workload on one configuration."""

    def __init__(self, work: GemmWorkload, config: HwConfig) -> None:
        self.config = config
        self._layer = synthetic_layer(work, config.block)
        # Constants that are equal are stored once, so that trials do not fill it.
        self._pool = ConstantPool()
        self._plans: dict[bool, GemmPlan] = {}
        """One without and one with rows on the array: their constants are not the same."""
        self._shapes = Shapes(config, frozenset({Memory.DRAM}))
        self._table = ShapeTable()
        self._loads: dict[Hashable, Loads] = {}

    def emit(self, tiling: GemmTiling, emitter: Emitter) -> None:
        """The instructions of the layer alone."""
        shared = tiling.on_array > 0
        if shared not in self._plans:
            self._plans[shared] = plan_gemm(
                self._layer, self._pool, self.config, lambda work, config: tiling
            )
        GemmGenerator(retile(self._plans[shared], tiling), emitter).emit()

    def code(self, tiling: GemmTiling) -> bytes:
        """The same, encoded.

        DRAM is left out of the search for hazards: a layer alone reads and writes
        different buffers there, so no token comes from it.
        """
        known = self._shapes, self._table, self._loads
        emitter = ListingEmitter(self.config, ADDRESSES, *known)
        self.emit(tiling, emitter)
        return emitter.code()

    def cycles(self, tiling: GemmTiling) -> int:
        """Cycles of the layer alone, from its first instruction to its last."""
        return count_cycles(Program(self.code(tiling), 1 << 32), self.config)
