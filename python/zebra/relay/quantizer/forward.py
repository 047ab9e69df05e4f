"""The float network on all pictures, one after the other: what observers see."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from tvm import relay

from zebra.errors import QuantizationError
from zebra.relay.quantizer.evaluate import Evaluator, Value, evaluate_linear
from zebra.relay.quantizer.observers import Observer
from zebra.relay.quantizer.rewriting import Expr, op_name, value_of
from zebra.relay.quantizer.steps import Linear, Literal, Network, Step

Array = npt.NDArray[Any]
Seer = TypeVar("Seer", bound=Observer)
T = TypeVar("T")
R = TypeVar("R")


def last_readers(network: Network) -> dict[Expr, Step]:
    """The last step that reads each value that is read."""
    return {value: step for step in network.steps for value in step.inputs}


def source_of(step: Step, batch: Mapping[str, Array]) -> Value | None:
    """The value of a step that computes nothing: an input or a constant."""
    if isinstance(step, Literal):
        return value_of(step.expr)
    if step.inputs or not isinstance(step.expr, relay.Var):
        return None
    return batch[step.expr.name_hint]


def float_value(step: Step, inputs: Sequence[Value], evaluator: Evaluator) -> Value:
    """The value of a step that computes, as the float network has it."""
    if isinstance(step, Linear):
        return evaluate_linear(step, inputs[0], step.weight, step.bias.astype(np.float32))
    return evaluator(step, inputs)


def observe(
    network: Network,
    watched: Sequence[Expr],
    batches: Iterable[Mapping[str, Array]],
    observer: Callable[[], Seer],
) -> list[Seer]:
    """One observer per value of ``watched`` that saw it for every batch.

    Batches are run on all cores and merged in their order. Raises
    QuantizationError for a value that is not finite.
    """
    evaluator, readers = Evaluator(), last_readers(network)
    number_of = {step.expr: number for number, step in enumerate(network.steps)}
    wanted = {number_of[value] for value in watched}
    plan = [
        (
            [number_of[value] for value in step.inputs],
            [number_of[value] for value in set(step.inputs) if readers[value] is step],
        )
        for step in network.steps
    ]

    def run(counted: tuple[int, Mapping[str, Array]]) -> dict[int, Seer]:
        seen: dict[int, Seer] = {}
        values: dict[int, Value] = {}
        for number, (step, (reads, last)) in enumerate(zip(network.steps, plan)):
            value = source_of(step, counted[1])
            if value is None:
                value = float_value(step, [values[read] for read in reads], evaluator)
            if number in wanted:
                _check(value, step.expr, counted[0])
                seen[number] = observer()
                seen[number].update(value)
            values[number] = value
            for read in last:
                del values[read]
        return seen

    total = {number_of[value]: observer() for value in watched}
    for seen in in_order(run, enumerate(batches)):
        for number, watcher in total.items():
            watcher.merge(seen[number])
    return list(total.values())


def in_order(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Results of ``function`` on all cores, in order, with a bounded number in flight."""
    workers = os.cpu_count() or 1
    source = iter(items)
    with ThreadPoolExecutor(workers) as pool:
        waiting = [pool.submit(function, item) for item in islice(source, workers)]
        while waiting:
            result = waiting.pop(0).result()
            waiting += [pool.submit(function, item) for item in islice(source, 1)]
            yield result


def _check(value: Array, expr: Expr, number: int) -> None:
    if not np.isfinite(value).all():
        raise QuantizationError(
            f"the float network gives NaN or infinite values at {_describe(expr)} for "
            f"calibration batch {number}; check the model and how its input is scaled"
        )


def _describe(expr: Expr) -> str:
    if hasattr(expr, "name_hint"):
        return f"input {expr.name_hint}"
    return f"an operator {op_name(expr)} of type {expr.checked_type}"
