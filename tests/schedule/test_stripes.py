"""The geometry of line buffers: where rows lie, and where windows on them are cut."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zebra.graph.nodes import Finish
from zebra.isa.insns import AccumOp
from zebra.schedule.layers import AccumLayer, Window
from zebra.schedule.stripes import (
    LineBuffer,
    Place,
    Stage,
    first_row,
    placement,
    runs,
    runs_on,
    window_rows,
)
from zebra.schedule.views import View

WHOLE = View.blocked("x", (1, 20, 12, 9), 16)


@pytest.mark.parametrize(
    ("begin", "dims", "step", "place"),
    [
        ((0, 0), (12, 9), (1, 1), Place()),
        ((2, 3), (5, 4), (1, 1), Place(2, 1, 3, 1)),
        ((1, 0), (6, 5), (2, 2), Place(1, 2, 0, 2)),
        ((0, 2), (12, 1), (1, 1), Place(0, 1, 2, 1)),
    ],
)
def test_a_part_of_a_value_has_a_place(
    begin: tuple[int, int], dims: tuple[int, int], step: tuple[int, int], place: Place
) -> None:
    part = WHOLE.part((0, 0, *begin), (1, 20, *dims), (1, 1, *step))
    assert placement(part, WHOLE) == place


@pytest.mark.parametrize(
    "part",
    [
        WHOLE.part((0, 16, 0, 0), (1, 4, 12, 9)),
        replace(WHOLE, buffer="y"),
        replace(WHOLE, dims=(1, 20, 13, 9)),
        replace(WHOLE.part((0, 0, 0, 0), (1, 20, 1, 1)).broadcast(WHOLE.dims), offset=16),
    ],
    ids=["channels", "buffer", "too-high", "broadcast"],
)
def test_other_views_have_none(part: View) -> None:
    assert placement(part, WHOLE) is None


def buffer_of(rows: int, top: int = 0) -> LineBuffer:
    return LineBuffer(WHOLE, loaded=True, stored=False, top=top, rows=rows, base=100)


@given(
    ring=st.integers(1, 9),
    top=st.integers(0, 3),
    first=st.integers(0, 20),
    count=st.integers(0, 12),
    step=st.integers(1, 3),
)
def test_runs_hold_every_row_once_in_ascending_slots(
    ring: int, top: int, first: int, count: int, step: int
) -> None:
    buffer = buffer_of(ring, top)
    rows = []
    for start, size in runs((first, count), (buffer, 0, step)):
        at = [buffer.address(row * step) for row in range(start, start + size)]
        assert all(b - a == step * buffer.pitch for a, b in pairwise(at))
        rows += range(start, start + size)
    assert rows == list(range(first, first + count))


def stage_of(window: Window) -> Stage:
    layer = AccumLayer("pool", "", (WHOLE,), WHOLE, AccumOp.MAX, window, Finish())
    return Stage(layer, window, (0,), 1, Place(), 0)


@given(
    kernel=st.integers(1, 5),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 2),
    pad=st.integers(0, 2),
    spare=st.integers(0, 5),
    rows=st.tuples(st.integers(0, 9), st.integers(1, 7)),
)
def test_a_window_meets_every_tap_of_every_row_once(
    kernel: int, stride: int, dilation: int, pad: int, spare: int, rows: tuple[int, int]
) -> None:
    window = Window((kernel, 1), (stride, 1), (dilation, 1), (pad, 0))
    stage, buffer = stage_of(window), buffer_of((kernel - 1) * dilation + 1 + spare, pad)
    met = []
    for piece in window_rows(stage, buffer, rows):
        (row, count), (tap, taps) = piece.rows, piece.taps
        base = buffer.address(first_row(stage, row) + tap * dilation)
        for r in range(count):
            for t in range(taps):
                at = buffer.address(first_row(stage, row + r) + (tap + t) * dilation)
                assert at == base + (r * stride + t * dilation) * buffer.pitch
                met.append((row + r, tap + t))
    wanted = [(row, tap) for row in range(rows[0], sum(rows)) for tap in range(kernel)]
    assert sorted(met) == wanted
    assert [tap for row, tap in met if row == rows[0]] == list(range(kernel))


@given(
    stride=st.integers(0, 3),
    extent=st.integers(4, 20),
    gap=st.integers(0, 20),
    rows=st.sampled_from([2, 4, 8]),
)
def test_groups_that_run_on_meet_no_bank_twice(
    stride: int, extent: int, gap: int, rows: int
) -> None:
    """What docs/cycle_model.md asks of a circuit, counted bank by bank."""
    banks, jump = 2 * rows, extent * stride + gap
    if 2 * extent < rows or stride == 0 or not runs_on(stride, jump, extent, banks, rows):
        return
    pixels = np.arange(4 * extent)
    at = pixels // extent * jump + pixels % extent * stride
    plain = np.arange(rows) * stride % banks
    fullest = np.bincount(plain).max()
    for start in range(3 * extent - rows):
        assert np.bincount(at[start : start + rows] % banks).max() <= fullest
