from __future__ import annotations

import os
import resource
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import copy_artifact, damaged_copies

from zebra.artifact import Artifact, container
from zebra.artifact.format import write_sections
from zebra.codegen.compiled import Compiled, TensorPort
from zebra.errors import ArtifactError
from zebra.isa.program import Span


def sealed(body: bytes, version: int = 1) -> bytes:
    """A file with the given sections and a header that fits them."""
    checked = struct.pack("<Q", 24 + len(body)) + body
    return b"ZEBRAART" + struct.pack("<II", version, zlib.crc32(checked)) + checked


def section(tag: str, payload: bytes) -> bytes:
    return tag.encode() + struct.pack("<Q", len(payload)) + payload


def sample_sections() -> dict[str, bytes]:
    artifact = copy_artifact()
    return write_sections(artifact.config, artifact.compiled)


def test_bytes_and_back() -> None:
    artifact = copy_artifact()
    assert Artifact.from_bytes(artifact.to_bytes()) == artifact


def test_same_artifact_gives_same_bytes() -> None:
    assert copy_artifact().to_bytes() == copy_artifact().to_bytes()


@given(
    names=st.lists(st.text(st.characters(codec="utf-8"), max_size=8), min_size=2, max_size=2),
    dims=st.tuples(*[st.integers(1, 6)] * 4),
    constants=st.binary(max_size=64),
)
def test_any_ports_survive(
    names: list[str], dims: tuple[int, int, int, int], constants: bytes
) -> None:
    n, c, h, w = dims
    size = n * -(-c // 16) * h * w * 16
    sample = copy_artifact()
    start = len(constants)
    program = replace(
        sample.compiled.program,
        dram_bytes=start + 2 * size,
        constant_bytes=start,
        inputs=(Span(start, size),),
        outputs=(Span(start + size, size),),
    )
    artifact = Artifact(
        sample.config,
        Compiled(
            names[0],
            program,
            constants,
            (TensorPort(names[0], (n, h, w, c), "NHWC", dims, start),),
            (TensorPort(names[1], (n * c, h * w), "NCHW", dims, start + size),),
            (),
        ),
    )
    assert Artifact.from_bytes(artifact.to_bytes()) == artifact


def test_every_random_damage_is_an_artifact_error() -> None:
    for what, data in damaged_copies(copy_artifact().to_bytes(), 1000, seed=1):
        with pytest.raises(ArtifactError):
            Artifact.from_bytes(data, what)


def all_sections(**changes: bytes) -> bytes:
    sections = sample_sections() | changes
    return sealed(b"".join(section(tag, sections[tag]) for tag in container.TAGS))


def without(tag: str) -> bytes:
    return sealed(b"".join(section(t, p) for t, p in sample_sections().items() if t != tag))


def swapped() -> bytes:
    tags = list(container.TAGS)
    tags[0], tags[1] = tags[1], tags[0]
    sections = sample_sections()
    return sealed(b"".join(section(tag, sections[tag]) for tag in tags))


def twice() -> bytes:
    sections = sample_sections()
    return sealed(
        b"".join(section(tag, sections[tag]) for tag in (*container.TAGS, container.TAGS[-1]))
    )


@pytest.mark.parametrize(
    ("make", "text"),
    [
        pytest.param(lambda: b"", "truncated: it has 0 bytes", id="empty"),
        pytest.param(lambda: b"ZEB", "truncated: it has 3 bytes", id="magic-cut"),
        pytest.param(lambda: b"\x7fELF" * 20, "is not a Zebra artifact", id="bad-magic"),
        pytest.param(lambda: all_sections()[:-1], "is truncated: it has", id="one-byte-short"),
        pytest.param(lambda: all_sections() + b"\0", "header promises", id="one-byte-long"),
        pytest.param(
            lambda: sealed(b"", version=2), "version 2, from a newer Zebra", id="future-version"
        ),
        pytest.param(lambda: sealed(b"", version=0), "never existed", id="version-zero"),
        pytest.param(lambda: all_sections()[:-1] + b"\xff", "corrupt: its checksum", id="checksum"),
        pytest.param(lambda: without("PORT"), "has no section PORT", id="missing"),
        pytest.param(twice, "has section CNST more than once", id="duplicated"),
        pytest.param(swapped, "sections out of order (HASH, CONF,", id="out-of-order"),
        pytest.param(
            lambda: sealed(section("WHAT", b"")), "unknown section 'WHAT'", id="unknown-section"
        ),
        pytest.param(
            lambda: sealed(b"CONF" + struct.pack("<Q", 1 << 60)), "is truncated", id="huge-section"
        ),
        pytest.param(
            lambda: all_sections(HASH=bytes(32)),
            "was made for 0000000000000000",
            id="config-hash",
        ),
        pytest.param(
            lambda: all_sections(HWSZ=struct.pack("<8I", *[16] * 8)),
            "other sizes than the configuration",
            id="sizes",
        ),
        pytest.param(lambda: all_sections(CONF=b"{"), "CONF is not JSON", id="config-json"),
        pytest.param(
            lambda: all_sections(META=b'{"config":"zebra"}'), "does not name the graph", id="meta"
        ),
        pytest.param(
            lambda: all_sections(PORT=b"\xff" * 8), "section PORT is truncated", id="port-count"
        ),
        pytest.param(
            lambda: all_sections(CODE=b"\0" * 63), "not a whole number of 64", id="code-length"
        ),
        pytest.param(lambda: all_sections(CNST=b""), "0 bytes of constants", id="constants"),
    ],
)
def test_refusals(make: Callable[[], bytes], text: str) -> None:
    with pytest.raises(ArtifactError) as caught:
        Artifact.from_bytes(make(), "net.zart")
    assert text in str(caught.value)
    assert "net.zart" in str(caught.value)


@pytest.mark.parametrize(
    ("port", "text"),
    [
        (TensorPort("x", (7,), "NCHW", (1, 3, 1, 2), 16), "cannot become dims (1, 3, 1, 2)"),
        (TensorPort("x", (1, 3, 1, 2), "NHWC", (1, 3, 1, 2), 16), "(NHWC) cannot become"),
        (TensorPort("x", (6,), "CHWN", (1, 3, 1, 2), 16), "(CHWN) cannot become"),
        (TensorPort("x", (1, 3, 1, 2), "NCHW", (1, 3, 1, 2), 0), "outside the arena"),
        (TensorPort("x", (1, 3, 1, 2), "NCHW", (1, 3, 1, 2), 64), "outside the arena"),
        (TensorPort("x", (0,), "NCHW", (1, 0, 1, 2), 16), "at least 1"),
    ],
    ids=["shape", "nhwc", "layout", "in-constants", "past-the-end", "empty"],
)
def test_contradictory_ports_are_refused_when_writing(port: TensorPort, text: str) -> None:
    sample = copy_artifact()
    with pytest.raises(ArtifactError) as caught:
        Artifact(sample.config, replace(sample.compiled, inputs=(port,))).to_bytes()
    assert text in str(caught.value)


def test_file_and_back(tmp_path: Path) -> None:
    artifact = copy_artifact()
    artifact.save(tmp_path / "net.zart")
    assert Artifact.load(tmp_path / "net.zart") == artifact
    assert [path.name for path in tmp_path.iterdir()] == ["net.zart"]


def test_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "net.zart"
    old = copy_artifact()
    old.save(path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(ArtifactError, match=r"net\.zart cannot be written \(File too large\)"):
            copy_artifact(name="new").save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert Artifact.load(path) == old
    assert os.listdir(tmp_path) == ["net.zart"]


def test_missing_file_and_directory(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"cannot be read \(No such file"):
        Artifact.load(tmp_path / "none.zart")
    with pytest.raises(ArtifactError, match="cannot be written"):
        copy_artifact().save(tmp_path / "none" / "net.zart")
