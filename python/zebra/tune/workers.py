"""Timing on workers that register with TVM's RPC tracker.

What crosses the wire is the configuration, the workload and the tilings as JSON: a
worker emits the instructions itself, so that several take that load from the tuner.
"""

from __future__ import annotations

import json
import queue
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any

import tvm
from tvm import rpc

from zebra.errors import DriverError
from zebra.hw import HwConfig
from zebra.schedule import tiling as tiling_module
from zebra.schedule.tiling import GemmTiling, GemmWorkload
from zebra.tune.measuring import Outcome, time_here
from zebra.tune.packing import from_knobs, pack, to_knobs, unpack

FUNCTION = "zebra.tune.time"
CHUNK = 2
"""Points in one request."""

Ask = Callable[[str], str]


def answer(request: str) -> str:
    """What a worker does: JSON of points in, JSON of their outcomes out."""
    given = json.loads(request)
    config = HwConfig.from_mapping(given["name"], given["config"])
    work = unpack(given["work"], tiling_module)
    tilings = [from_knobs(GemmTiling, knobs) for knobs in given["tilings"]]
    return json.dumps(time_here(work, config, tilings))


def register_worker() -> None:
    """Make ``answer`` callable over RPC in this process."""
    tvm.register_func(FUNCTION, answer, override=True)


def serve(tracker: tuple[str, int], key: str) -> Any:
    """A running tvm.rpc.Server that times points; ``terminate()`` ends it.

    It listens on this machine only if the tracker is on it, too.
    """
    local = tracker[0] in ("localhost", "127.0.0.1", "::1")
    return rpc.Server(
        "127.0.0.1" if local else "0.0.0.0",
        tracker_addr=tracker,
        key=key,
        silent=True,
        server_init_callback=register_worker,
    )


class TrackerTimer:
    """Times on every worker that is free under ``key`` when it is made."""

    def __init__(self, config: HwConfig, tracker: tuple[str, int], key: str) -> None:
        """DriverError if there is no tracker or no worker."""
        self.config = config
        self._where = f"{tracker[0]}:{tracker[1]}"
        self._asks = _connect(tracker, key, self._where)
        self._key = key

    @property
    def workers(self) -> int:
        """How many are left."""
        return len(self._asks)

    def time(self, work: GemmWorkload, tilings: Sequence[GemmTiling]) -> list[Outcome]:
        """One outcome for each tiling, in order; DriverError when no worker is left."""
        outcomes: list[Outcome | None] = [None] * len(tilings)
        jobs: queue.SimpleQueue[int] = queue.SimpleQueue()
        for first in range(0, len(tilings), CHUNK):
            jobs.put(first)

        def work_off(ask: Ask) -> None:
            while True:
                try:
                    first = jobs.get_nowait()
                except queue.Empty:
                    return
                part = slice(first, first + CHUNK)
                try:
                    outcomes[part] = self._ask(ask, work, tilings[part])
                except (tvm.error.TVMError, OSError, RuntimeError):
                    # The worker is gone: another one takes its points.
                    jobs.put(first)
                    self._asks.remove(ask)
                    return

        while not jobs.empty():
            threads = [threading.Thread(target=work_off, args=(ask,)) for ask in self._asks]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            if not self._asks:
                raise DriverError(
                    f"no worker with key {self._key} of the tracker {self._where} is left; start "
                    "workers and give the same command again, the log keeps what is measured"
                )
        return [outcome for outcome in outcomes if outcome is not None]

    def _ask(self, ask: Ask, work: GemmWorkload, tilings: Sequence[GemmTiling]) -> list[Outcome]:
        request = {
            "name": self.config.name,
            "config": self.config.to_mapping(),
            "work": pack(work),
            "tilings": [to_knobs(tiling) for tiling in tilings],
        }
        return [
            (cycles, text, spent) for cycles, text, spent in json.loads(ask(json.dumps(request)))
        ]

    def close(self) -> None:
        """Give the workers back."""
        self._asks.clear()


def _connect(tracker: tuple[str, int], key: str, where: str) -> list[Ask]:
    """The timing function of every free worker."""
    try:
        # TVM itself tries for a minute.
        socket.create_connection(tracker, timeout=10).close()
        session = rpc.connect_tracker(*tracker)
        free = free_workers(session, key)
    except (tvm.error.TVMError, OSError, RuntimeError) as error:
        raise DriverError(
            f"no RPC tracker answers at {where} ({_last(error)}); start one with "
            "python -m tvm.exec.rpc_tracker"
        ) from None
    command = f"zebra tune-worker --tracker {where} --key {key}"
    if not free:
        raise DriverError(
            f"the tracker {where} knows no free worker with key {key}; start one with {command}"
        )
    try:
        remotes = [session.request(key) for _ in range(free)]
        return [remote.get_function(FUNCTION) for remote in remotes]
    except (tvm.error.TVMError, AttributeError, RuntimeError) as error:
        raise DriverError(
            f"a worker with key {key} of the tracker {where} times no tilings ({_last(error)}); "
            f"start workers with {command}"
        ) from None


def free_workers(session: Any, key: str) -> int:
    """How many workers wait for work under ``key``, as the tracker's ``session`` tells."""
    return int(session.summary()["queue_info"].get(key, {}).get("free", 0))


def _last(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]
