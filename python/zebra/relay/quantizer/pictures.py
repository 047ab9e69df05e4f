"""Pictures of no thing, with the statistics of photographs.

Dead leaves (Lee, Mumford and Huang 2001): opaque ellipses and rectangles of power-law
sizes, later ones before earlier ones, as objects hide each other; inside each, noise
whose amplitude falls with frequency as 1/f. What networks learn from such pictures
carries over to photographs (Baradad et al. 2021, arXiv 2106.05963); here, the layers
of a network that learned from photographs meet about the values that these give.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

LEAVES = 160
SMALLEST, LARGEST = 0.02, 0.5
"""Radius of a leaf as a share of the picture's longer side."""

Array = npt.NDArray[Any]
Random = np.random.Generator


def picture(rng: Random, channels: int, height: int, width: int) -> Array:
    """[channels, height, width] float64 with values from 0 to 1."""
    colours = _colours(rng, channels, LEAVES)
    strength = rng.uniform(0.02, 0.25, LEAVES)
    textures = [_texture(rng, channels, height, width) for _ in range(3)]
    result = colours[0][:, None, None] + strength[0] * textures[0]
    rows, columns = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)[None, :]
    for number in range(1, LEAVES):
        place, inside = _leaf(rng, height, width)
        down, across = rng.normal(0.0, 0.15, 2)
        shade = down * rows[place[0]] + across * columns[:, place[1]]
        texture = strength[number] * textures[number % len(textures)][(slice(None), *place)]
        leaf = colours[number][:, None, None] + shade + texture
        result[(slice(None), *place)] = np.where(inside, leaf, result[(slice(None), *place)])
    return np.asarray(np.clip(result, 0.0, 1.0))


def _colours(rng: Random, channels: int, count: int) -> Array:
    """[count, channels]: mostly brightness, some colour; darker more often than brighter."""
    brightness = rng.beta(1.1, 1.2, (count, 1))
    middle = rng.beta(5.0, 5.5)
    contrast = rng.uniform(0.5, 1.0)
    tint = rng.normal(0.0, 0.08, (1, channels)) + rng.normal(0.0, 0.12, (count, channels))
    return middle + contrast * (brightness - 0.48) + (tint if channels > 1 else 0.0)


def _texture(rng: Random, channels: int, height: int, width: int) -> Array:
    """[channels, height, width] of standard deviation 1, alike in all channels, 1/f."""
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :]
    frequency = np.maximum(np.hypot(rows, columns), 1.0 / max(height, width))
    common = rng.standard_normal((1, height, width))
    noise = common + 0.3 * rng.standard_normal((channels, height, width))
    spectrum = np.fft.rfft2(noise) / frequency ** rng.uniform(0.5, 1.5)
    spectrum[:, 0, 0] = 0.0
    made = np.fft.irfft2(spectrum, (height, width))
    return np.asarray(made / max(float(made.std()), 1e-9))


def _leaf(rng: Random, height: int, width: int) -> tuple[tuple[slice, slice], Array]:
    """An ellipse or a rectangle of any angle: the box around it, which pixels of it it covers."""
    low, high = SMALLEST**-2.0, LARGEST**-2.0
    radius = max(height, width) * rng.uniform(high, low) ** -0.5
    angle, flat = rng.uniform(0.0, np.pi), rng.uniform(0.3, 1.0)
    middles = rng.uniform(0.0, height), rng.uniform(0.0, width)
    reach = math.ceil(1.2 * radius)
    place = [slice(max(0, int(middle) - reach), int(middle) + reach + 1) for middle in middles]
    y = np.arange(height)[place[0], None] - middles[0]
    x = np.arange(width)[None, place[1]] - middles[1]
    along = (x * np.cos(angle) + y * np.sin(angle)) / radius
    across = (y * np.cos(angle) - x * np.sin(angle)) / (radius * flat)
    if rng.uniform() < 0.5:
        return (place[0], place[1]), along**2 + across**2 < 1.0
    return (place[0], place[1]), np.maximum(np.abs(along), np.abs(across)) < 0.8
