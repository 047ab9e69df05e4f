"""Calibration batches made up for a network of which no picture is at hand.

An input that a 2-D convolution reads first gets ``pictures``, in the values that the
convolution was trained for. How these are found:

- A batch norm behind the convolution says: its moving mean is the convolution's mean
  over the training pictures, an affine function of the input's mean per channel (least
  squares gives it), and its moving variance gives the contrast.
- A bias with a batch norm folded in, b = beta - gamma * mean / deviation, is about as
  large as what it is added to varies, so the usual level at which it is nearest to that
  is taken: -2.12 .. 2.64 (normalised pictures) or 0 .. 255.
- uint8 inputs take 0 .. 255; with nothing to go by, normalised pictures.

Any other float input gets Gaussian noise, and any other integer one zeros.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import relay

from zebra.errors import ZebraWarning
from zebra.relay.quantizer.pictures import picture
from zebra.relay.quantizer.rewriting import Expr, children, op_name, post_order, shape_of, value_of
from zebra.relay.quantizer.running import FloatRunner, host_target

COUNT = 32
"""Batches made."""

LOOKED_AT = 4
"""Pictures that the level is found with."""

SEED = 0
SMALLEST_SIDE = 8
MIDDLE, SPREAD = 0.445, 0.21
"""Black becomes -2.12 and white 2.64, the extremes of ImageNet's usual normalisation."""

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Level:
    """What a picture of 0 .. 1 becomes: ``gain * picture + offset`` per channel, [C] or [1]."""

    gain: Array
    offset: Array


NORMALISED = Level(np.array([1 / SPREAD]), np.array([-MIDDLE / SPREAD]))
BYTES = Level(np.array([255.0]), np.array([0.0]))


@dataclass(frozen=True)
class First:
    """The first convolution of an input: ``value`` is what its bias or batch norm is given.

    ``axis`` is the channels' axis, of the input too. ``bias`` [K], or ``mean`` and
    ``variance`` [K] of a batch norm, where known.
    """

    value: Expr
    axis: int
    bias: Array | None = None
    mean: Array | None = None
    variance: Array | None = None


Moments = Callable[[Sequence[Array]], tuple[Array, Array]]
"""Of pictures, the mean and variance of ``First.value`` in each channel, float64 [K]."""


def synthetic_batches(main: relay.Function, count: int = COUNT) -> Iterator[dict[str, Array]]:
    """``count`` batches {input name: array} for ``main``, the same every time; warns."""
    makers = {param.name_hint: _maker(main, param) for param in main.params}
    drawn = any(isinstance(maker, _Pictures) for maker in makers.values())
    what = f"{count} drawn pictures of no thing" if drawn else f"{count} batches of Gaussian noise"
    warnings.warn(
        f"no calibration data: ranges come from {what}, which can cost accuracy; give some "
        "tens of typical inputs, as in quantize(mod, params, calibration=[picture, ...]) or "
        "with zebra.relay.calibration.calibrate([picture, ...])",
        ZebraWarning,
        stacklevel=2,
    )
    for number in range(count):
        yield {name: maker(number) for name, maker in makers.items()}


@dataclass(frozen=True)
class _Pictures:
    shape: tuple[int, ...]
    dtype: str
    axis: int
    level: Level

    def __call__(self, number: int) -> Array:
        """Batch ``number``, in the input's shape and dtype."""
        made = _drawn(self.shape, self.axis, number)
        return _levelled(made, self.level, self.axis).astype(self.dtype)


@dataclass(frozen=True)
class _Noise:
    shape: tuple[int, ...]
    dtype: str

    def __call__(self, number: int) -> Array:
        """Batch ``number``: of mean 0 and deviation 1, or zeros for integers."""
        noise = np.random.default_rng((SEED, number)).standard_normal(self.shape)
        return (noise if self.dtype.startswith("float") else 0 * noise).astype(self.dtype)


def _maker(main: relay.Function, param: relay.Var) -> _Pictures | _Noise:
    shape, dtype = shape_of(param), str(param.checked_type.dtype)
    first = first_convolution(main, param)
    axis = 1 if first is None else first.axis
    if len(shape) != 4 or shape[axis] not in (1, 3) or dtype[:5] not in ("float", "uint8"):
        return _Noise(shape, dtype)
    if first is None or min(shape[2:] if axis == 1 else shape[1:3]) < SMALLEST_SIDE:
        return _Noise(shape, dtype)
    level = BYTES if dtype == "uint8" else level_of(first, param)
    return _Pictures(shape, dtype, axis, level)


def _drawn(shape: Sequence[int], axis: int, number: int) -> Array:
    """[N, C, H, W] or [N, H, W, C] by ``axis``, float64 of 0 .. 1."""
    height, width = [extent for place, extent in enumerate(shape) if place not in (0, axis)]
    rngs = [np.random.default_rng((SEED, number, item)) for item in range(shape[0])]
    pictures = np.stack([picture(rng, shape[axis], height, width) for rng in rngs])
    return pictures if axis == 1 else np.ascontiguousarray(pictures.transpose(0, 2, 3, 1))


def _levelled(made: Array, level: Level, axis: int) -> Array:
    trailing = (1,) * (3 - axis)
    return np.asarray(
        made * level.gain.reshape(-1, *trailing) + level.offset.reshape(-1, *trailing)
    )


def first_convolution(main: relay.Function, param: relay.Var) -> First | None:
    """The first convolution that reads ``param``, with constant weights and no other input."""
    nodes = post_order(main.body)
    for node in nodes:
        if op_name(node) != "nn.conv2d" or value_of(node.args[1]) is None:
            continue
        if list(relay.analysis.free_vars(node)) != [param]:
            continue
        axis = str(node.attrs.data_layout).find("C")
        return _described(node, nodes, axis) if axis in (1, 3) else None
    return None


def _described(conv: Expr, nodes: Sequence[Expr], axis: int) -> First:
    """What is added to ``conv``, or normalises it, wherever one reader follows another."""
    channels, value, bias = shape_of(conv)[axis], conv, None
    while True:
        readers = [node for node in nodes if any(child == value for child in children(node))]
        if len(readers) != 1 or op_name(readers[0]) not in ("add", "nn.bias_add", "nn.batch_norm"):
            return First(conv, axis, bias)
        constants = [value_of(child) for child in readers[0].args]
        if op_name(readers[0]) == "nn.batch_norm":
            mean, variance = constants[3:5]
            return First(value, axis, None, mean, variance)
        known = [array for array in constants if array is not None and array.size == channels]
        if bias is not None or not known:
            return First(conv, axis, bias)
        value, bias = readers[0], known[0].reshape(-1)


def moments_of(first: First, param: relay.Var) -> Moments:
    """Compiles what ``first`` computes of pictures for ``param``."""
    runner = FloatRunner([param], [first.value], host_target(), fuse=False)
    axes = tuple(axis for axis in range(4) if axis != first.axis)
    dtype = str(param.checked_type.dtype)

    def moments(pictures: Sequence[Array]) -> tuple[Array, Array]:
        values = [
            next(iter(runner.run({param.name_hint: one.astype(dtype)}))).astype(np.float64)
            for one in pictures
        ]
        mean = np.mean([value.mean(axis=axes) for value in values], axis=0)
        square = np.mean([np.square(value).mean(axis=axes) for value in values], axis=0)
        return mean, square - mean**2

    return moments


def level_of(first: First, param: relay.Var) -> Level:
    """The values that the first convolution was trained for; see above."""
    shape = shape_of(param)
    made = [_drawn(shape, first.axis, number) for number in range(LOOKED_AT)]
    moments = moments_of(first, param)
    if first.mean is not None and first.variance is not None:
        return _matching(first, made, moments)
    if first.bias is None or not first.bias.any():
        return NORMALISED
    misfit = {}
    for level in (NORMALISED, BYTES):
        _, variance = moments([_levelled(one, level, first.axis) for one in made])
        live = (first.bias != 0.0) & (variance > 0.0)
        ratios = 0.5 * np.log(variance[live]) - np.log(np.abs(first.bias[live]))
        misfit[level is BYTES] = abs(float(np.median(ratios))) if live.any() else 0.0
    return BYTES if misfit[True] < misfit[False] else NORMALISED


def _matching(first: First, made: Sequence[Array], moments: Moments) -> Level:
    """The level at which the convolution has the batch norm's mean and variance."""
    shape, channels = made[0].shape, made[0].shape[first.axis]
    at_zero, _ = moments([np.zeros(shape)])
    columns = []
    for channel in range(channels):
        unit = np.zeros(shape)
        unit[(slice(None),) * first.axis + (channel,)] = 1.0
        columns.append(moments([unit])[0] - at_zero)
    middle = np.linalg.lstsq(np.stack(columns, axis=1), first.mean - at_zero, rcond=1e-3)[0]
    unit_level = Level(np.ones(1), -np.full(1, MIDDLE))
    _, variance = moments([_levelled(one, unit_level, first.axis) for one in made])
    assert first.variance is not None
    live = (variance > 0.0) & (first.variance > 0.0)
    if not live.any():
        return NORMALISED
    gain = np.exp(0.5 * float(np.median(np.log(first.variance[live] / variance[live]))))
    return Level(np.full(1, gain), middle - gain * MIDDLE)
