"""Every tutorial runs as a user would run it, in an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TUTORIALS = sorted((ROOT / "tutorials").glob("*.py"))
LAST_WORDS = {
    "1_first_network": "the exported library says the same",
    "2_your_own_accelerator": "both accelerators give the same bits",
    "3_reading_inspect": "sort (x1):",
    "4_tuning": "tuning changed no result",
}


def test_all_tutorials_are_known() -> None:
    assert [path.stem for path in TUTORIALS] == sorted(LAST_WORDS)


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_runs(path: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "TOPHUB_LOCATION": "NONE"}
    done = subprocess.run(
        [sys.executable, path], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert LAST_WORDS[path.stem] in done.stdout
