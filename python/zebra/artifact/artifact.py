"""Artifact: a compiled region as one checksummed, versioned binary."""

from __future__ import annotations

import contextlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from zebra.artifact import container, rules
from zebra.artifact.format import read_sections, write_sections
from zebra.codegen.compiled import Compiled
from zebra.errors import ArtifactError
from zebra.hw import HwConfig


@dataclass(frozen=True, slots=True)
class Artifact:
    """A program with its constants, ports and the configuration it was compiled for."""

    config: HwConfig
    compiled: Compiled

    def to_bytes(self) -> bytes:
        """The artifact's file; the same artifact gives the same bytes.

        ArtifactError if ``compiled`` contradicts itself (ports outside DRAM, ...).
        """
        rules.check(self.config, self.compiled, f"artifact {self.compiled.name}")
        return container.pack(write_sections(self.config, self.compiled))

    @classmethod
    def from_bytes(cls, data: bytes, origin: str = "the artifact") -> Artifact:
        """The artifact in ``data``; ArtifactError, with ``origin``, says what is wrong with it."""
        config, compiled = read_sections(container.unpack(data, origin), origin)
        rules.check(config, compiled, origin)
        return cls(config, compiled)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file, whole or not at all: a failure leaves the old file as it was."""
        _write_atomically(Path(path), self.to_bytes())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Artifact:
        """The artifact in a file; ArtifactError says why it cannot be had."""
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise ArtifactError(f"{path} cannot be read ({error.strerror})") from None
        return cls.from_bytes(data, str(path))


def _write_atomically(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise ArtifactError(
            f"{path} cannot be written ({error.strerror}); free space or give another path"
        ) from None
    finally:
        temporary.unlink(missing_ok=True)
    _sync_directory(path.parent)


def _sync_directory(directory: Path) -> None:
    """Make the rename itself durable where the system can."""
    try:
        handle = os.open(directory, os.O_RDONLY)
    except OSError:
        return
    with contextlib.suppress(OSError):
        os.fsync(handle)
    os.close(handle)
