"""Arrays on disk, so that a thousand pictures do not sit in memory."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class Spool:
    """Lists of arrays (or tuples of them) by key, in files that go with it.

    The files are bare elements: NumPy's own format has a header that is read with
    ``ast``, which several threads at a time cannot do in CPython 3.11.
    """

    def __init__(self) -> None:
        self._kinds: dict[Path, tuple[np.dtype[Any], tuple[int, ...]]] = {}
        self._folder = tempfile.TemporaryDirectory(prefix="zebra-")
        self._numbers: defaultdict[Any, int] = defaultdict(count().__next__)

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._folder.cleanup()

    def put(self, key: Any, index: int, value: Any) -> None:
        """Keep item ``index`` of list ``key``."""
        parts = value if isinstance(value, tuple) else (value,)
        for part, array in enumerate(parts):
            path = self._path(key, index, part)
            np.ascontiguousarray(array).tofile(path)
            self._kinds[path] = array.dtype, array.shape

    def get(self, key: Any, index: int) -> Any:
        """Item ``index`` of list ``key``."""
        parts: list[Array] = []
        while (path := self._path(key, index, len(parts))) in self._kinds:
            dtype, shape = self._kinds[path]
            parts.append(np.fromfile(path, dtype).reshape(shape))
        return parts[0] if len(parts) == 1 else tuple(parts)

    def drop(self, key: Any) -> None:
        """Forget list ``key``."""
        number = self._numbers.pop(key)
        for path in Path(self._folder.name).glob(f"{number}-*"):
            path.unlink()
            del self._kinds[path]

    def _path(self, key: Any, index: int, part: int) -> Path:
        number = self._numbers[key]
        return Path(self._folder.name) / f"{number}-{index}-{part}"


HELD_OUT = 5
"""Every so many-th batch is held out."""


class Batches:
    """Calibration batches, read once when first wanted, gone through again and again.

    Length and index are those of all batches; iteration leaves out the held-out ones,
    which only the comparison with the float network sees. None are if ``hold_out`` is false.
    """

    def __init__(
        self, spool: Spool, batches: Iterable[Mapping[str, Array]], hold_out: bool = True
    ) -> None:
        self._spool, self._hold_out = spool, hold_out
        self._unread: Iterable[Mapping[str, Array]] = batches
        self._count = 0
        self._names: tuple[str, ...] = ()

    def __len__(self) -> int:
        for batch in self._unread:
            self._names = tuple(batch)
            for name, array in batch.items():
                self._spool.put((self, name), self._count, array)
            self._count += 1
        self._unread = ()
        return self._count

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
        return {name: self._spool.get((self, name), index) for name in self._names}
