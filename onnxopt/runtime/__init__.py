"""All contact with onnxruntime: providers, evaluation, inputs, comparison, validation.

Importing this package imports neither onnxruntime nor onnx: each public name is loaded from its
module at first use, because onnxruntime is an optional extra and ``onnxopt --help`` must start fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnxopt.runtime.compare import OutputDiff, compare_outputs
    from onnxopt.runtime.evaluate import EvaluationError, run_small
    from onnxopt.runtime.inputs import generate
    from onnxopt.runtime.providers import available, resolve
    from onnxopt.runtime.samples import load
    from onnxopt.runtime.validate import compare, validate
    from onnxopt.runtime.validation import Validation

_HOME = {
    "EvaluationError": "evaluate",
    "OutputDiff": "compare",
    "Validation": "validation",
    "available": "providers",
    "compare": "validate",
    "compare_outputs": "compare",
    "generate": "inputs",
    "load": "samples",
    "resolve": "providers",
    "run_small": "evaluate",
    "validate": "validate",
}

__all__ = [
    "EvaluationError",
    "OutputDiff",
    "Validation",
    "available",
    "compare",
    "compare_outputs",
    "generate",
    "load",
    "resolve",
    "run_small",
    "validate",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
