"""Arrays on disk: what is put is got, from several threads at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from zebra.relay.quantizer.spool import Batches, Spool


def test_arrays_and_tuples_come_back() -> None:
    array, pair = (
        np.arange(6, dtype=np.int8).reshape(2, 3),
        (np.array(1.5, np.float32), np.zeros((0, 4))),
    )
    with Spool() as spool:
        spool.put("a", 0, array)
        spool.put("b", 7, pair)
        np.testing.assert_array_equal(spool.get("a", 0), array)
        for got, kept in zip(spool.get("b", 7), pair, strict=True):
            np.testing.assert_array_equal(got, kept)
            assert (got.dtype, got.shape) == (kept.dtype, kept.shape)
        spool.drop("a")
        with pytest.raises(KeyError):
            spool.get("a", 0)


def test_files_of_dropped_arrays_are_written_over() -> None:
    with Spool() as spool:
        for round_, size in enumerate((100, 7, 300)):
            for index in range(4):
                spool.put(round_, index, np.full(size, 10 * round_ + index, np.int32))
            for index in range(4):
                expected = np.full(size, 10 * round_ + index, np.int32)
                np.testing.assert_array_equal(spool.get(round_, index), expected)
            spool.drop(round_)
        assert len(list(spool.folder.iterdir())) == 4


def test_many_threads_read_and_write() -> None:
    def one(index: int) -> bool:
        spool.put("x", index, np.full((3, 5), index))
        return all(bool((spool.get("x", index) == index).all()) for _ in range(20))

    with Spool() as spool, ThreadPoolExecutor(8) as pool:
        assert all(pool.map(one, range(300)))


def test_batches_are_read_once() -> None:
    with Spool() as spool:
        batches = Batches(spool, iter([{"x": np.ones(2)}, {"x": np.zeros(2)}]))
        assert [list(batch["x"]) for batch in batches] == [[1, 1], [0, 0]]
        assert len(list(batches)) == len(batches) == 2
        with pytest.raises(IndexError):
            batches[2]
