"""Running a candidate whose inputs and outputs have another float type than the original's.

The same numbers go in, rounded to the types the candidate takes, and what comes out is compared in the original's types.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from onnxopt.runtime.tensors import extended_dtype

_SHORT = {"tensor(float16)": "float16", "tensor(bfloat16)": "bfloat16"}
_FLOATS = ("float16", "bfloat16", "float32")


def shortened(feed: Mapping[str, Any], types: Mapping[str, str]) -> dict[str, Any]:
    """Rounds float32 arrays for the inputs that take a shorter type.

    Args:
        feed: input name -> array.
        types: input name -> type as onnxruntime writes it.
    """
    return {
        name: _shortened(value, _SHORT.get(types.get(name, ""))) for name, value in feed.items()
    }


def _shortened(value: Any, to: str | None) -> Any:
    if to is None or not isinstance(value, np.ndarray) or value.dtype != np.float32:
        return value
    with np.errstate(over="ignore"):
        return value.astype(np.float16 if to == "float16" else extended_dtype(to))


def widened(outputs: Mapping[str, Any], like: Mapping[str, Any]) -> dict[str, Any]:
    """Gives the outputs of a shorter float type the type of the original's.

    Args:
        outputs: output name -> what the candidate returned.
        like: output name -> what the original returned.
    """
    return {name: _widened(value, like.get(name)) for name, value in outputs.items()}


def _widened(value: Any, like: Any) -> Any:
    arrays = isinstance(value, np.ndarray) and isinstance(like, np.ndarray)
    if not arrays or value.dtype == like.dtype or like.dtype != np.float32:
        return value
    return value.astype(np.float32) if value.dtype.name in _FLOATS else value
