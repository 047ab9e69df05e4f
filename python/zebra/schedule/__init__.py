"""Graph -> Schedule: which machine operation, which memory, which tiles."""

from zebra.schedule.plan import Schedule, plan

__all__ = ["Schedule", "plan"]
