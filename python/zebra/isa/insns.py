"""The instruction set: the one declaration of promise P3.

Address units: ACT one vector of BLOCK int8; ACC and PAR one vector of BLOCK
int32; WGT one tile of BLOCK x BLOCK int8 [output lane][input lane]; TAB one
table of 256 int8 (indexed by the operand's byte as unsigned); DRAM one byte.

Each instruction carries a nest of loop levels. Level 0 is innermost; an
operand's address is its base plus, over the levels, index times stride. All
iterations of the nest are the sequential reference order, outermost level
slowest. Level 0 of GEMM, ACCUM and POST is the pixel level: the machine does
ROWS of its iterations per cycle, so they must write different addresses.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from zebra.isa.fields import Bits, Levels, Word


class Engine(enum.IntEnum):
    """The four in-order queues. A token mask has bit ``1 << engine``."""

    LOAD = 0
    GEMM = 1
    VEC = 2
    STORE = 3


class Memory(enum.IntEnum):
    """Scratchpads (and DRAM) an instruction can name."""

    ACT = 0
    WGT = 1
    ACC = 2
    PAR = 3
    TAB = 4
    DRAM = 5


class AccumOp(enum.IntEnum):
    """What ACCUM does with each ACT element x and accumulator a."""

    MAC = 0
    """a + x * PAR[par], per lane (depthwise convolution)."""
    SUM = 1
    """a + x (average pooling)."""
    MAX = 2
    """max(a, x) (max pooling)."""


class PostOp(enum.IntEnum):
    """What POST computes from A and B; R(x, g) requantizes with PAR group g."""

    SCALE = 0
    """R(A + bias0, 0)."""
    ADD = 1
    """R(A + bias0, 0) + R(B + bias1, 1)."""
    SUB = 2
    """R(A + bias0, 0) - R(B + bias1, 1)."""
    MUL = 3
    """R((A + bias0) * (B + bias1), 0)."""


OPCODE_BITS = 4

Opcode = Annotated[int, Bits(OPCODE_BITS, "operation")]
Mask = Annotated[int, Bits(4, "engines, bit 1 << Engine")]


@dataclass(frozen=True, slots=True)
class DmaLevel:
    """One loop level of a DRAM transfer."""

    extent: Annotated[int, Bits(16, "iterations, 1..65536", bias=1)] = 1
    dram: Annotated[int, Bits(32, "DRAM stride in bytes")] = 0
    sram: Annotated[int, Bits(16, "scratchpad stride in entries")] = 0


@dataclass(frozen=True, slots=True)
class FillLevel:
    """One loop level of a fill."""

    extent: Annotated[int, Bits(16, "iterations, 1..65536", bias=1)] = 1
    sram: Annotated[int, Bits(16, "ACT stride in vectors")] = 0


@dataclass(frozen=True, slots=True)
class GemmLevel:
    """One loop level of a matrix multiplication."""

    extent: Annotated[int, Bits(12, "iterations, 1..4096", bias=1)] = 1
    act: Annotated[int, Bits(16, "ACT stride in vectors")] = 0
    wgt: Annotated[int, Bits(16, "WGT stride in tiles")] = 0
    acc: Annotated[int, Bits(16, "ACC stride in vectors")] = 0


@dataclass(frozen=True, slots=True)
class AccumLevel:
    """One loop level of a window accumulation."""

    extent: Annotated[int, Bits(12, "iterations, 1..4096", bias=1)] = 1
    act: Annotated[int, Bits(16, "ACT stride in vectors")] = 0
    acc: Annotated[int, Bits(16, "ACC stride in vectors")] = 0
    par: Annotated[int, Bits(12, "PAR stride in vectors (MAC only)")] = 0


@dataclass(frozen=True, slots=True)
class PostLevel:
    """One loop level of a post-processing pass."""

    extent: Annotated[int, Bits(12, "iterations, 1..4096", bias=1)] = 1
    dst: Annotated[int, Bits(16, "destination stride in vectors")] = 0
    a: Annotated[int, Bits(16, "operand A stride in vectors")] = 0
    b: Annotated[int, Bits(16, "operand B stride in vectors")] = 0
    par: Annotated[int, Bits(12, "PAR stride in vectors")] = 0


@dataclass(frozen=True, slots=True)
class Insn(Word):
    """The header every instruction starts with: which engines to wait for and to signal.

    ``wait`` takes one token from each named engine before the instruction
    starts; ``signal`` gives one token to each named engine when it is done.
    Naming one's own engine is illegal (a queue is in order anyway).
    """

    ENGINE: ClassVar[Engine]

    wait: Mask = 0
    signal: Mask = 0

    @property
    def levels(self) -> tuple[Any, ...]:
        """The loop levels, innermost first."""
        return ()


@dataclass(frozen=True, slots=True)
class Load(Insn):
    """DRAM -> ACT, WGT, PAR or TAB.

    One iteration moves one entry. ACT: lanes [lane, lane + lanes) take bytes at
    dram + k * lane_stride; the other lanes become 0, or keep their value with
    ``merge``. WGT, PAR and TAB move whole contiguous entries (lane = 0, lanes =
    BLOCK, lane_stride = 1, no merge); PAR with ``widen`` reads BLOCK int8 and
    sign-extends them to int32.
    """

    OPCODE: ClassVar[int] = 1
    ENGINE: ClassVar[Engine] = Engine.LOAD

    memory: Annotated[Memory, Bits(3, "destination memory")] = Memory.ACT
    merge: Annotated[bool, Bits(1, "ACT: keep the lanes not loaded")] = False
    widen: Annotated[bool, Bits(1, "PAR: int8 in DRAM, int32 on chip")] = False
    dram: Annotated[int, Bits(32, "DRAM address in bytes")] = 0
    sram: Annotated[int, Bits(20, "scratchpad address in entries")] = 0
    lane: Annotated[int, Bits(7, "first lane")] = 0
    lanes: Annotated[int, Bits(7, "number of lanes, 1..128", bias=1)] = 1
    lane_stride: Annotated[int, Bits(24, "bytes between lanes in DRAM")] = 1
    loops: Annotated[tuple[DmaLevel, ...], Levels(4, "loop levels")] = ()

    @property
    def levels(self) -> tuple[DmaLevel, ...]:
        """The loop levels, innermost first."""
        return self.loops


@dataclass(frozen=True, slots=True)
class Store(Insn):
    """ACT -> DRAM: lanes [lane, lane + lanes) go to bytes at dram + k * lane_stride."""

    OPCODE: ClassVar[int] = 2
    ENGINE: ClassVar[Engine] = Engine.STORE

    dram: Annotated[int, Bits(32, "DRAM address in bytes")] = 0
    sram: Annotated[int, Bits(20, "ACT address in vectors")] = 0
    lane: Annotated[int, Bits(7, "first lane")] = 0
    lanes: Annotated[int, Bits(7, "number of lanes, 1..128", bias=1)] = 1
    lane_stride: Annotated[int, Bits(24, "bytes between lanes in DRAM")] = 1
    loops: Annotated[tuple[DmaLevel, ...], Levels(4, "loop levels")] = ()

    @property
    def levels(self) -> tuple[DmaLevel, ...]:
        """The loop levels, innermost first."""
        return self.loops


@dataclass(frozen=True, slots=True)
class Fill(Insn):
    """Write ``value`` to every lane of ACT vectors (padding)."""

    OPCODE: ClassVar[int] = 3
    ENGINE: ClassVar[Engine] = Engine.LOAD

    sram: Annotated[int, Bits(20, "ACT address in vectors")] = 0
    value: Annotated[int, Bits(8, "int8 value", signed=True)] = 0
    loops: Annotated[tuple[FillLevel, ...], Levels(4, "loop levels")] = ()

    @property
    def levels(self) -> tuple[FillLevel, ...]:
        """The loop levels, innermost first."""
        return self.loops


@dataclass(frozen=True, slots=True)
class Gemm(Insn):
    """ACC[acc][o] += sum over i of ACT[act][i] * WGT[wgt][o][i], wrapping int32.

    A level whose ``acc`` stride is 0 is a reduction level. With ``overwrite``
    the iterations at which every reduction level's index is 0 write instead of
    adding. Level 0 must not be a reduction level unless its extent is 1.
    """

    OPCODE: ClassVar[int] = 4
    ENGINE: ClassVar[Engine] = Engine.GEMM

    overwrite: Annotated[bool, Bits(1, "first visit of an accumulator writes")] = False
    act: Annotated[int, Bits(20, "ACT address in vectors")] = 0
    wgt: Annotated[int, Bits(20, "WGT address in tiles")] = 0
    acc: Annotated[int, Bits(20, "ACC address in vectors")] = 0
    loops: Annotated[tuple[GemmLevel, ...], Levels(6, "loop levels")] = ()

    @property
    def levels(self) -> tuple[GemmLevel, ...]:
        """The loop levels, innermost first."""
        return self.loops


@dataclass(frozen=True, slots=True)
class Accum(Insn):
    """ACC[acc] = op(ACC[acc], ACT[act]) lane by lane, wrapping int32; see AccumOp.

    Reduction levels and ``overwrite`` as for GEMM: the first visit writes
    x * PAR[par] (MAC) or x (SUM, MAX). Level 0 must not be a reduction level
    unless its extent is 1.
    """

    OPCODE: ClassVar[int] = 5
    ENGINE: ClassVar[Engine] = Engine.VEC

    op: Annotated[AccumOp, Bits(2, "AccumOp")] = AccumOp.MAC
    overwrite: Annotated[bool, Bits(1, "first visit of an accumulator writes")] = False
    act: Annotated[int, Bits(20, "ACT address in vectors")] = 0
    acc: Annotated[int, Bits(20, "ACC address in vectors")] = 0
    par: Annotated[int, Bits(16, "PAR address in vectors (MAC only)")] = 0
    loops: Annotated[tuple[AccumLevel, ...], Levels(5, "loop levels")] = ()

    @property
    def levels(self) -> tuple[AccumLevel, ...]:
        """The loop levels, innermost first."""
        return self.loops


@dataclass(frozen=True, slots=True)
class Post(Insn):
    """dst = finish(op(A, B)): requantize, add, subtract, multiply, table.

    Group g of the parameters is the three PAR vectors bias, multiplier, shift at
    par + 3 * g. All sums and products before R wrap to int32; R is
    numerics.requantize. finish adds ``offset`` (wrapping) and, for an ACT
    destination, clamps to [low, high], looks the byte up in TAB[table] if
    ``lookup``, and writes int8; an ACC destination gets the int32 unclamped.
    Operand A is read from ACT (sign-extended) or ACC, B always from ACT. Where
    group 0 scales a 32-bit value (A in ACC, or the product of MUL wherever A is),
    its multipliers must have at most MULT_WIDTH significant bits unless ``wide``
    is set (two passes). Shifts must be 1..62, multipliers >= 0.
    The destination's bounding interval must not overlap a source's in the same
    memory unless base and all strides are the same (in place).
    """

    OPCODE: ClassVar[int] = 6
    ENGINE: ClassVar[Engine] = Engine.VEC

    op: Annotated[PostOp, Bits(2, "PostOp")] = PostOp.SCALE
    truncate: Annotated[bool, Bits(1, "round toward zero instead of upward")] = False
    wide: Annotated[bool, Bits(1, "multipliers of up to 31 bits, two passes")] = False
    lookup: Annotated[bool, Bits(1, "apply TAB[table] after the clamp")] = False
    dst_memory: Annotated[Memory, Bits(3, "ACT or ACC")] = Memory.ACT
    a_memory: Annotated[Memory, Bits(3, "ACT or ACC")] = Memory.ACC
    table: Annotated[int, Bits(6, "table number")] = 0
    offset: Annotated[int, Bits(10, "added after requantization", signed=True)] = 0
    low: Annotated[int, Bits(8, "lower clamp", signed=True)] = -128
    high: Annotated[int, Bits(8, "upper clamp", signed=True)] = 127
    dst: Annotated[int, Bits(20, "destination address in vectors")] = 0
    a: Annotated[int, Bits(20, "operand A address in vectors")] = 0
    b: Annotated[int, Bits(20, "operand B address in vectors (ACT)")] = 0
    par: Annotated[int, Bits(16, "PAR address in vectors")] = 0
    loops: Annotated[tuple[PostLevel, ...], Levels(5, "loop levels")] = ()

    @property
    def levels(self) -> tuple[PostLevel, ...]:
        """The loop levels, innermost first."""
        return self.loops


INSTRUCTIONS: tuple[type[Insn], ...] = (Load, Store, Fill, Gemm, Accum, Post)
