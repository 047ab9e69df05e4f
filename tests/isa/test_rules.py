"""Every rule of "The order of checks": semantics and verifier refuse with the same sentence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from tests.support.programs import random_program, small_config

from zebra.errors import (
    AddressError,
    EncodingError,
    OperandError,
    TokenError,
    UninitializedError,
    ZebraError,
)
from zebra.isa.check import RULES
from zebra.isa.codec import encode_program
from zebra.isa.insns import (
    Accum,
    AccumLevel,
    AccumOp,
    DmaLevel,
    Fill,
    FillLevel,
    Gemm,
    GemmLevel,
    Insn,
    Load,
    Memory,
    Post,
    PostLevel,
    PostOp,
    Store,
)
from zebra.isa.program import Program, Span
from zebra.isa.semantics import execute
from zebra.isa.verify import verify

# BLOCK is 4; ACT has 64 entries, WGT, ACC and PAR have 16, TAB has one.
CONFIG = small_config(2, 0, 0, 8)
DRAM = 2048
CONSTANTS = 1024
LOAD_TO_VEC = 1 << 2

FILL = Fill(loops=(FillLevel(64, 1),))
WGT = Load(memory=Memory.WGT, lanes=4, loops=(DmaLevel(16, 16, 1),))
PAR = Load(memory=Memory.PAR, dram=256, lanes=4, signal=LOAD_TO_VEC, loops=(DmaLevel(16, 16, 1),))
TAB = Load(memory=Memory.TAB, dram=512, lanes=4)
ACC = Accum(op=AccumOp.SUM, overwrite=True, wait=1, loops=(AccumLevel(16, 0, 1),))
READY = (FILL, WGT, TAB, PAR, ACC)


def parameters(multiplier: int = 1, shift: int = 1) -> bytes:
    """DRAM constants; PAR holds five groups of bias 0, ``multiplier``, ``shift``."""
    image = np.zeros((16, 4), "<i4")
    image[1::3], image[2::3] = multiplier, shift
    data = bytearray(CONSTANTS)
    data[256:512] = image.tobytes()
    return bytes(data)


def refused(
    error: type[ZebraError],
    message: str,
    insns: Sequence[Insn],
    constants: bytes | None = None,
    outputs: tuple[Span, ...] = (),
) -> None:
    """Both models refuse ``insns`` with ``error`` and a text that contains ``message``."""
    constants = parameters() if constants is None else constants
    inputs = (Span(CONSTANTS, 64),)
    program = Program(encode_program(insns), DRAM, CONSTANTS, inputs, outputs)
    dram = np.zeros(DRAM, np.uint8)
    dram[:CONSTANTS] = np.frombuffer(constants, np.uint8)
    with pytest.raises(error) as from_semantics:
        execute(program, CONFIG, dram)
    with pytest.raises(error) as from_verifier:
        verify(program, CONFIG, constants)
    assert message in str(from_semantics.value)
    assert str(from_verifier.value) == str(from_semantics.value)
    assert type(from_semantics.value) is error


def post(**changes: object) -> Post:
    """A POST that is legal behind READY but for ``changes``."""
    return Post(**{"dst": 20, **changes})  # type: ignore[arg-type]


OPERANDS: dict[str, tuple[Insn, str]] = {
    "own wait": (Fill(wait=1), "(FILL): wait = 1 names its own engine LOAD"),
    "own signal": (Store(signal=8), "(STORE): signal = 8 names its own engine STORE"),
    "iterations": (
        Fill(loops=(FillLevel(4096), FillLevel(4097))),
        "(FILL): 16781312 iterations are more than 16777216; split the nest",
    ),
    "load lanes": (Load(lane=2, lanes=3), "lane 2 + lanes 3 = 5 is more than BLOCK = 4"),
    "store lanes": (Store(lane=4, lanes=1), "lane 4 + lanes 1 = 5 is more than BLOCK = 4"),
    "load to ACC": (Load(memory=Memory.ACC), "memory = ACC cannot be loaded"),
    "load to DRAM": (Load(memory=Memory.DRAM), "memory = DRAM cannot be loaded"),
    "entry lane": (Load(memory=Memory.WGT, lane=1), "lane = 1 must be 0: WGT takes whole"),
    "entry lanes": (Load(memory=Memory.PAR, lanes=3), "lanes = 3 must be 4: PAR takes whole"),
    "entry stride": (
        Load(memory=Memory.TAB, lanes=4, lane_stride=2),
        "lane_stride = 2 must be 1: TAB takes whole entries",
    ),
    "entry merge": (
        Load(memory=Memory.WGT, lanes=4, merge=True),
        "merge = True must be False: WGT takes whole entries",
    ),
    "widen": (Load(widen=True), "widen is for PAR, not for ACT"),
    "store stride": (Store(lanes=2, lane_stride=0), "lane_stride = 0 stores 2 lanes to one byte"),
    "gemm level 0": (Gemm(loops=(GemmLevel(2),)), "level 0 has extent 2 and acc stride 0"),
    "accum level 0": (Accum(loops=(AccumLevel(3),)), "level 0 has extent 3 and acc stride 0"),
    "post memory": (post(dst_memory=Memory.PAR), "dst_memory = PAR must be ACT or ACC"),
    "post source": (post(a_memory=Memory.WGT), "a_memory = WGT must be ACT or ACC"),
    "post clamp": (post(low=3, high=2), "low = 3 is above high = 2"),
    "post lookup": (
        post(lookup=True, dst_memory=Memory.ACC),
        "lookup gives a byte, but dst_memory = ACC",
    ),
    "post level 0": (post(loops=(PostLevel(2),)), "level 0 has extent 2 and dst stride 0"),
    "post overlap a": (
        post(a_memory=Memory.ACT, a=18, loops=(PostLevel(3, 1, 1),)),
        "dst: ACT vectors 20..22 overlaps a: ACT vectors 18..20",
    ),
    "post overlap b": (
        post(op=PostOp.ADD, b=20, loops=(PostLevel(3, 1, 0),)),
        "dst: ACT vectors 20..22 overlaps b: ACT vectors 20..20",
    ),
    "post overlap strides of one iteration": (
        post(a_memory=Memory.ACT, a=20, loops=(PostLevel(1, 1, 0),)),
        "overlaps a: ACT vectors 20..20; keep them apart or give both the same nest",
    ),
}


@pytest.mark.parametrize("name", OPERANDS)
def test_static_operand_rules(name: str) -> None:
    insn, message = OPERANDS[name]
    refused(OperandError, message, [FILL, insn])


def test_every_static_rule_has_its_sentence() -> None:
    assert len(RULES) == 13
    assert all(rule.__doc__ for _, rule in RULES)


PARAMETERS = {
    "negative": (post(), -1, 1, "multiplier of group 0, lane 0, = -1 must not be negative"),
    "shift 0": (post(), 1, 0, "shift of group 0, lane 0, = 0 must be 1..62"),
    "shift 63": (post(), 1, 63, "shift of group 0, lane 0, = 63 must be 1..62"),
    "too wide": (post(), 257, 1, "= 257 has more than MULT_WIDTH = 8 significant bits; set wide"),
    "product too wide": (
        post(op=PostOp.MUL, a_memory=Memory.ACT),
        511,
        1,
        "= 511 has more than MULT_WIDTH = 8 significant bits; set wide",
    ),
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameter_rules(name: str) -> None:
    insn, multiplier, shift, message = PARAMETERS[name]
    refused(OperandError, message, [*READY, insn], parameters(multiplier, shift))


@pytest.mark.parametrize(
    ("insn", "multiplier"),
    [
        (post(wide=True), 257),
        (post(), 255 << 20),
        (post(), 0),
        (post(a_memory=Memory.ACT), 257),
    ],
    ids=["wide", "trailing zeros do not count", "zero", "A in ACT"],
)
def test_legal_multipliers(insn: Insn, multiplier: int) -> None:
    constants = parameters(multiplier)
    program = Program(encode_program([*READY, insn]), DRAM, CONSTANTS)
    verify(program, CONFIG, constants)
    dram = np.zeros(DRAM, np.uint8)
    dram[:CONSTANTS] = np.frombuffer(constants, np.uint8)
    execute(program, CONFIG, dram)


ADDRESSES: dict[str, tuple[Insn, str]] = {
    "load dram": (
        Load(dram=2045, lanes=4),
        "(LOAD): source: DRAM bytes 2045..2048 leaves the memory's 2048 bytes",
    ),
    "load tile": (Load(memory=Memory.WGT, dram=2033, lanes=4), "DRAM bytes 2033..2048 leaves"),
    "load act": (Load(sram=64), "destination: ACT vectors 64..64 leaves the memory's 64 vectors"),
    "load tab": (
        Load(memory=Memory.TAB, lanes=4, sram=1),
        "destination: TAB tables 1..1 leaves the memory's 1 tables",
    ),
    "store constants": (
        Store(dram=1023, lanes=4),
        "destination: DRAM bytes 1023..1026 starts inside the 1024 constant bytes",
    ),
    "store stride": (
        Store(dram=1024, lanes=4, lane_stride=400),
        "destination: DRAM bytes 1024..2224 leaves the memory's 2048 bytes",
    ),
    "fill": (Fill(sram=60, loops=(FillLevel(5, 1),)), "ACT vectors 60..64 leaves"),
    "gemm act": (Gemm(act=63, loops=(GemmLevel(2, 1, 0, 1),)), "act: ACT vectors 63..64 leaves"),
    "gemm wgt": (Gemm(wgt=16), "wgt: WGT tiles 16..16 leaves the memory's 16 tiles"),
    "gemm acc": (Gemm(acc=15, loops=(GemmLevel(2, 0, 0, 1),)), "acc: ACC vectors 15..16 leaves"),
    "accum par": (Accum(par=16), "par: PAR vectors 16..16 leaves the memory's 16 vectors"),
    "post scale par": (post(par=14), "par: PAR vectors 14..16 leaves"),
    "post mul par": (post(op=PostOp.MUL, par=13), "par: PAR vectors 13..16 leaves"),
    "post add par": (post(op=PostOp.ADD, par=11), "par: PAR vectors 11..16 leaves"),
    "post b": (post(op=PostOp.SUB, b=64), "b: ACT vectors 64..64 leaves"),
    "post table": (post(lookup=True, table=1), "table: TAB tables 1..1 leaves"),
    "post dst": (post(dst=64), "dst: ACT vectors 64..64 leaves"),
}


@pytest.mark.parametrize("name", ADDRESSES)
def test_addresses(name: str) -> None:
    insn, message = ADDRESSES[name]
    refused(AddressError, message, [*READY, insn])


@pytest.mark.parametrize(
    "insns",
    [
        [*READY, Accum(op=AccumOp.SUM, par=60000, loops=(AccumLevel(2, 1, 1, 4095),))],
        [*READY, post(b=1 << 19)],
        [*READY, post(table=63)],
        [Load(merge=True, lanes=4, dram=CONSTANTS)],
    ],
    ids=["par unless MAC", "b with SCALE", "table without lookup", "merge of all lanes"],
)
def test_unused_operands_do_not_count(insns: Sequence[Insn]) -> None:
    inputs = (Span(CONSTANTS, 64),)
    program = Program(encode_program(insns), DRAM, CONSTANTS, inputs)
    verify(program, CONFIG, parameters())
    execute(program, CONFIG, np.frombuffer(parameters() + bytes(DRAM - CONSTANTS), np.uint8).copy())


UNWRITTEN: dict[str, tuple[Sequence[Insn], str]] = {
    "load dram": ([Load(dram=1087, lanes=4)], "source reads DRAM byte 1088, which nothing"),
    "load merge": ([Load(merge=True, sram=3)], "merged lanes reads ACT vector 3, which nothing"),
    "store": ([Store(dram=1024, sram=5)], "source reads ACT vector 5, which nothing wrote"),
    "gemm act": ([WGT, Gemm(overwrite=True)], "(GEMM): act reads ACT vector 0"),
    "gemm wgt": ([FILL, Gemm(overwrite=True, wgt=3)], "(GEMM): wgt reads WGT tile 3"),
    "gemm acc": ([FILL, WGT, Gemm(acc=7)], "(GEMM): acc reads ACC vector 7"),
    "accum acc": ([FILL, Accum(op=AccumOp.MAX, acc=2)], "(ACCUM): acc reads ACC vector 2"),
    "accum par": ([FILL, Accum(overwrite=True, par=2)], "(ACCUM): par reads PAR vector 2"),
    "post a": ([PAR, Post(wait=1)], "(POST): a reads ACC vector 0"),
    "post par": ([FILL, Post(a_memory=Memory.ACT, par=2)], "(POST): par reads PAR vector 2"),
    "post b": (
        [Fill(), PAR, Post(wait=1, op=PostOp.ADD, a_memory=Memory.ACT, b=9, dst=1)],
        "(POST): b reads ACT vector 9",
    ),
    "post table": (
        [FILL, PAR, Post(wait=1, a_memory=Memory.ACT, lookup=True)],
        "(POST): table reads TAB table 0",
    ),
    "between strides": (
        [Fill(loops=(FillLevel(8, 2),)), Store(dram=1024, sram=0, loops=(DmaLevel(4, 1, 3),))],
        "source reads ACT vector 3, which nothing wrote",
    ),
}


@pytest.mark.parametrize("name", UNWRITTEN)
def test_uninitialized(name: str) -> None:
    insns, message = UNWRITTEN[name]
    refused(UninitializedError, message, insns)


def test_outputs_must_be_written() -> None:
    insns = [Fill(signal=8), Store(wait=1, dram=1500, lanes=4)]
    message = "3 byte(s) of the output span 1498..1505 were never written, the first at 1498"
    refused(UninitializedError, message, insns, outputs=(Span(1498, 7),))


TOKENS: dict[str, tuple[Sequence[Insn], str]] = {
    "none there": (
        [FILL, Store(dram=1024, wait=1)],
        "instruction 1 (STORE): waits for a token from LOAD, but none is there; "
        "an earlier LOAD instruction must signal STORE",
    ),
    "already taken": (
        [Fill(signal=8), Store(dram=1024, wait=1), Store(dram=1024, wait=1)],
        "instruction 2 (STORE): waits for a token from LOAD",
    ),
    "in engine order": ([FILL, Store(dram=1024, wait=0b0111)], "waits for a token from LOAD"),
    "left": (
        [Fill(signal=0b1100), Store(dram=1024, wait=1)],
        "the program ends with 1 token(s) from LOAD to VEC that nothing waits for",
    ),
}


@pytest.mark.parametrize("name", TOKENS)
def test_tokens(name: str) -> None:
    insns, message = TOKENS[name]
    refused(TokenError, message, insns)


ORDER: dict[str, tuple[Insn, type[ZebraError]]] = {
    "operand before token": (Store(lanes=5, wait=1), OperandError),
    "token before address": (Store(dram=0, wait=1), TokenError),
    "address before uninitialized": (Store(dram=0, sram=9), AddressError),
    "uninitialized before parameters": (Post(par=1), UninitializedError),
}


@pytest.mark.parametrize("name", ORDER)
def test_the_order_of_checks(name: str) -> None:
    insn, error = ORDER[name]
    refused(error, "instruction 0", [insn])


def test_leftover_token_before_unwritten_output() -> None:
    refused(TokenError, "1 token(s)", [Fill(signal=2)], outputs=(Span(1500, 1),))


def test_instructions_are_judged_in_program_order() -> None:
    good, bad = encode_program([Fill(wait=2)]), bytes(64)
    with pytest.raises(TokenError, match="instruction 0"):
        execute(Program(good + bad, 8), CONFIG, np.zeros(8, np.uint8))
    with pytest.raises(EncodingError, match="instruction 0"):
        execute(Program(bad + good, 8), CONFIG, np.zeros(8, np.uint8))


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (Program(b"", 8, 9), "9 constant bytes do not fit the DRAM of 8 bytes"),
        (Program(b"", 8, 0, (Span(4, 5),)), "input span 4..9 leaves the DRAM of 8 bytes"),
        (Program(b"", 8, 0, (), (Span(-1, 5),)), "output span -1..4 leaves the DRAM of 8 bytes"),
    ],
)
def test_spans_lie_inside_dram(program: Program, message: str) -> None:
    with pytest.raises(AddressError) as caught:
        verify(program, CONFIG)
    assert str(caught.value) == message


def test_constants_must_be_the_programs() -> None:
    with pytest.raises(OperandError, match="3 constant bytes given, the program declares 4"):
        verify(Program(b"", 8, 4), CONFIG, bytes(3))


def outcome(error: ZebraError | None) -> str:
    return "ok" if error is None else f"{type(error).__name__}: {error}"


def run_both(seed: int) -> tuple[ZebraError | None, ZebraError | None]:
    case = random_program(seed)
    ran = proven = None
    try:
        execute(case.program, case.config, np.frombuffer(case.dram, np.uint8).copy())
    except ZebraError as error:
        ran = error
    try:
        verify(case.program, case.config, case.constants)
    except ZebraError as error:
        proven = error
    return ran, proven


def test_verifier_equals_semantics_but_for_races() -> None:
    seen: dict[str, int] = {}
    for seed in range(160):
        ran, proven = run_both(seed)
        if proven is not None and "no chain of tokens" in str(proven):
            continue
        assert outcome(proven) == outcome(ran), seed
        kind = "ok" if ran is None else type(ran).__name__
        seen[kind] = seen.get(kind, 0) + 1
    classes = (EncodingError, OperandError, TokenError, AddressError, UninitializedError)
    assert 70 <= seen["ok"] <= 120
    assert all(seen[error.__name__] >= 2 for error in classes), seen
