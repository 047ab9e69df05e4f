from __future__ import annotations

import os
import resource
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.artifacts import (
    BAD_OUTPUTS,
    BAD_PORTS,
    BROKEN,
    BROKEN_FOR_PYTHON,
    chain_artifact,
    copy_artifact,
    damaged_copies,
    folded_artifact,
    output_port,
    with_input,
    with_output,
)

from zebra.artifact import Artifact
from zebra.codegen.compiled import Compiled, InputPort
from zebra.errors import ArtifactError
from zebra.isa.program import Span


@pytest.mark.parametrize("make", [copy_artifact, folded_artifact, chain_artifact])
def test_bytes_and_back(make: Callable[[], Artifact]) -> None:
    artifact = make()
    assert Artifact.from_bytes(artifact.to_bytes()) == artifact


def test_same_artifact_gives_same_bytes() -> None:
    assert copy_artifact().to_bytes() == copy_artifact().to_bytes()


@given(
    names=st.lists(st.text(st.characters(codec="utf-8"), max_size=8), min_size=2, max_size=2),
    dims=st.tuples(*[st.integers(1, 6)] * 4),
    constants=st.binary(max_size=64),
    layout=st.sampled_from(["NCHW", "NHWC"]),
)
def test_any_ports_survive(
    names: list[str], dims: tuple[int, int, int, int], constants: bytes, layout: str
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
            (InputPort(names[0], (n, h, w, c), "NHWC", dims, start),),
            (output_port(names[1], dims, start + size, layout),),
            (),
        ),
    )
    assert Artifact.from_bytes(artifact.to_bytes()) == artifact


@pytest.mark.parametrize("make", [copy_artifact, folded_artifact, chain_artifact])
def test_every_random_damage_is_an_artifact_error(make: Callable[[], Artifact]) -> None:
    for what, data in damaged_copies(make().to_bytes(), 1000, seed=1):
        with pytest.raises(ArtifactError):
            Artifact.from_bytes(data, what)


@pytest.mark.parametrize("kind", [*BROKEN, *BROKEN_FOR_PYTHON])
def test_refusals(kind: str) -> None:
    make, text = (BROKEN | BROKEN_FOR_PYTHON)[kind]
    with pytest.raises(ArtifactError) as caught:
        Artifact.from_bytes(make(), "net.zart")
    assert text in str(caught.value)
    assert "net.zart" in str(caught.value)


@pytest.mark.parametrize("kind", BAD_PORTS)
def test_contradictory_ports_are_refused_when_read_and_written(kind: str) -> None:
    port, text = BAD_PORTS[kind]
    with pytest.raises(ArtifactError) as caught:
        Artifact.from_bytes(with_input(port))
    assert text in str(caught.value)
    sample = copy_artifact()
    with pytest.raises(ArtifactError) as caught:
        Artifact(sample.config, replace(sample.compiled, inputs=(port,))).to_bytes()
    assert text in str(caught.value)


@pytest.mark.parametrize("kind", BAD_OUTPUTS)
def test_contradictory_outputs_are_refused_when_read_and_written(kind: str) -> None:
    port, text = BAD_OUTPUTS[kind]
    with pytest.raises(ArtifactError, match=text):
        Artifact.from_bytes(with_output(port))
    sample = copy_artifact()
    with pytest.raises(ArtifactError, match=text):
        Artifact(sample.config, replace(sample.compiled, outputs=(port,))).to_bytes()


def test_an_unknown_layout_is_refused_when_written() -> None:
    sample = copy_artifact()
    port = InputPort("x", (6,), "CHWN", (1, 3, 1, 2), 16)
    with pytest.raises(ArtifactError, match=r"\(CHWN\) cannot become"):
        Artifact(sample.config, replace(sample.compiled, inputs=(port,))).to_bytes()


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
