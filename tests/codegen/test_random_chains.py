"""Any legal chain of stripes computes what the interpreter does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.codegen.test_random_graphs import check
from tests.support.chains import draw_chains


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**31))
def test_any_legal_chain_gives_the_same_result(seed: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        draw_chains(patch, np.random.default_rng(seed))
        check(seed, 8)


def test_the_drawn_chains_have_few_and_many_stripes() -> None:
    with pytest.MonkeyPatch.context() as patch:
        drawn = draw_chains(patch, np.random.default_rng(0))
        for seed in range(20):
            check(seed, 8)
    assert len(drawn.drawn) > 20
    assert {1, 2, 3} <= set(drawn.drawn)
    assert max(drawn.drawn) > 6


def test_a_row_that_only_padding_hides_does_not_fall_on_it() -> None:
    """A window that reads padding above and below an image of one row, and never the row."""
    check(13079, 8)
