"""Tuning logs: AutoTVM's standard lines, one record for each measured point.

A record is appended with one write and one fsync a batch. A process that is
killed leaves at most a torn last line, which the next one removes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tvm.autotvm import record
from tvm.autotvm.measure import MeasureInput, MeasureResult
from tvm.autotvm.task.space import ConfigEntity

from zebra.errors import TuningLogError
from zebra.hw import HwConfig
from zebra.schedule.tiling import GemmTiling, GemmWorkload
from zebra.tune.space import tiling_of
from zebra.tune.task import TASK, work_of


@dataclass(frozen=True, slots=True)
class Record:
    """One measured point; ``cycles`` is None if measuring it failed."""

    digest: str
    """Of the configuration it was measured on."""
    model: str
    """Its name."""
    work: GemmWorkload
    tiling: GemmTiling
    seconds: float | None

    def cycles(self, config: HwConfig) -> int | None:
        """The cycles measured on ``config``."""
        if self.seconds is None:
            return None
        return round(self.seconds * config["CLOCK_MHZ"] * 1e6)


def read_records(path: Path) -> list[Record]:
    """Zebra's records of a log in its order; an empty list if there is no file.

    Records of other templates are passed over. TuningLogError names the line that
    is not a record; a last line without its end is not looked at.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise TuningLogError(f"{path}: cannot be read ({error.strerror})") from None
    lines = data[: data.rfind(b"\n") + 1].splitlines()
    found = (_parse(line, f"{path}, line {number}") for number, line in enumerate(lines, 1))
    return [entry for entry in found if entry is not None]


def _parse(line: bytes, where: str) -> Record | None:
    if not line.strip() or line.startswith(b"#"):
        return None
    try:
        row = json.loads(line)
        target, name, arguments = row["input"][:3]
        if name != TASK:
            return None
        costs, error = row["result"][:2]
        return Record(
            str(arguments[0]),
            _model(str(target)),
            work_of(arguments),
            tiling_of(ConfigEntity.from_json_dict(row["config"])),
            None if error else float(costs[0]),
        )
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise TuningLogError(
            f"{where}: is no AutoTVM record of {TASK} ({error}); remove the line"
        ) from None


def _model(target: str) -> str:
    names = [word.partition("=")[2] for word in target.split() if word.startswith("-model=")]
    return names[0] if names else ""


class LogFile:
    """A log that is appended to."""

    def __init__(self, path: Path) -> None:
        """Opens or makes the file and drops a torn last line. TuningLogError if it cannot."""
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise TuningLogError(f"{path}: cannot be written ({error.strerror})") from None
        size = os.fstat(self._file).st_size
        os.ftruncate(self._file, _whole_lines(self._file, size))

    def append(self, pairs: Iterable[tuple[MeasureInput, MeasureResult]]) -> None:
        """Write records and wait until they are on the disk."""
        lines = "".join(f"{record.encode(*pair)}\n" for pair in pairs).encode()
        while lines:
            lines = lines[os.write(self._file, lines) :]
        os.fsync(self._file)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def _whole_lines(file: int, size: int) -> int:
    """Bytes up to the end of the last whole line."""
    while size and os.pread(file, 1, size - 1) != b"\n":
        size -= 1
    return size


def best_of(records: Iterable[Record]) -> dict[GemmWorkload, Record]:
    """The fastest record of each workload; of equal ones the first."""
    best: dict[GemmWorkload, Record] = {}
    for entry in _measured(records):
        known = best.get(entry.work)
        if known is None or (entry.seconds or 0) < (known.seconds or 0):
            best[entry.work] = entry
    return best


def _measured(records: Iterable[Record]) -> Iterator[Record]:
    return (entry for entry in records if entry.seconds is not None)


def refuse_other_hardware(records: Iterable[Any], config: HwConfig, where: str) -> None:
    """TuningLogError if there are records and none is of ``config``."""
    others = {(entry.model, entry.digest) for entry in records}
    if others and all(digest != config.digest for _, digest in others):
        model, digest = min(others)
        raise TuningLogError(
            f"{where} was tuned for other hardware: configuration {model} with hash "
            f"{digest[:16]}, and this is {config.name} with hash {config.digest[:16]}; tune "
            "again, or start from it with zebra tune --warm-start"
        )
