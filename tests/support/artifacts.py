"""Small artifacts and damaged copies of them."""

from __future__ import annotations

import json
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from zebra.artifact import Artifact, container
from zebra.artifact.format import canonical_json, write_sections
from zebra.artifact.rules import packed_bytes
from zebra.codegen.compiled import Compiled, InputPort, LayerPart, LayerSpan, OutputPort
from zebra.hw import HwConfig, find_config
from zebra.isa.codec import encode_program
from zebra.isa.insns import DmaLevel, Engine, Load, Store
from zebra.isa.program import Program, Span
from zebra.schedule.fold import Fold
from zebra.schedule.scatter import Piece
from zebra.schedule.views import Dims

FOLD = Fold((2, 3), (2, 1), (1, 1), (1, 1, 0, 1), -3)


def output_port(name: str, dims: Dims, address: int, layout: str = "NCHW") -> OutputPort:
    """A value of ``dims`` as an output in one piece."""
    n, c, h, w = dims
    shape, strides = dims, (c * h * w, h * w, w, 1)
    if layout == "NHWC":
        shape, strides = (n, h, w, c), (c * h * w, 1, w * c, c)
    return OutputPort(name, shape, (Piece(name, c, 0, dims, 0, strides),), (address,))


def copy_artifact(config: str = "zebra", name: str = "copy") -> Artifact:
    """A program that copies [1, 3, 1, 2] through ACT; its output is seen as NHWC."""
    hw = find_config(config)
    source = InputPort("x", (1, 3, 1, 2), "NCHW", (1, 3, 1, 2), 16)
    target = output_port("y", (1, 3, 1, 2), 16 + 2 * hw.block, "NHWC")
    return _copying(hw, name, source, target)


def folded_artifact(
    dims: Dims = (1, 2, 4, 5),
    fold: Fold = FOLD,
    layout: str = "NHWC",
    hw: HwConfig | None = None,
) -> Artifact:
    """A program whose output is its input, of ``dims``, folded: [N, taps * C, H', W']."""
    hw = hw or find_config("zebra")
    n, c, h, w = dims
    shape = (n, h, w, c) if layout == "NHWC" else dims
    source = InputPort("x", shape, layout, dims, 16, fold)
    target = output_port("y", source.packed, 16 + packed_bytes(source, hw.block))
    return _copying(hw, "folded", source, target)


def _copying(hw: HwConfig, name: str, source: InputPort, target: OutputPort) -> Artifact:
    """A program that copies the bytes of ``source`` to ``target``, behind 16 constant bytes."""
    size = packed_bytes(source, hw.block)
    vectors = size // hw.block
    assert vectors <= hw.act_entries, "the copy goes through ACT at once"
    loops = (DmaLevel(vectors, hw.block, 1),)
    code = encode_program(
        [
            Load(dram=16, lanes=hw.block, loops=loops, signal=1 << Engine.STORE),
            Store(dram=16 + size, lanes=hw.block, loops=loops, wait=1 << Engine.LOAD),
        ]
    )
    spans = Span(16, size), Span(16 + size, size)
    program = Program(code, 16 + 2 * size, 16, spans[:1], spans[1:])
    return Artifact(
        hw,
        Compiled(
            name,
            program,
            bytes(range(16)),
            (source,),
            (target,),
            (LayerSpan("copy", "nn.identity", 0, 2, 0, 0),),
        ),
    )


def damaged_copies(data: bytes, count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """(what was done, bytes) of ``count`` random bit flips, alternating with truncations."""
    rng = random.Random(seed)
    for index in range(count):
        if index % 2:
            size = rng.randrange(len(data))
            yield f"first {size} bytes", data[:size]
            continue
        bit = rng.randrange(8 * len(data))
        broken = bytearray(data)
        broken[bit // 8] ^= 1 << bit % 8
        yield f"bit {bit} flipped", bytes(broken)


def sealed(body: bytes, version: int = container.FORMAT_VERSION) -> bytes:
    """A file with ``body`` for its sections and a header that fits it."""
    checked = struct.pack("<Q", 24 + len(body)) + body
    return b"ZEBRAART" + struct.pack("<II", version, zlib.crc32(checked)) + checked


def resealed_copies(data: bytes, count: int, seed: int) -> Iterator[bytes]:
    """``count`` copies with one byte of the sections changed and the checksum made right."""
    rng = random.Random(seed)
    for _ in range(count):
        body = bytearray(data[24:])
        body[rng.randrange(len(body))] = rng.choice((0, 1, 2, 0x7F, 0xFF, rng.randrange(256)))
        yield sealed(bytes(body))


def section(tag: str, payload: bytes) -> bytes:
    """One section."""
    return tag.encode() + struct.pack("<Q", len(payload)) + payload


def sample_file(tags: tuple[str, ...] = container.TAGS, **changes: bytes) -> bytes:
    """The sample's sections named by ``tags``, some of them changed, under a sound header."""
    artifact = copy_artifact()
    sections = write_sections(artifact.config, artifact.compiled) | changes
    return sealed(b"".join(section(tag, sections[tag]) for tag in tags))


def with_input(port: InputPort) -> bytes:
    """The sample's file with another input port, whatever it says."""
    artifact = copy_artifact()
    compiled = replace(artifact.compiled, inputs=(port,))
    return container.pack(write_sections(artifact.config, compiled))


def with_output(port: OutputPort) -> bytes:
    """The sample's file with another output port, whatever it says."""
    artifact = copy_artifact()
    compiled = replace(artifact.compiled, outputs=(port,))
    return container.pack(write_sections(artifact.config, compiled))


def chain_artifact() -> Artifact:
    """The sample with a chain for its layer: LOAD is the first part's, STORE the second's."""
    sample = copy_artifact()
    parts = LayerPart("a", "nn.identity", 7, 0), LayerPart("b", "", 5, 5)
    (layer,) = sample.compiled.layers
    layer = replace(layer, macs=12, vec_macs=5, parts=parts, owners=(0, 1))
    return Artifact(sample.config, replace(sample.compiled, layers=(layer,)))


def _with_parts(runs: list[int], last: int = 2) -> bytes:
    """The chain's file with other owners and another end."""
    artifact = chain_artifact()
    sections = write_sections(artifact.config, artifact.compiled)
    meta = json.loads(sections["META"])
    meta["layers"][0][3] = last
    meta["layers"][0][-1] = runs
    return container.pack(sections | {"META": canonical_json(meta)})


def _cut() -> bytes:
    return sample_file()[:-1]


BROKEN: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "is truncated: it has 0 bytes"),
    "magic-cut": (lambda: b"ZEB", "is truncated: it has 3 bytes"),
    "bad-magic": (lambda: b"\x7fELF" * 20, "is not a Zebra artifact"),
    "one-byte-short": (_cut, "is truncated: it has"),
    "one-byte-long": (lambda: sample_file() + b"\0", "header promises"),
    "future-version": (lambda: sealed(b"", version=6), "version 6, from a newer Zebra"),
    "past-version": (lambda: sealed(b"", version=4), "version 4, from an older Zebra"),
    "version-zero": (lambda: sealed(b"", version=0), "never existed"),
    "checksum": (lambda: _cut() + b"\xff", "corrupt: its checksum"),
    "missing": (lambda: sample_file(container.TAGS[:-1]), "has no section CNST"),
    "duplicated": (
        lambda: sample_file((*container.TAGS, "CNST")),
        "has section CNST more than once",
    ),
    "out-of-order": (
        lambda: sample_file(("HASH", "CONF", *container.TAGS[2:])),
        "sections out of order",
    ),
    "unknown-section": (lambda: sealed(section("WHAT", b"")), "an unknown section"),
    "many-sections": (lambda: sealed(section("CONF", b"") * 1000), "more than once"),
    "huge-section": (lambda: sealed(b"CONF" + struct.pack("<Q", 1 << 60)), "is truncated"),
    "hash-length": (lambda: sample_file(HASH=bytes(31)), "configuration's hash"),
    "sizes-cut": (lambda: sample_file(HWSZ=bytes(31)), "HWSZ"),
    "impossible-sizes": (lambda: sample_file(HWSZ=b"\xff" * 32), "HWSZ"),
    "port-count": (lambda: sample_file(PORT=b"\xff" * 8), "section PORT is truncated"),
    "name-length": (
        lambda: sample_file(PORT=struct.pack("<3I", 1, 0, 1 << 31)),
        "section PORT is truncated",
    ),
    "span-count": (
        lambda: sample_file(DRAM=struct.pack("<2Q2I", 80, 16, 1 << 31, 0)),
        "section DRAM is truncated",
    ),
    "span-outside": (
        lambda: sample_file(DRAM=struct.pack("<2Q2I2Q", 80, 16, 1, 0, 1 << 63, 1 << 63)),
        "outside the arena",
    ),
    "dram-size": (
        lambda: sample_file(DRAM=struct.pack("<2Q2I", 1 << 40, 16, 0, 0)),
        "impossible",
    ),
    "code-length": (lambda: sample_file(CODE=b"\0" * 63), "not a whole number of 64"),
    "constants": (lambda: sample_file(CNST=b""), "0 bytes of constants"),
}
"""Files that nobody may read: how to make them, and what the refusal says."""

BROKEN_FOR_PYTHON: dict[str, tuple[Callable[[], bytes], str]] = {
    "config-hash": (lambda: sample_file(HASH=bytes(32)), "was made for 0000000000000000"),
    "other-sizes": (
        lambda: sample_file(HWSZ=struct.pack("<8I", *[16] * 8)),
        "other sizes than the configuration",
    ),
    "config-json": (lambda: sample_file(CONF=b"{"), "CONF is not JSON"),
    "config-value": (lambda: sample_file(CONF=b"{}"), "LOG_INP_WIDTH is missing"),
    "meta": (lambda: sample_file(META=b'{"config":"zebra"}'), "does not name the graph"),
    "runs-of-half": (lambda: _with_parts([0, 1, 1]), "does not name the graph"),
    "runs-of-nothing": (lambda: _with_parts([0, 2, 1, 0]), "does not name the graph"),
    "endless-runs": (lambda: _with_parts([0, 1 << 60]), "does not name the graph"),
    "runs-too-short": (lambda: _with_parts([1, 1]), "says of 1 instructions which part they"),
    "no-runs": (lambda: _with_parts([]), "says of 0 instructions which part they"),
    "no-such-part": (lambda: _with_parts([0, 1, 2, 1]), "not one of its 2"),
    "layer-outside": (lambda: _with_parts([0, 2], last=3), "has instructions 0..3 of 2"),
}
"""Files whose fault is in a section that only Python reads."""


def _folded(**changes: Any) -> InputPort:
    """The sample's input with a fold."""
    return InputPort("x", (6,), "NCHW", (1, 3, 1, 2), 16, Fold(**changes))


BAD_PORTS: dict[str, tuple[InputPort, str]] = {
    "shape": (InputPort("x", (7,), "NCHW", (1, 3, 1, 2), 16), "cannot become"),
    "nhwc": (InputPort("x", (1, 3, 1, 2), "NHWC", (1, 3, 1, 2), 16), "cannot become"),
    "in-constants": (InputPort("x", (6,), "NCHW", (1, 3, 1, 2), 0), "outside the arena"),
    "past-the-end": (InputPort("x", (6,), "NCHW", (1, 3, 1, 2), 64), "outside the arena"),
    "far-away": (InputPort("x", (6,), "NCHW", (1, 3, 1, 2), 2**64 - 8), "outside the arena"),
    "overflow": (
        InputPort("x", (2**32, 2**32), "NCHW", (2**32, 2**16, 2**16, 1), 16),
        "more than 4294967296 elements",
    ),
    "empty": (InputPort("x", (0,), "NCHW", (1, 0, 1, 2), 16), "tensor x has"),
    "no-taps": (_folded(taps=(0, 1)), "at least 1"),
    "negative-taps": (_folded(taps=(-3, -1)), "at least 1"),
    "no-step": (_folded(step=(1, 0)), "at least 1"),
    "no-dilation": (_folded(dilation=(0, 1)), "at least 1"),
    "pad-value": (_folded(pad_value=128), "which is not an int8"),
    "cropped-away": (_folded(pads=(-1, 0, 0, 0)), "leaves no pixel"),
    "taps-beyond": (_folded(taps=(1, 3)), "leaves no pixel"),
    "far-taps": (_folded(taps=(2**31 - 1, 1), dilation=(2**31 - 1, 1)), "leaves no pixel"),
    "many-taps": (
        _folded(taps=(2**31 - 1, 2**31 - 1), pads=(2**31 - 1, 2**31 - 1, 0, 0)),
        "outside the arena",
    ),
    "many-pixels": (_folded(pads=(2**31 - 1, 2**31 - 1, 2**31 - 1, 0)), "outside the arena"),
    "hidden-elements": (
        InputPort("x", (2**20, 2**20), "NCHW", (1, 1, 2**20, 2**20), 16, Fold(step=(2**20, 2**20))),
        "more than 4294967296 elements",
    ),
    "rank": (InputPort("x", (1,) * 9, "NCHW", (1, 1, 1, 1), 16), "tensor x has"),
}
"""Ports that contradict the sample's program: the port, and what the refusal says."""


def _pieces(*changes: dict[str, Any], shape: tuple[int, ...] = (1, 1, 2, 3)) -> OutputPort:
    """The sample's output with its piece changed, once for each of ``changes``."""
    port = copy_artifact().compiled.outputs[0]
    pieces = tuple(replace(port.pieces[0], **change) for change in changes)
    return OutputPort("y", shape, pieces, port.addresses * len(pieces))


BAD_OUTPUTS: dict[str, tuple[OutputPort, str]] = {
    "none": (_pieces(), "pieces of another size"),
    "missing": (_pieces({}, shape=(1, 1, 2, 4)), "pieces of another size"),
    "twice": (_pieces({}, {}), "pieces of another size"),
    "overlapping": (_pieces({"strides": (6, 1, 1, 1)}), "pieces that overlap"),
    "behind": (_pieces({"offset": 1}), "does not lie in it"),
    "far": (_pieces({"offset": 2**64 - 1}), "does not lie in it"),
    "steps": (_pieces({"strides": (6, 1, 6, 2**63)}), "does not lie in it"),
    "channels": (_pieces({"first": 1}), "does not lie in it"),
    "many-channels": (_pieces({"channels": 2**40}), "does not lie in it"),
    "no-pixels": (_pieces({"dims": (1, 3, 0, 2)}), "tensor y has"),
    "elements": (
        _pieces({"dims": (1, 1, 2**20, 2**20)}, shape=(2**20, 2**20)),
        "more than 4294967296 elements",
    ),
    "address": (
        OutputPort("y", (1, 1, 2, 3), _pieces({}).pieces, (2**64 - 8,)),
        "outside the arena",
    ),
    "in-constants": (OutputPort("y", (1, 1, 2, 3), _pieces({}).pieces, (0,)), "outside the arena"),
}
"""Outputs that contradict the sample's program: the port, and what the refusal says."""
