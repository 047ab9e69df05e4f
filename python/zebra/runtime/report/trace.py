"""The timeline in the Trace Event Format, which Perfetto and chrome://tracing open.

Source: "Trace Event Format" (Google, 2016): an object with ``traceEvents``; complete
events (ph X) with ``ts`` and ``dur`` in microseconds, metadata events (ph M) for
the names of processes and threads. Perfetto counts in whole nanoseconds and drops an
event that begins before the one in front of it ended, so begin and end of an event
are rounded to nanoseconds each, and ``dur`` is their difference. Process 0 and
thread 0 are the idle ones of a system there, so both count from 1 here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zebra.errors import InputError
from zebra.isa.fields import WORD_BYTES, Word
from zebra.isa.insns import OPCODE_BITS, Engine
from zebra.runtime.network import Profile
from zebra.runtime.profile import RegionProfile
from zebra.runtime.report.slices import NO_LAYER, instruction_slices

Event = dict[str, Any]
LAYERS = 1
"""The thread of the layers; engine e is thread 2 + e."""


def write_trace(profile: Profile, path: str | os.PathLike[str]) -> None:
    """Write every instruction and layer as an event; InputError if ``path`` cannot be written.

    Each region is a process, one after the other in time; each engine is a thread.
    """
    try:
        with Path(path).open("w", encoding="utf-8") as file:
            file.write('{"displayTimeUnit":"ns","traceEvents":[\n')
            for number, event in enumerate(events(profile)):
                file.write(",\n" if number else "")
                file.write(json.dumps(event, separators=(",", ":")))
            file.write("\n]}\n")
    except OSError as error:
        raise InputError(f"{path}: the trace cannot be written ({error.strerror})") from None


def events(profile: Profile) -> Iterator[Event]:
    """All events; times in microseconds of the accelerator's clock."""
    offset = 0
    for number, region in enumerate(profile.regions, 1):
        yield from _names(number, region)
        place = _Place(number, offset, profile.config["CLOCK_MHZ"])
        yield from _layer_events(region, place)
        yield from _instruction_events(region, place)
        offset += region.cycles


@dataclass(frozen=True, slots=True)
class _Place:
    """A region's process and its first cycle."""

    pid: int
    offset: int
    clock: int

    def event(self, tid: int, name: str, category: str, start: int, end: int, args: Event) -> Event:
        """A complete event from cycle ``start`` to ``end`` of the region."""
        begin, stop = self._nanoseconds(start), self._nanoseconds(end)
        return {
            "ph": "X",
            "pid": self.pid,
            "tid": tid,
            "name": name,
            "cat": category,
            "ts": begin / 1000,
            "dur": (stop - begin) / 1000,
            "args": args,
        }

    def _nanoseconds(self, cycle: int) -> int:
        return round((cycle + self.offset) * 1000 / self.clock)


def _names(pid: int, region: RegionProfile) -> Iterator[Event]:
    title = f"{region.name} on {region.config.name}"
    yield {"ph": "M", "pid": pid, "name": "process_name", "args": {"name": title}}
    threads = ("layers", *(engine.name for engine in Engine))
    for tid, name in enumerate(threads, LAYERS):
        common = {"ph": "M", "pid": pid, "tid": tid}
        yield common | {"name": "thread_name", "args": {"name": name}}
        yield common | {"name": "thread_sort_index", "args": {"sort_index": tid}}


def _layer_events(region: RegionProfile, place: _Place) -> Iterator[Event]:
    for layer in region.layers:
        if layer.cycles:
            args = {
                "origin": layer.origin,
                "macs": layer.macs,
                "mac_utilization": round(layer.mac_utilization, 4),
                "limit": layer.limit.text,
            }
            start = layer.end - layer.cycles
            yield place.event(LAYERS, layer.name, "layer", start, layer.end, args)


def _instruction_events(region: RegionProfile, place: _Place) -> Iterator[Event]:
    code = region.artifact.compiled.program.code
    for piece in instruction_slices(region):
        opcode = code[piece.first * WORD_BYTES] & (1 << OPCODE_BITS) - 1
        name = "no layer" if piece.layer == NO_LAYER else region.rows[piece.layer].name
        args = {"instruction": piece.first, "cycles": piece.end - piece.start}
        category = Word.REGISTRY[opcode].__name__
        yield place.event(LAYERS + 1 + piece.engine, name, category, piece.start, piece.end, args)
