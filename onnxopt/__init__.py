"""onnxopt: a graph-level compiler over ONNX models, verified on the runtime.

The public names are imported when first used, so that ``import onnxopt`` and ``onnxopt --help`` stay
quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from . import _deferred

if TYPE_CHECKING:
    from .api import (
        Result,
        bisect,
        check,
        compare,
        convert,
        diff,
        inspect,
        load,
        optimize,
        quantize,
        save,
    )
    from .errors import (
        MismatchError,
        ModelError,
        OnnxoptError,
        RuntimeMissingError,
        UsageError,
    )

_deferred.install()

__version__ = "0.1.0"

_HOME = {
    **dict.fromkeys(
        (
            "Result",
            "bisect",
            "check",
            "compare",
            "convert",
            "diff",
            "inspect",
            "load",
            "optimize",
            "quantize",
            "save",
        ),
        "api",
    ),
    **dict.fromkeys(
        ("MismatchError", "ModelError", "OnnxoptError", "RuntimeMissingError", "UsageError"),
        "errors",
    ),
}
__all__ = [
    "MismatchError",
    "ModelError",
    "OnnxoptError",
    "Result",
    "RuntimeMissingError",
    "UsageError",
    "bisect",
    "check",
    "compare",
    "convert",
    "diff",
    "inspect",
    "load",
    "optimize",
    "quantize",
    "save",
]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{home}", __name__), name)
