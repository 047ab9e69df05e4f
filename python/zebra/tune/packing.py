"""Workloads and tilings as AutoTVM keeps them: nested tuples of names and numbers.

Built from the dataclasses' own fields. A field that has its default value is left
out, so that a log stays readable when a dataclass gains a field.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import ModuleType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")


def pack(value: Any) -> Any:
    """A dataclass as ("ClassName", ("field", value), ...), nested; tuples stay, enums are ints."""
    if is_dataclass(value):
        return type(value).__name__, *_packed_fields(value)
    if isinstance(value, tuple):
        return tuple(pack(item) for item in value)
    return int(value) if isinstance(value, int) else value


def _packed_fields(value: Any) -> Iterator[tuple[str, Any]]:
    for field in fields(value):
        content = getattr(value, field.name)
        if field.default is MISSING or content != field.default:
            yield field.name, pack(content)


def unpack(packed: Any, module: ModuleType) -> Any:
    """What ``pack`` packed; classes are those of ``module``. ValueError if it is not that."""
    if not isinstance(packed, tuple | list):
        return packed
    if not packed or not isinstance(packed[0], str):
        return tuple(unpack(item, module) for item in packed)
    cls = getattr(module, packed[0], None)
    if not is_dataclass(cls):
        raise ValueError(f"{packed[0]} is nothing that a workload is made of")
    try:
        values = {name: unpack(content, module) for name, content in packed[1:]}
        return cls(**values)  # type: ignore[operator]
    except (TypeError, ValueError) as error:
        raise ValueError(f"{packed[0]} cannot be made of {packed[1:]} ({error})") from None


def to_knobs(value: Any, prefix: str = "") -> dict[str, int]:
    """A dataclass of integers, enums and tuples of them as {"kernel.0": 3, ...}."""
    knobs: dict[str, int] = {}
    for field in fields(value):
        content = getattr(value, field.name)
        name = prefix + field.name
        if is_dataclass(content):
            knobs |= to_knobs(content, f"{name}.")
        elif isinstance(content, tuple):
            knobs |= {f"{name}.{index}": int(item) for index, item in enumerate(content)}
        elif content is not None:
            knobs[name] = int(content)
    return knobs


def from_knobs(cls: type[T], knobs: Mapping[str, int], prefix: str = "") -> T:
    """The dataclass that ``to_knobs`` took apart; ValueError names a knob that is missing."""
    hints = _hints(cls)  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for field in fields(cls):  # type: ignore[arg-type]
        name = prefix + field.name
        given = any(knob == name or knob.startswith(f"{name}.") for knob in knobs)
        if given:
            values[field.name] = _from_knobs(hints[field.name], knobs, name)
        elif field.default is MISSING and field.default_factory is MISSING:
            raise ValueError(f"{name} is missing")
    return cls(**values)


@cache
def _hints(cls: Any) -> dict[str, Any]:
    return get_type_hints(cls)


def _from_knobs(hint: Any, knobs: Mapping[str, int], name: str) -> Any:
    for choice in (hint, *get_args(hint)):
        if is_dataclass(choice) and isinstance(choice, type):
            return from_knobs(choice, knobs, f"{name}.")
    if get_origin(hint) is tuple:
        count = sum(knob.startswith(f"{name}.") for knob in knobs)
        return tuple(knobs[f"{name}.{index}"] for index in range(count))
    value = knobs[name]
    return hint(value) if isinstance(hint, type) and issubclass(hint, enum.Enum) else value
