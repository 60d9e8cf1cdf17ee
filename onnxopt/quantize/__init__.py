"""Quantisation without graphs: types, ranges, statistics of tensors, rounding of weights.

The package has the name of a function of the API, ``onnxopt.quantize``. Importing a package makes it an attribute of the one around
it, in the function's place; so it can be called as the function can.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    def __call__(self, *args: Any, **options: Any) -> Any:
        """Calls `onnxopt.api.quantize`."""
        return importlib.import_module("onnxopt.api").quantize(*args, **options)


sys.modules[__name__].__class__ = _Callable
