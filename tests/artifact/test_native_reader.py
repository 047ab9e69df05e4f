"""The C++ reader refuses what the Python reader refuses, and in the same words."""

from __future__ import annotations

import pytest
from tests.support.artifacts import (
    BAD_PORTS,
    BROKEN,
    copy_artifact,
    damaged_copies,
    with_input,
)

from zebra.errors import ArtifactError
from zebra.plugin.codegen import runtime_module


def test_a_sound_artifact_is_taken_as_it_is() -> None:
    data = copy_artifact().to_bytes()
    assert bytes(runtime_module("copy", data)["get_artifact"]()) == data


def test_every_random_damage_is_an_artifact_error() -> None:
    for _, data in damaged_copies(copy_artifact().to_bytes(), 1000, seed=2):
        with pytest.raises(ArtifactError, match=r"^copy: "):
            runtime_module("copy", data)


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
