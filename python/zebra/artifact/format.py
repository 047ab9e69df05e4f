"""The payload of each section of an artifact, to bytes and back.

PORT: u32 inputs, u32 outputs, then the inputs and the outputs in calling order. An
input: string name, u32 rank, u64 shape[rank], u32 layout (0 NCHW, 1 NHWC), u64
dims[4], u64 address, then its fold: i32 taps[2], step[2], dilation[2], pads[4], pad
value. An output: string name, u32 rank, u64 shape[rank], u32 pieces, each: string
value, u64 channels, u64 first, u64 dims[4], u64 offset, u64 strides[4], u64 address.
DRAM: u64 dram_bytes, u64 constant_bytes, u32 inputs, u32 outputs, then the
spans: u64 start, u64 size.
META: JSON; a layer is [name, origin, first, last, macs, vec_macs, parts, owners], a
part [name, origin, macs, vec_macs], and owners are runs: part, instructions, part ...
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from zebra.artifact.stream import Reader, Writer
from zebra.codegen.compiled import Compiled, InputPort, LayerPart, LayerSpan, OutputPort
from zebra.errors import ArtifactError, ConfigError
from zebra.hw import HwConfig
from zebra.isa.fields import WORD_BYTES
from zebra.isa.program import Program, Span
from zebra.schedule.fold import Fold
from zebra.schedule.scatter import Piece
from zebra.version import VERSION

LAYOUTS = ("NCHW", "NHWC")


def canonical_json(value: Any) -> bytes:
    """JSON with sorted keys and no spaces: the same value gives the same bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def write_sections(config: HwConfig, compiled: Compiled) -> dict[str, bytes]:
    """The payload of every section."""
    return {
        "CONF": canonical_json(config.to_mapping()),
        "HASH": bytes.fromhex(config.digest),
        "HWSZ": _write_sizes(config),
        "META": canonical_json(
            {
                "config": config.name,
                "creator": f"zebra {VERSION}",
                "graph": compiled.name,
                "layers": [_write_layer(span) for span in compiled.layers],
            }
        ),
        "PORT": _write_ports(compiled),
        "DRAM": _write_dram(compiled.program),
        "CODE": compiled.program.code,
        "CNST": compiled.constants,
    }


def read_sections(sections: Mapping[str, bytes], origin: str) -> tuple[HwConfig, Compiled]:
    """What ``write_sections`` wrote; ArtifactError where a payload is not that."""
    meta = _read_json(sections["META"], f"{origin}: section META")
    config = _read_config(sections, meta, origin)
    inputs, outputs = _read_ports(Reader(sections["PORT"], f"{origin}: section PORT"))
    program = _read_dram(Reader(sections["DRAM"], f"{origin}: section DRAM"), sections["CODE"])
    try:
        instructions = len(program.code) // WORD_BYTES
        layers = tuple(_read_layer(fields, instructions) for fields in meta["layers"])
        name = str(meta["graph"])
    except (KeyError, TypeError, ValueError, OverflowError):
        raise ArtifactError(
            f"{origin}: section META does not name the graph and its layers; build it again"
        ) from None
    return config, Compiled(name, program, sections["CNST"], inputs, outputs, layers)


def _write_layer(span: LayerSpan) -> list[Any]:
    parts = [[part.name, part.origin, part.macs, part.vec_macs] for part in span.parts]
    runs = [(part, sum(1 for _ in run)) for part, run in groupby(span.owners)]
    owners = [number for run in runs for number in run]
    head = [span.name, span.origin, span.first, span.last, span.macs, span.vec_macs]
    return [*head, parts, owners]


def _read_layer(fields: Iterable[Any], instructions: int) -> LayerSpan:
    """TypeError, ValueError or OverflowError where ``fields`` are not what was written.

    A program of ``instructions`` has no longer layer.
    """
    name, origin, first, last, macs, vec_macs, parts, runs = fields
    counts = [int(count) for count in runs[1::2]]
    if any(count < 1 for count in counts) or sum(counts) > instructions:
        raise ValueError("the runs do not fit the program")
    pairs = zip(runs[::2], counts, strict=True)
    owners = tuple(owner for part, count in pairs for owner in (int(part),) * count)
    found = tuple(LayerPart(str(p), str(note), int(n), int(vec)) for p, note, n, vec in parts)
    span = LayerSpan(str(name), str(origin), int(first), int(last), int(macs), int(vec_macs))
    return replace(span, parts=found, owners=owners)


def _read_json(data: bytes, where: str) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{where} is not JSON ({error}); build the artifact again") from None
    if not isinstance(value, dict):
        raise ArtifactError(f"{where} is not a JSON object; build the artifact again")
    return value


def _read_config(sections: Mapping[str, bytes], meta: Mapping[str, Any], origin: str) -> HwConfig:
    data = _read_json(sections["CONF"], f"{origin}: section CONF")
    try:
        config = HwConfig.from_mapping(str(meta.get("config")), data, f"{origin}: section CONF")
    except ConfigError as error:
        raise ArtifactError(f"{error}; build the artifact again") from None
    digest = hashlib.sha256(sections["CONF"]).digest()
    if sections["HASH"] != digest or config.digest != digest.hex():
        raise ArtifactError(
            f"{origin}: the configuration's hash is {digest.hex()[:16]}... and the artifact was "
            f"made for {sections['HASH'].hex()[:16]}...; build it again for this configuration"
        )
    if sections["HWSZ"] != _write_sizes(config):
        raise ArtifactError(
            f"{origin}: section HWSZ has other sizes than the configuration {config.name} in "
            "section CONF; build it again"
        )
    return config


def _write_sizes(config: HwConfig) -> bytes:
    writer = Writer()
    writer.u32(config.rows, config.block, config.act_entries, config.wgt_entries)
    writer.u32(config.acc_entries, config.par_entries, config.tab_entries, config.mult_width)
    return writer.bytes()


def _write_ports(compiled: Compiled) -> bytes:
    writer = Writer()
    writer.u32(len(compiled.inputs), len(compiled.outputs))
    for port in compiled.inputs:
        _write_shape(writer, port)
        writer.u32(LAYOUTS.index(port.layout))
        writer.u64(*port.dims, port.address)
        fold = port.fold
        writer.i32(*fold.taps, *fold.step, *fold.dilation, *fold.pads, fold.pad_value)
    for output in compiled.outputs:
        _write_shape(writer, output)
        writer.u32(len(output.pieces))
        for piece, address in zip(output.pieces, output.addresses, strict=True):
            writer.text(piece.value)
            writer.u64(piece.channels, piece.first, *piece.dims)
            writer.u64(piece.offset, *piece.strides, address)
    return writer.bytes()


def _write_shape(writer: Writer, port: InputPort | OutputPort) -> None:
    writer.text(port.name)
    writer.u32(len(port.shape))
    writer.u64(*port.shape)


def _read_ports(reader: Reader) -> tuple[tuple[InputPort, ...], tuple[OutputPort, ...]]:
    inputs, outputs = reader.u32(2)
    ports = (
        tuple(_read_input(reader) for _ in range(inputs)),
        tuple(_read_output(reader) for _ in range(outputs)),
    )
    reader.finish()
    return ports


def _read_shape(reader: Reader) -> tuple[str, tuple[int, ...]]:
    name = reader.text()
    (rank,) = reader.u32(1)
    return name, reader.u64(rank)


def _read_input(reader: Reader) -> InputPort:
    name, shape = _read_shape(reader)
    (layout,) = reader.u32(1)
    if layout >= len(LAYOUTS):
        raise ArtifactError(
            f"{reader.where}: layout {layout} of {name} is not one of 0..{len(LAYOUTS) - 1}; "
            "build the artifact again"
        )
    n, c, h, w, address = reader.u64(5)
    return InputPort(name, shape, LAYOUTS[layout], (n, c, h, w), address, _read_fold(reader))


def _read_output(reader: Reader) -> OutputPort:
    name, shape = _read_shape(reader)
    (count,) = reader.u32(1)
    found = [_read_piece(reader) for _ in range(count)]
    pieces, addresses = tuple(piece for piece, _ in found), tuple(at for _, at in found)
    return OutputPort(name, shape, pieces, addresses)


def _read_piece(reader: Reader) -> tuple[Piece, int]:
    value = reader.text()
    channels, first, n, c, h, w = reader.u64(6)
    offset, image, channel, row, column, address = reader.u64(6)
    strides = (image, channel, row, column)
    return Piece(value, channels, first, (n, c, h, w), offset, strides), address


def _read_fold(reader: Reader) -> Fold:
    rows, columns, down, right = reader.i32(4)
    row_dilation, column_dilation = reader.i32(2)
    top, left, below, behind, pad_value = reader.i32(5)
    return Fold(
        (rows, columns),
        (down, right),
        (row_dilation, column_dilation),
        (top, left, below, behind),
        pad_value,
    )


def _write_dram(program: Program) -> bytes:
    writer = Writer()
    writer.u64(program.dram_bytes, program.constant_bytes)
    writer.u32(len(program.inputs), len(program.outputs))
    for span in program.inputs + program.outputs:
        writer.u64(span.start, span.size)
    return writer.bytes()


def _read_dram(reader: Reader, code: bytes) -> Program:
    dram_bytes, constant_bytes = reader.u64(2)
    inputs, outputs = reader.u32(2)
    spans = [_span(reader.u64(2)) for _ in range(inputs + outputs)]
    reader.finish()
    return Program(code, dram_bytes, constant_bytes, tuple(spans[:inputs]), tuple(spans[inputs:]))


def _span(numbers: Sequence[int]) -> Span:
    return Span(numbers[0], numbers[1])
