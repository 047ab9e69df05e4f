"""Views address the bytes they claim to."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from zebra.codegen.constants import pack_activation
from zebra.schedule.views import View, channel_runs

sizes = st.integers(1, 9)


def read(view: View, memory: np.ndarray) -> np.ndarray:
    """The value a view shows, element by element, straight from its definition."""
    value = np.zeros(view.dims, np.int8)
    for n, c, h, w in np.ndindex(*view.dims):
        q, r = divmod(c + view.lane, view.block)
        index = (n, q, h, w)
        offset = view.offset + sum(i * s for i, s in zip(index, view.strides))
        value[n, c, h, w] = memory[offset + r * view.lane_stride]
    return value


def sample(dims: tuple[int, int, int, int], block: int) -> tuple[np.ndarray, View]:
    data = np.random.default_rng(1).integers(-128, 128, dims).astype(np.int8)
    return data, View.blocked("b", dims, block)


@given(st.tuples(sizes, st.integers(1, 20), sizes, sizes), st.sampled_from([4, 8, 16]))
def test_blocked_and_linear(dims: tuple[int, int, int, int], block: int) -> None:
    data, view = sample(dims, block)
    np.testing.assert_array_equal(read(view, pack_activation(data, block).reshape(-1)), data)
    linear = View.linear("b", dims, block)
    np.testing.assert_array_equal(read(linear, data.reshape(-1)), data)
    assert linear.size == data.size
    assert view.size == pack_activation(data, block).size


@given(st.data())
def test_parts_compose(source: st.DataObject) -> None:
    data, view = sample((2, 21, 6, 5), 8)
    memory = pack_activation(data, 8).reshape(-1)
    for _ in range(2):
        begin = tuple(source.draw(st.integers(0, size - 1)) for size in view.dims)
        step = tuple(source.draw(st.integers(1, 2)) if axis != 1 else 1 for axis in range(4))
        dims = tuple(
            source.draw(st.integers(1, (size - start - 1) // stride + 1))
            for size, start, stride in zip(view.dims, begin, step)
        )
        region = tuple(
            slice(start, start + count * stride, stride)
            for start, count, stride in zip(begin, dims, step)
        )
        data, view = data[region], view.part(begin, dims, step)
        np.testing.assert_array_equal(read(view, memory), data)


@given(st.integers(1, 40), st.integers(0, 7), st.booleans(), st.data())
def test_channel_runs_cover_each_channel_once(
    channels: int, lane: int, whole: bool, source: st.DataObject
) -> None:
    whole = whole and lane == 0
    view = View("b", (1, channels, 1, 1), 8, (0, 8, 8, 8), lane=lane, whole=whole)
    first = source.draw(st.integers(0, view.channel_blocks - 1))
    count = source.draw(st.integers(1, view.channel_blocks - first))
    seen = []
    for run in channel_runs(view, first, count):
        for vector in range(run.count):
            for k in range(run.lanes):
                channel = 8 * (run.first + vector) + run.lane + k
                dram = 8 * (run.dram_block + vector) + run.dram_lane + k
                assert dram == channel + lane
                seen.append(channel)
    stop = min(8 * (first + count), 8 * view.channel_blocks if whole else channels)
    assert sorted(seen) == list(range(8 * first, stop))
