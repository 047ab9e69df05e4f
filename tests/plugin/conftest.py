from __future__ import annotations

import pytest
from tests.support import regions

import zebra.relay


@pytest.fixture
def lower_negation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Regions of tests.support.regions are lowered by it."""
    monkeypatch.setattr(zebra.relay, "lower", regions.lower, raising=False)
