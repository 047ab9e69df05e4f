"""Graph to Graph: tables into the node in front, pads into the convolution behind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from zebra.graph import nodes as g
from zebra.graph.interpret import look_up

_FINISHED = (g.Conv2d, g.ConvTranspose2d, g.Pool, g.Binary)
_Finished = g.Conv2d | g.ConvTranspose2d | g.Pool | g.Binary


def fuse(nodes: Sequence[g.Node], outputs: Sequence[str]) -> tuple[list[g.Node], dict[str, str]]:
    """Fused, live nodes in order, and new names of the values that a fusion renamed.

    Law: every value that is left keeps its elements. A table joins the node that
    computes its operand, and a pad the convolution that reads it, where nothing
    else reads the value between them.
    """
    readers = Counter(name for node in nodes for name in node.inputs)
    readers.update(outputs)
    by_name: dict[str, g.Node] = {}
    renamed: dict[str, str] = {}
    for node in nodes:
        inputs = tuple(renamed.get(name, name) for name in node.inputs)
        current = replace(node, inputs=inputs)
        front = by_name.get(inputs[0]) if len(inputs) == 1 else None
        alone = front is not None and readers[node.inputs[0]] == 1
        if isinstance(current, g.Table) and alone and isinstance(front, (*_FINISHED, g.Table)):
            by_name[front.name] = _with_table(front, current)
            renamed[node.name] = front.name
            continue
        if isinstance(current, g.Conv2d) and alone and isinstance(front, g.Pad):
            current = _with_pad(current, front, by_name[front.inputs[0]].shape)
        by_name[current.name] = current
    return _live(list(by_name.values()), [renamed.get(name, name) for name in outputs]), renamed


def _with_table(front: g.Node, table: g.Table) -> g.Node:
    origin = "+".join(part for part in (front.origin, table.origin) if part)
    if isinstance(front, g.Table):
        joined = look_up(front.table, table.table)
        return replace(front, table=joined, origin=origin)
    assert isinstance(front, _FINISHED), "the caller asks for finished nodes only"
    return replace(front, finish=finish_with(front.finish, table.table), origin=origin)


def finish_with(finish: g.Finish, table: g.Int8Array) -> g.Finish:
    """``finish``, then ``table``: as a tighter clamp where the table is one."""
    if finish.table is not None:
        return replace(finish, table=look_up(finish.table, table))
    clamp = clamp_of(table, finish.low, finish.high)
    if clamp is not None:
        return replace(finish, low=clamp[0], high=clamp[1])
    return replace(finish, table=table)


def clamp_of(table: npt.NDArray[np.int8], low: int, high: int) -> tuple[int, int] | None:
    """(least, most) where the table clamps the bytes low..high to that range, or None."""
    values = np.roll(table, 128)[low + 128 : high + 129].astype(np.int64)
    least, most = int(values[0]), int(values[-1])
    clamped = np.clip(np.arange(low, high + 1), least, most)
    return (least, most) if least <= most and np.array_equal(values, clamped) else None


def _with_pad(conv: g.Conv2d, pad: g.Pad, image: g.Shape) -> g.Conv2d:
    """The convolution with the pad's rows and columns in its own pads, if they agree."""
    before = pad.before
    after = [whole - size - front for whole, size, front in zip(pad.shape, image, before)]
    if pad.value != conv.pad_value or before[1] or after[1] or min(conv.pads) < 0:
        return conv
    top, left, bottom, right = conv.pads
    pads = (top + before[2], left + before[3], bottom + after[2], right + after[3])
    origin = "+".join(part for part in (pad.origin, conv.origin) if part)
    return replace(conv, inputs=pad.inputs, pads=pads, origin=origin)


def _live(nodes: Sequence[g.Node], outputs: Sequence[str]) -> list[g.Node]:
    """The nodes an output depends on, and every Input."""
    needed = set(outputs)
    kept: list[g.Node] = []
    for node in reversed(nodes):
        if node.name in needed or isinstance(node, g.Input):
            needed.update(node.inputs)
            kept.append(node)
    return kept[::-1]
