"""Little-endian reading and writing of the artifact's pieces, every read checked."""

from __future__ import annotations

import struct

from zebra.errors import ArtifactError


class Writer:
    """Collects little-endian numbers, strings and bytes."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def u32(self, *values: int) -> None:
        """Append unsigned 32-bit numbers."""
        self._parts.append(struct.pack(f"<{len(values)}I", *values))

    def i32(self, *values: int) -> None:
        """Append signed 32-bit numbers."""
        self._parts.append(struct.pack(f"<{len(values)}i", *values))

    def u64(self, *values: int) -> None:
        """Append unsigned 64-bit numbers."""
        self._parts.append(struct.pack(f"<{len(values)}Q", *values))

    def raw(self, data: bytes) -> None:
        """Append bytes as they are."""
        self._parts.append(data)

    def text(self, value: str) -> None:
        """Append a string: u32 length, UTF-8."""
        data = value.encode()
        self.u32(len(data))
        self.raw(data)

    def bytes(self) -> bytes:
        """All that was appended."""
        return b"".join(self._parts)


class Reader:
    """Reads what Writer wrote; a read past the end is an ArtifactError that names ``where``."""

    def __init__(self, data: bytes, where: str) -> None:
        self._data = data
        self._at = 0
        self.where = where

    @property
    def left(self) -> int:
        """Bytes not read yet."""
        return len(self._data) - self._at

    def raw(self, size: int) -> bytes:
        """The next ``size`` bytes."""
        if size > self.left:
            raise ArtifactError(
                f"{self.where} is truncated: {size} bytes are needed at byte {self._at} "
                f"and {self.left} are left; build the artifact again"
            )
        data = self._data[self._at : self._at + size]
        self._at += size
        return data

    def u32(self, count: int) -> tuple[int, ...]:
        """The next ``count`` unsigned 32-bit numbers."""
        return struct.unpack(f"<{count}I", self.raw(4 * count))

    def i32(self, count: int) -> tuple[int, ...]:
        """The next ``count`` signed 32-bit numbers."""
        return struct.unpack(f"<{count}i", self.raw(4 * count))

    def u64(self, count: int) -> tuple[int, ...]:
        """The next ``count`` unsigned 64-bit numbers."""
        return struct.unpack(f"<{count}Q", self.raw(8 * count))

    def text(self) -> str:
        """The next string."""
        data = self.raw(self.u32(1)[0])
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise ArtifactError(
                f"{self.where} holds a string that is not UTF-8; build the artifact again"
            ) from None

    def finish(self) -> None:
        """ArtifactError if anything is left."""
        if self.left:
            raise ArtifactError(
                f"{self.where} has {self.left} bytes too many; build the artifact again"
            )
