"""Drawing the values of one input from what is known of its use.

Floats are signed and come in several scales, with exact zeros and outliers; integers respect the ranges
the graph demands; masks, lengths, shapes and flags look like what they are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from onnxopt.runtime import shapelike
from onnxopt.runtime.facts import Bound, InputSpec, size_of
from onnxopt.runtime.tensors import extended_dtype

_WORDS = ["a", "Hello World", "", "ünïcode", "0", "-1.5", "the quick brown fox", "a"]
_SMALL_INTS = ((0, 10), (-5, 10), (0, 2), (-128, 127), (1, 4))
MAX_ELEMENTS = 1 << 27


class CannotDraw(Exception):
    """No sensible value exists under these sizes; the message says why."""


def draw(spec: InputSpec, sizes: Mapping[str, int], variant: int, rng: np.random.Generator) -> Any:
    """Draw a value for one input.

    Args:
        spec: the input.
        sizes: symbol -> size.
        variant: which flavour: 0 is the plainest, others vary scale, masks, flags, choices.
        rng: source of randomness.

    Returns:
        An ndarray of the spec's dtype; a list for sequences; None for an absent optional.

    Raises:
        CannotDraw: a size is negative, or the array would be absurdly large.
    """
    if spec.kind.startswith("optional"):
        if variant % 2:
            return None
        inner = spec.kind.removeprefix("optional").lstrip("-") or "tensor"
        return draw(replace(spec, kind=inner), sizes, variant, rng)
    if spec.kind == "sequence":
        length = (2, 3, 1)[variant % 3]
        return [_tensor(spec, sizes, variant, rng) for _ in range(length)]
    return _tensor(spec, sizes, variant, rng)


def concrete_shape(spec: InputSpec, sizes: Mapping[str, int]) -> tuple[int, ...]:
    """The shape of an input under given sizes.

    Raises:
        CannotDraw: a dim is unknown or negative, or there are too many elements.
    """
    if spec.shape is None:
        return (2, 3, 4, 5)[: sizes.get(f"?rank.{spec.name}", 2)]
    shape = [size_of(dim, sizes) for dim in spec.shape]
    if any(size is None or size < 0 for size in shape):
        raise CannotDraw(f"input {spec.name!r} would have shape {shape}")
    known = tuple(size for size in shape if size is not None)
    if math.prod(known) > MAX_ELEMENTS:
        raise CannotDraw(f"input {spec.name!r} of shape {list(known)} is too large to generate")
    return known


def _tensor(
    spec: InputSpec, sizes: Mapping[str, int], variant: int, rng: np.random.Generator
) -> np.ndarray:
    shape = concrete_shape(spec, sizes)
    values = _values(spec, shape, sizes, variant, rng)
    if spec.dtype == "str":
        return np.asarray(values, dtype=object).reshape(shape)
    return np.asarray(cast(np.asarray(values), spec.dtype)).reshape(shape)


def cast(values: np.ndarray, dtype: str) -> np.ndarray:
    """Convert to a dtype by name, clipping to what an integer type can hold."""
    if dtype == "bool":
        return values.astype(bool)
    try:
        target: np.dtype[Any] = np.dtype(dtype)
    except TypeError:
        target = extended_dtype(dtype)
    if target.kind in "iu" and values.dtype.kind != "O":
        info = np.iinfo(target)
        values = np.clip(np.rint(values.astype(np.float64)), float(info.min), float(info.max))
        if target.itemsize == 8:  # float64 rounds the largest int64 up, out of range
            values = np.clip(values, -(2.0**62), 2.0**62)
    elif dtype in ("int4", "int2"):
        limit = 8 if dtype == "int4" else 2
        values = np.clip(np.rint(values), -limit, limit - 1)
    elif dtype in ("uint4", "uint2"):
        values = np.clip(np.rint(np.abs(values)), 0, 15 if dtype == "uint4" else 3)
    elif dtype == "float8_e8m0fnu":
        values = np.abs(values) + 1.0
    converted: np.ndarray = values.astype(target)
    return converted


def _values(
    spec: InputSpec,
    shape: tuple[int, ...],
    sizes: Mapping[str, int],
    variant: int,
    rng: np.random.Generator,
) -> Any:
    facts = spec.facts
    if spec.dtype == "str":
        known = facts.strings  # as likely, all together, as the other words
        words = known * -(-len(_WORDS) // max(len(known), 1)) + _WORDS
        return [words[int(i)] for i in rng.integers(0, len(words), math.prod(shape))]
    if facts.role in shapelike.ROLES and len(shape) <= 1:
        return shapelike.draw(facts, shape, spec.dtype, sizes, variant)
    if facts.role == "additive-mask":
        return (_mask(shape, variant, rng) - 1) * 1e4
    if _is_mask(spec):
        return _mask(shape, variant, rng)
    if spec.dtype == "bool":
        return rng.random(shape) < 0.5
    if facts.bounds or facts.unknown_bound:
        return _indices(spec, shape, sizes, variant, rng)
    if facts.choices:
        return _choices(facts.choices, shape, spec.dtype, variant, rng)
    if facts.thresholds and not _is_float(spec):
        return _around(facts.thresholds, shape, rng)
    if _is_float(spec):
        return _floats(shape, facts.domain, spec.dtype, variant, rng)
    return _integers(spec, shape, variant, rng)


def _is_float(spec: InputSpec) -> bool:
    return spec.dtype.startswith(("float", "bfloat", "complex"))


def _is_mask(spec: InputSpec) -> bool:
    if spec.facts.bounds or spec.facts.unknown_bound or spec.facts.choices:
        return spec.facts.role == "mask" and spec.dtype == "bool"
    return spec.facts.role == "mask" or "mask" in spec.name.lower()


def _mask(shape: tuple[int, ...], variant: int, rng: np.random.Generator) -> np.ndarray:
    """Ones; then leading ones of random length; then random: no row is ever all zero."""
    if variant % 3 == 0 or not shape or shape[-1] == 0:
        return np.ones(shape)
    if variant % 3 == 1:
        lengths = rng.integers(1, shape[-1] + 1, shape[:-1])
        return (np.arange(shape[-1]) < lengths[..., None]).astype(np.float64)
    mask = rng.random(shape) < 0.5
    mask[..., 0] |= ~mask.any(axis=-1)
    return mask.astype(np.float64)


def interval(bounds: list[Bound], sizes: Mapping[str, int]) -> tuple[int, int] | None:
    """The smallest and largest value within all bounds whose size is known, if any is."""
    low, high, known = 0, 2**31, False
    for bound in bounds:
        size = size_of(bound.size, sizes)
        if size is None or not bound.scale:
            continue
        known = True
        top = size if bound.inclusive else size - 1
        ends = sorted(
            ((bound.least - bound.offset) / bound.scale, (top - bound.offset) / bound.scale)
        )
        low, high = max(low, math.ceil(ends[0])), min(high, math.floor(ends[1]))
    return (low, max(low, high)) if known else None


def _indices(
    spec: InputSpec,
    shape: tuple[int, ...],
    sizes: Mapping[str, int],
    variant: int,
    rng: np.random.Generator,
) -> np.ndarray:
    limits = interval(spec.facts.bounds, sizes)
    if limits is None:
        return np.zeros(shape)
    low, high = limits
    if any(bound.inclusive for bound in spec.facts.bounds) and variant == 0:
        return np.full(shape, high)  # lengths: full first
    if "position" in spec.name.lower() and shape:
        return np.broadcast_to(np.minimum(np.arange(shape[-1]) + low, high), shape).copy()
    values = rng.integers(low, high + 1, shape)
    compared = [int(c) for c in spec.facts.choices if low <= c <= high]
    if compared and values.size:
        chosen = rng.choice(compared, shape)
        values = np.where(rng.random(shape) < 0.15, chosen, values)
    return np.asarray(values)


def _choices(
    choices: list[float], shape: tuple[int, ...], dtype: str, variant: int, rng: np.random.Generator
) -> np.ndarray:
    """Each constant in turn for a scalar, then something else; a mixture for a tensor."""
    if math.prod(shape) == 1:
        others = (choices[0] // 2, choices[0] + 1, *(max(choices) + n for n in (1, 2)))
        options = [*choices, next(value for value in others if value not in choices)]
        return np.full(shape, options[variant % len(options)])
    other = (
        rng.standard_normal(shape) * 2 if dtype.startswith("float") else rng.integers(0, 10, shape)
    )
    return np.where(rng.random(shape) < 0.5, rng.choice(choices, shape), other)


def _around(
    thresholds: list[float], shape: tuple[int, ...], rng: np.random.Generator
) -> np.ndarray:
    return np.asarray(rng.choice(thresholds, shape) + rng.integers(-2, 3, shape))


def _floats(
    shape: tuple[int, ...], domain: str, dtype: str, variant: int, rng: np.random.Generator
) -> np.ndarray:
    """Unit normal; ten times that; small with exact zeros; with outliers; positive."""
    values = rng.standard_normal(shape)
    style = variant % 5
    if style == 1:
        values = values * 10
    elif style == 2:
        values = np.where(rng.random(shape) < 0.2, 0.0, values * 0.01)
    elif style == 3:
        values = np.where(rng.random(shape) < 0.02, values * 100, values)
    elif style == 4:
        values = np.abs(values) * 3
    if dtype.startswith("complex"):
        return values + 1j * rng.standard_normal(shape)
    match domain:
        case "positive":
            return np.abs(values) + 1e-2
        case "unit":
            return np.abs(np.tanh(values)) * 0.9
        case "signed-unit":
            return np.tanh(values) * 0.99
        case "nonzero":
            return np.where(np.abs(values) < 1e-2, 0.5, values)
    return np.asarray(values)


def _integers(
    spec: InputSpec, shape: tuple[int, ...], variant: int, rng: np.random.Generator
) -> np.ndarray:
    """The whole range for 8-bit types (images, codes), small signed numbers otherwise."""
    if "position" in spec.name.lower() and shape:
        return np.broadcast_to(np.arange(shape[-1]), shape).copy()
    if spec.dtype in ("uint8", "int8"):
        info = np.iinfo(spec.dtype)
        low, high = int(info.min), int(info.max)
    else:
        low, high = _SMALL_INTS[variant % len(_SMALL_INTS)]
    if spec.dtype.startswith("uint") or spec.facts.domain in ("positive", "nonzero"):
        low = max(low, 1 if spec.facts.domain else 0)
    return rng.integers(low, high + 1, shape)
