"""Synthetic images with structure: soft light, blobs and stripes, of contrast and brightness that vary.

White noise and zeros make poor samples: after the first layers all of one kind look alike, so ranges chosen on them are met
by every later sample and no method can be told from another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
_BLOBS = 4
_GRAIN = 0.1


def picture(shape: Sequence[int], rng: np.random.Generator) -> Array:
    """Draw one image.

    Args:
        shape: Its channels, height and width.
        rng: Source of randomness.

    Returns:
        float32 of that shape, as normalised images are: mostly within -2.5 and 2.5.
    """
    channels, height, width = shape
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    canvas = np.stack([_light(rng, height, width) for _ in range(channels)])
    for _ in range(int(rng.integers(1, _BLOBS + 1))):
        canvas += rng.normal(0, 1, (channels, 1, 1)) * _blob(rng, y, x)
    canvas += rng.normal(0, 0.5, (channels, 1, 1)) * _stripes(rng, y, x)
    contrast, brightness = rng.uniform(0.3, 1.2), rng.normal(0, 0.5)
    canvas = contrast * canvas + brightness + _GRAIN * rng.standard_normal(canvas.shape)
    return canvas.clip(-2.5, 2.5).astype(np.float32)


def _light(rng: np.random.Generator, height: int, width: int) -> Array:
    """Noise of a few pixels, drawn large: bilinear interpolation, an axis at a time."""
    cells = int(rng.integers(3, 9))
    coarse = rng.standard_normal((cells, cells))
    tall = _stretched(coarse, height)
    return _stretched(tall.T, width).T


def _stretched(rows: Array, count: int) -> Array:
    place = np.linspace(0, len(rows) - 1, count)
    low = np.minimum(place.astype(int), max(len(rows) - 2, 0))
    part = (place - low)[:, None]
    return np.asarray(rows[low] * (1 - part) + rows[np.minimum(low + 1, len(rows) - 1)] * part)


def _blob(rng: np.random.Generator, y: Array, x: Array) -> Array:
    """An ellipse with a soft edge."""
    top, left = rng.uniform(0.1, 0.9, 2)
    tall, wide = rng.uniform(0.05, 0.4, 2)
    distance = np.hypot((y - top) / tall, (x - left) / wide)
    return np.asarray(1 / (1 + np.exp(np.clip(12 * (distance - 1), -50, 50))))


def _stripes(rng: np.random.Generator, y: Array, x: Array) -> Array:
    angle, pace = rng.uniform(0, np.pi), rng.uniform(4, 40)
    return np.asarray(np.sin(pace * (np.cos(angle) * x + np.sin(angle) * y)))
