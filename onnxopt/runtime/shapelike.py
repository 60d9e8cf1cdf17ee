"""Values for inputs that say how large something is, or where: shapes, axes, repeats, scales, flags.

Each is small and legal whatever the data beside it is, and uses the shape of that data where it is known.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from onnxopt.runtime.facts import Facts, size_of

Data = list[int] | None
"""The concrete shape of the data beside the value, where known."""


def draw(
    facts: Facts, shape: tuple[int, ...], dtype: str, sizes: Mapping[str, int], variant: int
) -> np.ndarray:
    """Draw a value for a shape-like role.

    Args:
        facts: what the graph does with the input; ``facts.role`` is a key of `ROLES`.
        shape: the shape of the input itself, rank 0 or 1.
        dtype: its element type.
        sizes: symbol -> size.
        variant: 0 is the plainest.

    Returns:
        An array of ``shape`` (the caller converts to ``dtype``).
    """
    count = math.prod(shape)
    data: Data = None
    if facts.operand is not None:
        known = [size_of(dim, sizes) for dim in facts.operand]
        data = [size for size in known if size is not None]
        data = data if len(data) == len(known) else None
    values = ROLES[facts.role](count, data, variant)
    if facts.role.startswith("range") and dtype.startswith("float"):
        values = [value + 0.5 for value in values]
    return np.asarray(values, dtype=np.float64).reshape(shape)


def _reshape(count: int, data: Data, variant: int) -> list[float]:
    if data is not None and len(data) == count and variant % 2 == 0:
        return [float(size) for size in data]
    return [1.0] * (count - 1) + [-1.0] * min(count, 1)


def _expand(count: int, data: Data, variant: int) -> list[float]:
    if data is None or variant % 2 or len(data) > count:
        return [1.0] * count
    padded = [2] * (count - len(data)) + data
    return [float(size if size != 1 else 2) for size in padded]


def _repeats(count: int, data: Data, variant: int) -> list[float]:  # noqa: ARG001
    return [1.0 + (axis + variant) % 2 for axis in range(count)]


def _new_dims(count: int, data: Data, variant: int) -> list[float]:  # noqa: ARG001
    return [2.0 + (axis + variant) % 3 for axis in range(count)]


def _sizes(count: int, data: Data, variant: int) -> list[float]:
    if data is None or len(data) != count:
        return [2.0 + axis for axis in range(count)]
    grown = (2, 3, 1)[variant % 3]
    return [float(size if axis < 2 else size * grown) for axis, size in enumerate(data)]


def _scales(count: int, data: Data, variant: int) -> list[float]:  # noqa: ARG001
    return [
        1.0 if axis < 2 and count > 2 else (2.0, 1.5, 1.0)[variant % 3] for axis in range(count)
    ]


def _starts(count: int, data: Data, variant: int) -> list[float]:  # noqa: ARG001
    return [float(variant % 2)] * count


def _ends(count: int, data: Data, variant: int) -> list[float]:
    if data is None or len(data) != count:
        return [float((2**31 - 1, 3)[variant % 2])] * count
    return [float(max(size - variant % 3, 1)) for size in data]


def _axes(count: int, data: Data, variant: int) -> list[float]:
    if data is not None and variant == 0 and data.count(1) >= count:
        return [float(axis) for axis, size in enumerate(data) if size == 1][:count]
    return [float(axis) for axis in range(count)]


def _pads(count: int, data: Data, variant: int) -> list[float]:  # noqa: ARG001
    return [float((axis + variant) % 2) for axis in range(count)]


def _split(count: int, data: Data, variant: int) -> list[float]:  # noqa: ARG001
    total = data[0] if data else count
    return [float(total // count + (1 if axis < total % count else 0)) for axis in range(count)]


def _each(*options: float) -> Callable[[int, Data, int], list[float]]:
    def role(count: int, data: Data, variant: int) -> list[float]:  # noqa: ARG001
        return [float(options[variant % len(options)])] * count

    return role


ROLES: dict[str, Callable[[int, Data, int], list[float]]] = {
    "reshape": _reshape,
    "expand": _expand,
    "repeats": _repeats,
    "dims": _new_dims,
    "sizes": _sizes,
    "scales": _scales,
    "roi": _each(0.0, 0.25),
    "starts": _starts,
    "ends": _ends,
    "steps": _each(1, 2),
    "axes": _axes,
    "pads": _pads,
    "k": _each(1, 2),
    "split": _split,
    "range-start": _each(0, 1, -2),
    "range-limit": _each(5, 8, 3),
    "trip": _each(3, 1, 0, 5),
    "condition": _each(1, 0, 1),
}
