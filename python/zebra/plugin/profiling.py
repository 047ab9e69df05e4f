"""``zebra.profile``: what a built or loaded library takes, on the accelerator and on this CPU."""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np
import tvm
from tvm.contrib.graph_executor import GraphModule

from zebra.errors import UsageError
from zebra.plugin.regions import Region, find_regions
from zebra.runtime.network import Profile
from zebra.runtime.profile import profile_region

RUNS = 3


def profile(library: Any, host: bool = True) -> Profile:
    """Where the time of one inference goes.

    ``library``: what ``relay.build`` or ``relay.vm.compile`` returned for a zebra target,
    or ``tvm.runtime.load_module`` read. The accelerator's part is timed by the cycle
    model and nothing runs for it. With ``host``, a library for the graph executor is
    also run on zeros, once to warm up and three times to measure: ``host_seconds`` is
    the median of the wall time of ``run`` less what the simulator took. UsageError if
    no region of ``library`` is for the accelerator.
    """
    regions = find_regions(library)
    if not regions:
        raise UsageError(
            "nothing in this library runs on the accelerator, so there is nothing to profile; "
            "zebra.inspect says why"
        )
    profiles = tuple(profile_region(region.artifact()) for region in regions)
    seconds = _host_seconds(library, regions) if host else None
    return Profile(profiles[0].config, profiles, seconds)


def _host_seconds(library: Any, regions: tuple[Region, ...]) -> float | None:
    """None where ``library`` is not for the graph executor."""
    executor = _graph_executor(library)
    if executor is None:
        return None
    shapes, dtypes = executor.get_input_info()
    for name, shape in shapes.items():
        executor.set_input(name, np.zeros([int(size) for size in shape], dtypes[name]))
    executor.run()
    return statistics.median(_one_run(executor, regions) for _ in range(RUNS))


def _graph_executor(library: Any) -> GraphModule | None:
    try:
        return GraphModule(library["default"](tvm.cpu(0)))
    except (AttributeError, TypeError, tvm.error.TVMError):
        return None


def _one_run(executor: GraphModule, regions: tuple[Region, ...]) -> float:
    simulated = _simulated(regions)
    start = time.perf_counter()
    executor.run()
    taken = time.perf_counter() - start
    return taken - (_simulated(regions) - simulated)


def _simulated(regions: tuple[Region, ...]) -> float:
    """Seconds that the regions have spent in the simulator so far."""
    return sum(float(region.counters()["seconds"]) for region in regions)
