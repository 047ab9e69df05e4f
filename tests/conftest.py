"""What every test shares."""

from __future__ import annotations

import os
import sys

import pytest

os.environ.setdefault("TOPHUB_LOCATION", "NONE")


@pytest.fixture
def no_chains(monkeypatch: pytest.MonkeyPatch) -> None:
    """Layers run one by one, though a chain of stripes might be faster."""
    module = sys.modules["zebra.schedule.plan"]
    monkeypatch.setattr(module, "chain", lambda layers, *_: list(layers))
