"""Arrays on disk, so that a thousand pictures do not sit in memory."""

from __future__ import annotations

import tempfile
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class _File:
    """An array's elements, at the start of a file of at least as many bytes."""

    path: Path
    size: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    def read(self) -> Array:
        count = int(np.prod(self.shape))
        return np.fromfile(self.path, self.dtype, count).reshape(self.shape)


class Spool:
    """Lists of arrays (or tuples of them) by key, in files that go with it.

    Files of dropped lists are written over: a file system takes several times as long
    to find room for new ones. They are bare elements: NumPy's own format has a header
    that is read with ``ast``, which several threads at a time cannot do in CPython 3.11.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="zebra-")
        self._lists: defaultdict[Any, dict[int, tuple[_File, ...]]] = defaultdict(dict)
        self._free: list[tuple[int, Path]] = []
        self._made = 0
        self._lock = Lock()

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._folder.cleanup()

    @property
    def folder(self) -> Path:
        """Where the files are."""
        return Path(self._folder.name)

    def put(self, key: Any, index: int, value: Any) -> None:
        """Keep item ``index`` of list ``key``."""
        parts = value if isinstance(value, tuple) else (value,)
        files = tuple(self._write(np.asarray(array, order="C")) for array in parts)
        with self._lock:
            self._lists[key][index] = files

    def get(self, key: Any, index: int) -> Any:
        """Item ``index`` of list ``key``."""
        parts = tuple(file.read() for file in self._lists[key][index])
        return parts[0] if len(parts) == 1 else parts

    def drop(self, key: Any) -> None:
        """Forget list ``key``."""
        files = [file for item in self._lists.pop(key).values() for file in item]
        self._free = sorted(self._free + [(file.size, file.path) for file in files])

    def _write(self, array: Array) -> _File:
        size, path = self._room(array.nbytes)
        with path.open("r+b" if size else "wb") as file:
            file.write(array.data if array.size else b"")
        return _File(path, max(size, array.nbytes), array.dtype, array.shape)

    def _room(self, size: int) -> tuple[int, Path]:
        """The smallest free file that holds ``size`` bytes, else the largest, else a new one."""
        with self._lock:
            if self._free:
                return self._free.pop(min(bisect_left(self._free, (size,)), len(self._free) - 1))
            self._made += 1
            return 0, self.folder / str(self._made)


HELD_OUT = 5
"""Every so many-th batch is held out."""


class Batches:
    """Calibration batches, read once when first wanted, gone through again and again.

    Length and index are those of all batches; iteration leaves out the held-out ones,
    which only the comparison with the float network sees. None are if ``hold_out`` is false.
    ``left_out`` is asked, once all are read, for the numbers of those that are in neither.
    """

    def __init__(
        self,
        spool: Spool,
        batches: Iterable[Mapping[str, Array]],
        hold_out: bool = True,
        left_out: Callable[[], Collection[int]] = tuple,
    ) -> None:
        self._spool, self._hold_out, self._left_out = spool, hold_out, left_out
        self._unread: Iterable[Mapping[str, Array]] | None = batches
        self._names: tuple[str, ...] = ()
        self.numbers: list[int] = []
        """Of the batches, as they were given."""

    def __len__(self) -> int:
        if self._unread is not None:
            for count, batch in enumerate(self._unread):
                self._names = tuple(batch)
                for name, array in batch.items():
                    self._spool.put((self, name), count, array)
                self.numbers.append(count)
            self._unread, bad = None, self._left_out()
            self.numbers = [number for number in self.numbers if number not in bad]
        return len(self.numbers)

    def __iter__(self) -> Iterator[dict[str, Array]]:
        for index in self.calibration:
            yield self[index]

    @property
    def calibration(self) -> list[int]:
        """Indices of the batches that may shape the quantized network."""
        held_out = set(self.held_out)
        return [index for index in range(len(self)) if index not in held_out]

    @property
    def held_out(self) -> list[int]:
        """Indices of the batches kept for the comparison: the fifth, the tenth, ..."""
        return list(range(HELD_OUT - 1, len(self), HELD_OUT)) if self._hold_out else []

    def __getitem__(self, index: int) -> dict[str, Array]:
        if index >= len(self):
            raise IndexError(index)
        number = self.numbers[index]
        return {name: self._spool.get((self, name), number) for name in self._names}
