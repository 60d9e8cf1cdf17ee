"""Outputs of a session without copying them: what is only looked at once need not be moved.

``InferenceSession.run`` copies each output into a new array. An ``OrtValue`` keeps it where it was computed, and
an array can be laid over that memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from onnxopt.errors import ModelError, OnnxoptError
from onnxopt.runtime.sessions import one_line
from onnxopt.runtime.tensors import extended_dtype, run_session, to_ort_value

FLOAT_TYPES = ("tensor(float)", "tensor(float16)", "tensor(double)", "tensor(bfloat16)")
_DTYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(double)": "float64"}


@contextmanager
def telling(where: str) -> Iterator[None]:
    """Tell with the sample's place what a run raises.

    Raises:
        ModelError: the run did.
    """
    try:
        yield
    except OnnxoptError:
        raise
    except Exception as error:  # onnxruntime raises many unrelated classes
        why = one_line(error)
        raise ModelError(f"{where}: the model does not run on it: {why}") from error


@contextmanager
def fetched(
    session: Any, names: Sequence[str], feed: Mapping[str, Any]
) -> Iterator[dict[str, np.ndarray]]:
    """Run a session.

    Args:
        session: an ``onnxruntime.InferenceSession``.
        names: all its outputs, in order.
        feed: inputs by name.

    Yields:
        The outputs; none may be used after the context, except copies.
    """
    if not all(isinstance(value, np.ndarray) and value.dtype != object for value in feed.values()):
        yield dict(zip(names, run_session(session, feed), strict=True))
        return
    given = {name: to_ort_value(value) for name, value in feed.items()}
    values = session.run_with_ort_values(list(names), given)
    arrays = {name: overlay(value) for name, value in zip(names, values, strict=True)}
    try:
        yield arrays
    finally:
        arrays.clear()  # the memory goes back before the next run asks for as much


def overlay(value: Any) -> np.ndarray:
    """An array over the memory of an ``OrtValue`` of floats, which it keeps alive; others are copied."""
    kind = value.data_type() if value.is_tensor() else ""
    if kind not in FLOAT_TYPES or value.device_name().lower() != "cpu":
        return np.asarray(value.numpy())
    shape = tuple(value.shape())
    if 0 in shape:
        return np.zeros(shape, _DTYPES.get(kind, "float32"))
    if kind in _DTYPES:
        return np.asarray(_Memory(value, shape, np.dtype(_DTYPES[kind])))
    return np.asarray(_Memory(value, shape, np.dtype(np.uint16))).view(extended_dtype("bfloat16"))


class _Memory:
    """What numpy makes an array over without copying: its array interface, version 3."""

    def __init__(self, value: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._value = value
        self.__array_interface__ = {
            "version": 3,
            "data": (value.data_ptr(), False),
            "shape": shape,
            "typestr": dtype.str,
        }
