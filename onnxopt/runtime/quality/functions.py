"""The user's own metric: a function ``module:function`` of what the reference and the other model returned."""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from onnxopt.errors import UsageError

Outputs = Sequence[Mapping[str, np.ndarray]]
"""Outputs by name, a mapping a sample."""


class Metric:
    """A function of the user's; a larger value is better.

    Args:
        text: ``module:function``.
        folder: where the module is looked for first; '' for none.

    Raises:
        UsageError: there is no such function.
    """

    def __init__(self, text: str, folder: str = "") -> None:
        self.text = text
        module, _, name = text.rpartition(":")
        if folder and folder not in sys.path:
            sys.path.insert(0, folder)
        try:
            found: Any = importlib.import_module(module)
        except Exception as error:  # whatever the user's module raises
            raise UsageError(f"{text}: cannot import {module!r}: {_told(error)}") from error
        for part in name.split("."):
            found = getattr(found, part, None)
        if not callable(found):
            raise UsageError(f"{text}: module {module!r} has no function {name!r}")
        self._function = found

    def __call__(self, reference: Outputs, other: Outputs) -> float:
        """The value for a model.

        Raises:
            UsageError: the function raises, or gives no number.
        """
        try:
            value = float(self._function(list(reference), list(other)))
        except Exception as error:
            raise UsageError(f"{self.text}: {_told(error)}") from error
        if math.isnan(value):
            raise UsageError(f"{self.text}: gave NaN: it must return a number")
        return value


def _told(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
