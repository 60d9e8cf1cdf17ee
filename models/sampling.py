"""Signed, valid, seeded sample inputs for a reference model, without torch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from models.spec import Array, InputSpec, dim_size


def draw(spec: InputSpec, sizes: Mapping[str, int], rng: np.random.Generator) -> Array:
    """One array for ``spec``: signed for values, in range for indices.

    Args:
        spec: The graph input.
        sizes: Size of each symbolic dim.
        rng: Source of randomness.

    Returns:
        An array of ``spec.dtype``. Masks are 1 with a run of 0 in the padding of every second
        row; positions count from the number of cached positions (dim ``past``, if there is one).
    """
    shape = tuple(dim_size(d, sizes) for d in spec.shape)
    if spec.kind == "normal":
        return rng.standard_normal(shape).astype(np.float32)
    if spec.kind in ("ids", "segments"):
        return rng.integers(0, spec.high, shape, dtype=np.int64)
    if spec.kind == "positions":
        start = sizes.get("past", 0)
        return np.broadcast_to(np.arange(start, start + shape[-1]), shape).astype(np.int64)
    return _mask(shape, left="past" in sizes, limit=sizes.get("past", shape[-1] - 1))


def _mask(shape: tuple[int, ...], *, left: bool, limit: int) -> Array:
    """A padding mask. Decoders pad on the left and inside the cache, so no row is all masked."""
    mask = np.ones(shape, dtype=np.int64)
    padding = min(max(1, shape[-1] // 4), limit)
    if left:
        mask[1::2, :padding] = 0
    elif padding:
        mask[1::2, -padding:] = 0
    return mask
