"""Settle every size of every input: TVM's graph executor needs static shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from zebra.errors import ModelError
from zebra.frontend.model import ModelInfo, TensorInfo

Shapes = Mapping[str, Sequence[int]]


def settle(info: ModelInfo, given: Shapes | None) -> dict[str, tuple[int, ...]]:
    """Shape of each input: the declared one, completed by ``given``; an open batch alone is 1.

    ModelError for a name that is no input, a shape that contradicts the file,
    or a size left open.
    """
    given = given or {}
    for name in given:
        info.input(name)
    return {tensor.name: _settle_one(tensor, given, info.origin) for tensor in info.inputs}


def _settle_one(tensor: TensorInfo, given: Shapes, origin: str) -> tuple[int, ...]:
    if tensor.name in given:
        return _check_given(tensor, tuple(given[tensor.name]), origin)
    if tensor.dims is None:
        raise ModelError(
            f"{origin}: input {tensor.name} has no shape in the file; {_advice(tensor.name)}"
        )
    sizes = tensor.dims
    if sizes and isinstance(sizes[0], str):
        sizes = (1, *sizes[1:])
    static = tuple(size for size in sizes if isinstance(size, int))
    if len(static) != len(sizes):
        raise ModelError(
            f"{origin}: input {tensor.describe()} leaves sizes open; "
            f"{_advice(tensor.name, len(sizes))}"
        )
    return static


def _check_given(tensor: TensorInfo, shape: tuple[int, ...], origin: str) -> tuple[int, ...]:
    where = f"{origin}: the shape {list(shape)} given for input {tensor.name}"
    if any(size < 1 for size in shape):
        raise ModelError(f"{where} has a size below 1; every size must be known and positive")
    if tensor.dims is None:
        return shape
    fits = len(shape) == len(tensor.dims) and all(
        isinstance(dim, str) or dim == size for dim, size in zip(tensor.dims, shape)
    )
    if not fits:
        raise ModelError(f"{where} contradicts the file, which declares {tensor.describe()}")
    return shape


def _advice(name: str, rank: int = 4) -> str:
    example = (1, 3, 224, 224)[:rank] if rank <= 4 else (1,) * rank
    text = ",".join(map(str, example))
    return (
        f'say which you want, for example shapes={{"{name}": ({", ".join(map(str, example))})}} '
        f"(on the command line: --shape {name}={text})"
    )
