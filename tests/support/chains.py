"""Chains drawn at random, for tests that any legal one computes the same."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence

import numpy as np
import pytest

from zebra.hw import HwConfig
from zebra.schedule.chain import chained, growing, users_of
from zebra.schedule.layers import Layer
from zebra.schedule.narrow import by_blocks, narrowed
from zebra.schedule.pipeline import Chain


class DrawnChains:
    """Divides layers into legal chains at random; ``drawn`` says how many stripes each has."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.drawn: list[int] = []

    def __call__(
        self, layers: Sequence[Layer], outputs: Collection[str], config: HwConfig
    ) -> list[Layer]:
        users = users_of(layers, outputs)
        result: list[Layer] = []
        at = 0
        while at < len(layers):
            options: list[tuple[int, Layer]] = [(at + 1, layers[at])]
            for growth in growing(layers, at, users):
                made = self._chain(growth.members, growth.outside, config)
                options += [(growth.stop, made)] if made is not None else []
            at, layer = options[int(self.rng.integers(len(options)))]
            result.append(layer)
        return result

    def _chain(
        self, members: Sequence[Layer], outside: frozenset[str], config: HwConfig
    ) -> Layer | None:
        """A chain with any number of stripes, on any part of rows or on channel blocks.

        None if that does not fit.
        """
        number = int(self.rng.integers(0, 5))
        narrow = narrowed(members, number) if number else by_blocks(members)
        used = narrow or list(members)
        whole = Chain()
        assert all(whole.add(layer) for layer in used)
        count = int(self.rng.integers(1, max(layer.out.dims[2] for layer in used) + 3))
        if whole.plan(outside, count, config) is None:
            return None
        self.drawn.append(count)
        return chained(used, outside, count)


def draw_chains(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> DrawnChains:
    """Let the compiler use drawn chains instead of the cheapest."""
    drawn = DrawnChains(rng)
    monkeypatch.setattr(sys.modules["zebra.schedule.plan"], "chain", drawn)
    return drawn
