"""The package's description, the lock and the versions agree."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from zebra.version import VERSION

ROOT = Path(__file__).parents[2]


LOCKS = ("requirements.txt", "requirements-dev.txt")


def pins(*names: str) -> set[tuple[str, str, str]]:
    """(package, version, marker) of every pinned line."""
    text = "\n".join((ROOT / name).read_text() for name in names)
    lines = (line.strip().rstrip(",").strip('"') for line in text.splitlines())
    found = (Requirement(line) for line in lines if re.match(r"[A-Za-z0-9_-]+==", line))
    return {
        (canonicalize_name(each.name), str(each.specifier).removeprefix("=="), str(each.marker))
        for each in found
    }


def test_the_lock_holds_every_dependency_with_the_same_pin() -> None:
    described, locked = pins("pyproject.toml"), pins(*LOCKS)
    assert len(described) > 20
    assert described <= locked


def test_every_line_of_the_lock_is_a_pin() -> None:
    lines = [line for name in LOCKS for line in (ROOT / name).read_text().splitlines()]
    packages = [line for line in lines if line and not line.startswith("#")]
    assert len(packages) == len(pins(*LOCKS))


@pytest.mark.parametrize("marker", ['python_version >= "3.11"', 'python_version < "3.11"'])
def test_no_package_is_pinned_twice_for_one_python(marker: str) -> None:
    names = [
        name for name, _, condition in pins("requirements.txt") if condition in ("None", marker)
    ]
    assert len(names) == len(set(names))


def test_the_build_tools_are_those_of_the_lock() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    requires = re.search(r"requires = \[(.*)\]", text)
    assert requires
    locked = {f"{name}=={version}" for name, version, _ in pins(*LOCKS)}
    assert set(re.findall(r'"([^"]+)"', requires[1])) <= locked


def test_the_changelog_starts_with_this_version() -> None:
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == VERSION
