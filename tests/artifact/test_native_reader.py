"""The C++ reader refuses what the Python reader refuses, and in the same words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest
from tests.support.artifacts import (
    BAD_OUTPUTS,
    BAD_PORTS,
    BROKEN,
    copy_artifact,
    damaged_copies,
    folded_artifact,
    resealed_copies,
    with_input,
    with_output,
)

from zebra.artifact import Artifact
from zebra.errors import ArtifactError
from zebra.plugin.codegen import runtime_module


def test_a_sound_artifact_is_taken_as_it_is() -> None:
    data = copy_artifact().to_bytes()
    assert bytes(runtime_module("copy", data)["get_artifact"]()) == data


def test_every_random_damage_is_an_artifact_error() -> None:
    for _, data in damaged_copies(copy_artifact().to_bytes(), 1000, seed=2):
        with pytest.raises(ArtifactError, match=r"^copy: "):
            runtime_module("copy", data)


def accepted(read: Callable[[bytes], object], data: bytes) -> bool:
    try:
        read(data)
    except ArtifactError:
        return False
    return True


@pytest.mark.parametrize("make", [copy_artifact, folded_artifact])
def test_what_python_takes_the_native_reader_takes(make: Callable[[], Artifact]) -> None:
    """Damage under a sound checksum; Python also reads CONF, HASH and META and refuses more."""
    data = make().to_bytes()
    verdicts = Counter(
        (accepted(Artifact.from_bytes, copy), accepted(partial(runtime_module, "copy"), copy))
        for copy in resealed_copies(data, 2000, seed=3)
    )
    assert verdicts[True, False] == 0
    assert verdicts[True, True] > 100
    assert verdicts[False, False] > 100


@pytest.mark.parametrize("kind", BROKEN)
def test_refusals(kind: str) -> None:
    make, text = BROKEN[kind]
    with pytest.raises(ArtifactError) as caught:
        runtime_module("copy", make())
    assert text in str(caught.value)


@pytest.mark.parametrize("kind", BAD_PORTS)
def test_contradictory_ports(kind: str) -> None:
    port, text = BAD_PORTS[kind]
    with pytest.raises(ArtifactError) as caught:
        runtime_module("copy", with_input(port))
    assert text in str(caught.value)


@pytest.mark.parametrize("kind", BAD_OUTPUTS)
def test_contradictory_outputs(kind: str) -> None:
    port, text = BAD_OUTPUTS[kind]
    with pytest.raises(ArtifactError, match=text):
        runtime_module("copy", with_output(port))
