"""AutoTVM tasks: one for each distinct workload on one configuration."""

from __future__ import annotations

from typing import Any

from tvm.autotvm.task.task import TASK_TABLE, Task, TaskTemplate
from tvm.target import Target

from zebra.hw import HwConfig
from zebra.schedule import tiling
from zebra.schedule.tiling import GemmWorkload
from zebra.tune.packing import pack, unpack
from zebra.tune.space import TilingSpace

TASK = "zebra.gemm"
"""Its arguments are the configuration's digest and the packed workload."""


def register_task() -> None:
    """Make the task's name known to AutoTVM; a second call changes nothing."""
    TASK_TABLE.setdefault(TASK, TaskTemplate())


def task_arguments(work: GemmWorkload, config: HwConfig) -> tuple[str, Any]:
    """(digest of the configuration, packed workload)."""
    return config.digest, pack(work)


def workload_key(work: GemmWorkload, config: HwConfig) -> tuple[Any, ...]:
    """What AutoTVM's dispatch contexts know the workload by."""
    return TASK, *task_arguments(work, config)


def target_of(config: HwConfig) -> Target:
    """The TVM target of a configuration."""
    return Target(f"zebra/{config.name}")


def make_task(work: GemmWorkload, config: HwConfig) -> Task:
    """The tuning task of one workload; UnsupportedError if it has no legal tiling."""
    register_task()
    task = Task(TASK, task_arguments(work, config))
    task.config_space = TilingSpace(work, config)
    # Both ends of every multiply-accumulate count, as AutoTVM counts.
    task.flop = 2 * macs_of(work, config.block)
    task.target = target_of(config)
    return task


def work_of(arguments: tuple[Any, ...]) -> GemmWorkload:
    """The workload in a task's arguments; ValueError if there is none."""
    work = unpack(arguments[1], tiling)
    if not isinstance(work, GemmWorkload):
        raise ValueError(f"{arguments[1]!r} is no workload of {TASK}")
    return work


def macs_of(work: GemmWorkload, block: int) -> int:
    """Multiply-accumulates of the convolution, padding channels included."""
    pixels = work.batch * work.out_size[0] * work.out_size[1]
    taps = work.kernel[0] * work.kernel[1]
    return pixels * taps * work.out_blocks * work.in_blocks * block**2
