"""The DRAM plan: buffers that live together never overlap."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from zebra.schedule.memory import Lifetime, assign

lifetimes = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=3),
    st.builds(
        lambda size, first, length: Lifetime(size, first, first + length),
        st.integers(1, 5000),
        st.integers(0, 20),
        st.integers(0, 10),
    ),
    max_size=12,
)


@given(lifetimes, st.integers(0, 4).map(lambda n: 64 * n))
def test_no_overlap(buffers: dict[str, Lifetime], base: int) -> None:
    addresses, end = assign(buffers, base, 64)
    for name, life in buffers.items():
        assert addresses[name] >= base
        assert addresses[name] % 64 == 0
        assert addresses[name] + life.size <= end
        for other, peer in buffers.items():
            together = peer.first <= life.last and life.first <= peer.last
            if name != other and together:
                disjoint = (
                    addresses[name] + life.size <= addresses[other]
                    or addresses[other] + peer.size <= addresses[name]
                )
                assert disjoint, (name, other)


def test_memory_is_reused() -> None:
    buffers = {f"b{i}": Lifetime(64, i, i + 1) for i in range(10)}
    _, end = assign(buffers, 0, 64)
    assert end == 128
