"""Where the command line writes: answers to stdout, everything else to stderr."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.progress import TimeElapsedColumn as Elapsed

T = TypeVar("T")

out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, highlight=False)


@contextmanager
def step(text: str) -> Iterator[None]:
    """Show that one long step is being done, and say at its end how long it took."""
    start = time.perf_counter()
    columns = (SpinnerColumn(), TextColumn(text), Elapsed())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        progress.add_task(text, total=None)
        yield
    err.print(f"[dim]{time.perf_counter() - start:6.1f} s  {text}[/dim]")


@contextmanager
def phases(text: str) -> Iterator[Callable[[str, int, int], None]]:
    """Like ``step``, for one whose progress is told: what is done, how much, of how much."""
    start = time.perf_counter()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Elapsed())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task(text, total=None)

        def tell(phase: str, done: int, total: int) -> None:
            progress.update(task, description=f"{text}: {phase}", completed=done, total=total)

        yield tell
    err.print(f"[dim]{time.perf_counter() - start:6.1f} s  {text}[/dim]")


def each(items: Sequence[T], text: str) -> Iterable[T]:
    """The items, with a bar that shows how many are done."""
    columns = (TextColumn(text), BarColumn(), MofNCompleteColumn(), Elapsed())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        yield from progress.track(items)


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    print(as_json(value))


def as_json(value: Any) -> str:
    """The text of one JSON document."""
    return json.dumps(value, indent=2, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
