"""A photograph -> the array a network was trained on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from zebra.errors import InputError
from zebra.frontend.model import Format, ModelInfo, TensorInfo

if TYPE_CHECKING:
    from PIL.Image import Image

Array = npt.NDArray[Any]
Triple = tuple[float, ...]

CROP_MARGIN = 0.875
"""Share of the resized picture that ImageNet's evaluation keeps: 224 of 256."""
_SMALL = 128
"""Networks for pictures below this side (CIFAR) are evaluated without a margin."""


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """value = (pixel * scale - mean) / std per channel, pixels 0..255 of a resized picture.

    ``fit`` "crop" resizes the short side and cuts the centre; "stretch" resizes
    both sides. A quantized input stores round(value / stored_scale) + zero_point.
    """

    height: int
    width: int
    channels: int
    layout: str
    dtype: str
    scale: float = 1.0
    mean: Triple = (0.0,)
    std: Triple = (1.0,)
    bgr: bool = False
    fit: str = "crop"
    margin: float = 1.0
    stored_scale: float | None = None
    zero_point: int = 0
    reason: str = ""

    def __call__(self, picture: Image) -> Array:
        """[1, C, H, W] or [1, H, W, C] of ``dtype``."""
        from PIL import ImageOps

        picture = ImageOps.exif_transpose(picture)
        picture = self._resized(picture.convert("L" if self.channels == 1 else "RGB"))
        pixels = np.asarray(picture, np.float32).reshape(self.height, self.width, self.channels)
        if self.bgr:
            pixels = pixels[..., ::-1]
        mean, std = np.array(self.mean, np.float32), np.array(self.std, np.float32)
        values = (pixels * np.float32(self.scale) - mean) / std
        if self.layout == "NCHW":
            values = values.transpose(2, 0, 1)
        return self._stored(np.ascontiguousarray(values[np.newaxis]))

    def _resized(self, picture: Image) -> Image:
        from PIL.Image import Resampling

        target = (self.width, self.height)
        if self.fit == "stretch":
            return picture.resize(target, Resampling.BILINEAR)
        wide, high = target[0] / self.margin, target[1] / self.margin
        ratio = max(wide / picture.width, high / picture.height)
        size = (round(picture.width * ratio), round(picture.height * ratio))
        picture = picture.resize(size, Resampling.BILINEAR)
        left, top = (size[0] - target[0]) // 2, (size[1] - target[1]) // 2
        return picture.crop((left, top, left + target[0], top + target[1]))

    def _stored(self, values: Array) -> Array:
        if self.stored_scale is None:
            return values.astype(self.dtype)
        limits = np.iinfo(self.dtype)
        stored = np.rint(values / self.stored_scale) + self.zero_point
        return stored.clip(limits.min, limits.max).astype(self.dtype)

    def override(
        self,
        mean: Triple | None = None,
        std: Triple | None = None,
        scale: float | None = None,
        fit: str | None = None,
        bgr: bool | None = None,
    ) -> Preprocessing:
        """The same with what the user said; InputError if it cannot be."""
        for name, values in (("mean", mean), ("std", std)):
            if values is not None and len(values) not in (1, self.channels):
                raise InputError(
                    f"--{name} has {len(values)} values but the input has {self.channels} "
                    f"channels; give 1 or {self.channels}"
                )
        if std is not None and any(value == 0 for value in std):
            raise InputError("--std has a zero; every value divides and must not be 0")
        given = {"mean": mean, "std": std, "scale": scale, "fit": fit, "bgr": bgr}
        changes: dict[str, Any] = {key: each for key, each in given.items() if each is not None}
        if not changes:
            return self
        return replace(self, **changes, reason=f"{', '.join(changes)} as you said")

    def describe(self) -> str:
        """One line for people: what happens to a picture, and why it was chosen."""
        cut = "stretched to" if self.fit == "stretch" else "centre cut to"
        order = "grey" if self.channels == 1 else "BGR" if self.bgr else "RGB"
        mean, std = (",".join(f"{each:g}" for each in triple) for triple in (self.mean, self.std))
        return (
            f"{cut} {self.width}x{self.height}, {order}, "
            f"(pixel * {self.scale:g} - {mean}) / {std} ({self.reason})"
        )


IMAGENET: dict[str, Any] = {
    "scale": 1 / 255,
    "mean": (0.485, 0.456, 0.406),
    "std": (0.229, 0.224, 0.225),
}
"""torchvision's convention."""
_RETINAFACE: dict[str, Any] = {
    "mean": (104.0, 117.0, 123.0),
    "bgr": True,
    "fit": "stretch",
    "reason": "a RetinaFace detector by its outputs",
}
"""The convention of biubug6/Pytorch_Retinaface."""


def guess(info: ModelInfo, tensor: TensorInfo, shape: tuple[int, ...]) -> Preprocessing:
    """The most likely preprocessing of an image input; InputError if ``shape`` is no picture's."""
    height, width, channels, layout = _picture_shape(tensor, shape)
    base = Preprocessing(height, width, channels, layout, tensor.dtype)
    if tensor.dtype in ("uint8", "int8"):
        return _quantized(base, tensor)
    if tuple(output.name for output in info.outputs) == ("loc", "conf", "landmarks"):
        return replace(base, **_RETINAFACE)
    margin = CROP_MARGIN if min(height, width) >= _SMALL else 1.0
    if info.format is Format.ONNX and channels == 3:
        reason = "guess: torchvision's, as for most ONNX files; change it with --mean --std --scale"
        return replace(base, **IMAGENET, margin=margin, reason=reason)
    reason = "guess: values in -1..1; change it with --mean --std --scale"
    return replace(base, scale=1 / 127.5, mean=(1.0,), margin=margin, reason=reason)


def _quantized(base: Preprocessing, tensor: TensorInfo) -> Preprocessing:
    """The stored byte is the pixel (uint8) or the pixel - 128 (int8), whatever it stands for."""
    margin = CROP_MARGIN if min(base.height, base.width) >= _SMALL else 1.0
    scale = tensor.scale if tensor.scale is not None else 1.0
    offset = tensor.zero_point + (128 if tensor.dtype == "int8" else 0)
    return replace(
        base,
        scale=scale,
        mean=(scale * offset,),
        stored_scale=scale,
        zero_point=tensor.zero_point,
        margin=margin,
        reason=f"{tensor.dtype} input: the pixels themselves",
    )


def _picture_shape(tensor: TensorInfo, shape: tuple[int, ...]) -> tuple[int, int, int, str]:
    where = f"input {tensor.name} has the shape {list(shape)}"
    if len(shape) != 4 or shape[0] != 1:
        raise InputError(
            f"{where}, which is not one picture's; pass arrays as .npy or .npz files instead"
        )
    _, second, third, last = shape
    if second in (1, 3) and last not in (1, 3):
        return third, last, second, "NCHW"
    if last in (1, 3):
        return second, third, last, "NHWC"
    if second in (1, 3):
        return third, last, second, "NCHW"
    raise InputError(
        f"{where}: neither dimension 1 nor 3 is 1 (grey) or 3 (colour) channels; "
        "pass arrays as .npy or .npz files instead"
    )
