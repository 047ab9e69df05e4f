"""Input files -> one array per network input, checked."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zebra.errors import InputError
from zebra.frontend.model import ModelInfo
from zebra.frontend.pictures.preprocess import Preprocessing

Array = npt.NDArray[Any]
Shapes = Mapping[str, tuple[int, ...]]


def load_arrays(
    path: Path, info: ModelInfo, shapes: Shapes, preprocessing: Preprocessing | None
) -> dict[str, Array]:
    """The network's inputs from one file: .npy and .npz as they are, anything else a picture.

    InputError if the file cannot be read or does not fit the network.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(6)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if magic.startswith(b"\x93NUMPY"):
        arrays = {_only_input(path, info): _load(path)}
    elif magic.startswith(b"PK"):
        arrays = dict(_load(path))
    else:
        arrays = {_only_input(path, info): _picture(path, preprocessing)}
    return _checked(path, arrays, info, shapes)


def _load(path: Path) -> Any:
    try:
        return np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: is not a readable NumPy file ({error})") from None


def _only_input(path: Path, info: ModelInfo) -> str:
    if len(info.inputs) != 1:
        names = ", ".join(tensor.name for tensor in info.inputs)
        raise InputError(
            f"{path} is one array but the network has the inputs {names}; "
            "save all of them under these names with numpy.savez"
        )
    return info.inputs[0].name


def _picture(path: Path, preprocessing: Preprocessing | None) -> Array:
    from PIL import Image, UnidentifiedImageError

    if preprocessing is None:
        raise InputError(f"{path}: the network does not take one picture; pass .npy or .npz files")
    try:
        with Image.open(path) as picture:
            return preprocessing(picture)
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise InputError(
            f"{path}: is neither a readable picture nor a .npy or .npz file ({error})"
        ) from None


def _checked(
    path: Path, arrays: dict[str, Array], info: ModelInfo, shapes: Shapes
) -> dict[str, Array]:
    wanted = {tensor.name for tensor in info.inputs}
    if set(arrays) != wanted:
        raise InputError(
            f"{path} holds the arrays {sorted(arrays)} but the network has the inputs "
            f"{sorted(wanted)}; name them so in numpy.savez"
        )
    return {
        tensor.name: _fitted(path, tensor.name, arrays[tensor.name], shapes, tensor.dtype)
        for tensor in info.inputs
    }


def _fitted(path: Path, name: str, array: Array, shapes: Shapes, dtype: str) -> Array:
    shape = shapes[name]
    if array.shape == shape[1:] and shape[0] == 1:
        array = array[np.newaxis]
    if array.shape != shape:
        raise InputError(
            f"{path}: the array for input {name} has shape {list(array.shape)}; "
            f"the network takes {list(shape)}"
        )
    if array.dtype.kind not in "fiub" or not np.isfinite(array).all():
        raise InputError(f"{path}: the array for input {name} holds values that are no numbers")
    converted = array.astype(dtype)
    if converted.dtype.kind in "iu" and not np.array_equal(converted, array):
        raise InputError(
            f"{path}: the array for input {name} is {array.dtype} and does not fit {dtype}; "
            f"quantize it first and save it as {dtype}"
        )
    return converted
