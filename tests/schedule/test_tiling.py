"""Every tiling offered fits the scratchpads; impossible layers are refused in words."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zebra.errors import UnsupportedError
from zebra.hw import HwConfig, find_config
from zebra.schedule.cost import best_gemm_tiling, best_window_tiling, cheapest
from zebra.schedule.layers import Window
from zebra.schedule.tiling import GemmWorkload, gemm_candidates, parts

workloads = st.builds(
    GemmWorkload,
    st.integers(1, 2),
    st.integers(1, 40),
    st.integers(1, 40),
    st.tuples(st.integers(1, 60), st.integers(1, 60)),
    st.tuples(st.integers(1, 7), st.integers(1, 7)),
    st.tuples(st.integers(1, 2), st.integers(1, 2)),
    st.tuples(st.integers(1, 2), st.integers(1, 2)),
    st.integers(1, 2),
    st.booleans(),
    st.tuples(st.integers(1, 120), st.integers(1, 120)),
    before=st.none(),
    after=st.sampled_from([0, 2]),
)


def small(**changes: int) -> HwConfig:
    values = dict(find_config("zebra").values) | changes
    return HwConfig.from_mapping("small", values)


@settings(max_examples=25, deadline=None)
@given(workloads, st.sampled_from([12, 16]))
def test_tilings_fit(work: GemmWorkload, act: int) -> None:
    config = small(LOG_ACT_BUFF_SIZE=act, LOG_WGT_BUFF_SIZE=act)
    cand = gemm_candidates(work, config)
    assert (cand.act_in + cand.act_out <= config.act_entries).all()
    assert (cand.act_out <= config.acc_entries).all()
    assert (cand.weights <= config.wgt_entries).all()
    best = best_gemm_tiling(work, config)
    assert best.out_blocks <= work.out_blocks
    assert best.in_blocks <= work.in_blocks
    assert best == cheapest.__wrapped__(work, config)[0]


def test_parts_are_the_smallest_size_for_each_count() -> None:
    assert parts(10) == [10, 5, 4, 3, 2, 1]
    assert parts(5000)[0] == 2500


def test_convolution_too_wide_for_the_scratchpad() -> None:
    work = GemmWorkload(1, 1, 1, (1, 1), (1, 300), (1, 1), (1, 1), 1, False, (1, 300))
    assert best_gemm_tiling(work, small(LOG_ACT_BUFF_SIZE=9)).kernel == (1, 1)


def test_window_without_parameters_space() -> None:
    config = small(LOG_PAR_BUFF_SIZE=9)
    with pytest.raises(UnsupportedError, match="3x3 window fits small"):
        best_window_tiling(4, (8, 8), Window((3, 3)), 8, config, True)
