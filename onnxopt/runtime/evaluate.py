"""Evaluating a small model in this process: what constant folding uses.

One CPU thread, graph optimisations off, nothing logged: the result is what the plain kernels
compute, and the caller's process keeps its cores.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from onnxopt.runtime.sessions import load_onnxruntime, make_session, one_line
from onnxopt.runtime.tensors import run_session

if TYPE_CHECKING:
    import onnx


class EvaluationError(Exception):
    """onnxruntime could not evaluate the model; the message is its reason in one line."""


def run_small(model: onnx.ModelProto | bytes, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Run a small model once on the CPU.

    Args:
        model: the model, or its serialised bytes (under 2 GB, no external data).
        feeds: input name -> array; bfloat16, float8 and int4 as ml_dtypes arrays.

    Returns:
        One array an output, in graph order.

    Raises:
        EvaluationError: the model does not load or run, or an output is not a tensor.
        RuntimeMissingError: onnxruntime is not installed.
    """
    load_onnxruntime()
    try:
        raw = model if isinstance(model, bytes) else model.SerializeToString()
        session = make_session(raw, level="disabled", threads=1)
        results = run_session(session, feeds)
    # onnxruntime raises many unrelated classes (RuntimeError, ValueError, its own Fail, ...).
    except Exception as error:
        raise EvaluationError(one_line(error)) from error
    for result in results:
        if not isinstance(result, np.ndarray):
            raise EvaluationError(f"an output is a {type(result).__name__}, not a tensor")
    return results
