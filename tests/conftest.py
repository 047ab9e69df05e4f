"""What every test shares."""

from __future__ import annotations

import os
import sys

import pytest
from hypothesis import settings

os.environ.setdefault("TOPHUB_LOCATION", "NONE")

# How long an example takes depends on what else the machine does.
settings.register_profile("zebra", deadline=None)
settings.load_profile("zebra")


@pytest.fixture
def no_chains(monkeypatch: pytest.MonkeyPatch) -> None:
    """Layers run one by one, though a chain of stripes might be faster."""
    module = sys.modules["zebra.schedule.plan"]
    monkeypatch.setattr(module, "chain", lambda layers, *_: list(layers))
