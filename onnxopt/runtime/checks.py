"""Does a sample fit the model: names, element types, ranks, sizes, and equal symbols."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from onnxopt.errors import UsageError
from onnxopt.runtime.facts import InputSpec
from onnxopt.runtime.feedio import Feed
from onnxopt.runtime.tensors import extended_dtype, is_extended


def check_feed(
    where: str, feed: Feed, specs: Sequence[InputSpec], optional: set[str | None]
) -> None:
    """Check one sample, and give raw 2-byte and 1-byte arrays the extended type of their input.

    Args:
        where: file (and sample) for messages.
        feed: the sample; changed in place only as said above.
        specs: the inputs that must be fed.
        optional: names of inputs that have an initializer and may be fed.

    Raises:
        UsageError: names the file, the input, and what is wrong.
    """
    names = [spec.name for spec in specs]
    for name in feed:
        if name not in names and name not in optional:
            raise UsageError(
                f"{where}: the model has no input {name!r} (it has {', '.join(names)})"
            )
    sizes: dict[str, tuple[int, str]] = {}
    for spec in specs:
        if spec.name not in feed:
            if spec.kind.startswith("optional"):
                feed[spec.name] = None
                continue
            raise UsageError(f"{where}: input {spec.name!r} is missing")
        feed[spec.name] = _typed(feed[spec.name], spec)
        _check_value(f"{where}: input {spec.name!r}", feed[spec.name], spec, sizes)


def _typed(value: Any, spec: InputSpec) -> Any:
    """numpy writes bfloat16 and float8 as raw bytes ('V2', 'V1'): give them their type back."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "V" and not is_extended(value.dtype):
        try:
            dtype = extended_dtype(spec.dtype)
        except AttributeError:
            return value
        if dtype.itemsize == value.dtype.itemsize:
            return value.view(dtype)
    return value


def _check_value(
    where: str, value: Any, spec: InputSpec, sizes: dict[str, tuple[int, str]]
) -> None:
    if value is None and spec.kind.startswith("optional"):
        return
    if spec.kind.endswith("sequence"):
        if not isinstance(value, list):
            raise UsageError(f"{where}: the model expects a sequence of tensors")
        for item in value:
            _check_dtype(where, item, spec)
        return
    _check_dtype(where, value, spec)
    _check_shape(where, value, spec, sizes)


def _check_dtype(where: str, value: Any, spec: InputSpec) -> None:
    if not isinstance(value, np.ndarray):
        raise UsageError(f"{where}: not an array")
    got = "str" if value.dtype.kind in "OUS" else value.dtype.name
    if got != spec.dtype:
        raise UsageError(f"{where}: is {got}, the model expects {spec.dtype}: convert it first")


def _check_shape(
    where: str, value: np.ndarray, spec: InputSpec, sizes: dict[str, tuple[int, str]]
) -> None:
    if spec.shape is None:
        return
    expected = "[" + ", ".join("?" if str(d).startswith("?") else str(d) for d in spec.shape) + "]"
    if value.ndim != len(spec.shape):
        raise UsageError(
            f"{where}: has shape {list(value.shape)}, the model expects rank {len(spec.shape)},"
            f" {expected}"
        )
    for got, dim in zip(value.shape, spec.shape, strict=True):
        if isinstance(dim, int) and got != dim:
            raise UsageError(
                f"{where}: has shape {list(value.shape)}, the model expects {expected}"
            )
        if isinstance(dim, str) and dim.isidentifier():
            size, other = sizes.setdefault(dim, (got, spec.name))
            if size != got:
                raise UsageError(
                    f"{where}: dim {dim!r} is {got} here and {size} in input {other!r}"
                )
