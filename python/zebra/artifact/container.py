"""The artifact's outer format: magic, version, checksum, length and the row of sections."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping

from zebra.artifact.stream import Reader, Writer
from zebra.errors import ArtifactError

MAGIC = b"ZEBRAART"
FORMAT_VERSION = 5
TAGS = ("CONF", "HASH", "HWSZ", "META", "PORT", "DRAM", "CODE", "CNST")

_HEADER = struct.Struct("<8sIIQ")
_CHECKED_FROM = 16
"""The checksum covers everything from here: the length and the sections."""


def pack(sections: Mapping[str, bytes]) -> bytes:
    """The file that holds ``sections`` (a payload for each of TAGS)."""
    body = Writer()
    for tag in TAGS:
        body.raw(tag.encode())
        body.u64(len(sections[tag]))
        body.raw(sections[tag])
    data = body.bytes()
    checked = struct.pack("<Q", _HEADER.size + len(data)) + data
    return struct.pack("<8sII", MAGIC, FORMAT_VERSION, zlib.crc32(checked)) + checked


def unpack(data: bytes, origin: str) -> dict[str, bytes]:
    """The payload of each of TAGS; ArtifactError, with ``origin``, on anything else."""
    _check_header(data, origin)
    found: list[tuple[str, bytes]] = []
    reader = Reader(data[_HEADER.size :], f"{origin}: the row of sections")
    while reader.left:
        tag = reader.raw(4).decode("latin-1")
        found.append((tag, reader.raw(reader.u64(1)[0])))
    _check_tags([tag for tag, _ in found], origin)
    return dict(found)


def _check_header(data: bytes, origin: str) -> None:
    if data[: len(MAGIC)] != MAGIC[: len(data)]:
        raise ArtifactError(
            f"{origin} is not a Zebra artifact: it starts with {data[: len(MAGIC)]!r} "
            f"instead of {MAGIC!r}; give a file that Zebra wrote"
        )
    if len(data) < _HEADER.size:
        raise ArtifactError(
            f"{origin} is truncated: it has {len(data)} bytes and the header alone has "
            f"{_HEADER.size}; copy or build it again"
        )
    _, version, checksum, length = _HEADER.unpack_from(data)
    if version > FORMAT_VERSION:
        raise ArtifactError(
            f"{origin} has format version {version}, from a newer Zebra; this one reads "
            f"version {FORMAT_VERSION}: update Zebra or build the artifact again"
        )
    if version == 0:
        raise ArtifactError(f"{origin} has format version 0, which never existed; build it again")
    if version < FORMAT_VERSION:
        raise ArtifactError(
            f"{origin} has format version {version}, from an older Zebra; this one reads "
            f"version {FORMAT_VERSION}: build the artifact again"
        )
    if len(data) < length:
        raise ArtifactError(
            f"{origin} is truncated: it has {len(data)} of the {length} bytes its header "
            "promises; copy or build it again"
        )
    if len(data) > length:
        raise ArtifactError(
            f"{origin} has {len(data)} bytes where its header promises {length}; "
            "copy or build it again"
        )
    found = zlib.crc32(data[_CHECKED_FROM:])
    if found != checksum:
        raise ArtifactError(
            f"{origin} is corrupt: its checksum is {checksum:#010x} and its content's is "
            f"{found:#010x}; copy or build it again"
        )


def _check_tags(tags: list[str], origin: str) -> None:
    for tag in tags:
        if tag not in TAGS:
            raise ArtifactError(f"{origin} has an unknown section {tag!r}; build it again")
        if tags.count(tag) > 1:
            raise ArtifactError(f"{origin} has section {tag} more than once; build it again")
    for tag in TAGS:
        if tag not in tags:
            raise ArtifactError(f"{origin} has no section {tag}; build it again")
    if tuple(tags) != TAGS:
        raise ArtifactError(
            f"{origin} has its sections out of order ({', '.join(tags)}; the order is "
            f"{', '.join(TAGS)}); build it again"
        )
