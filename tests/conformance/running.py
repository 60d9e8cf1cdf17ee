"""Runs a model on onnxruntime's CPU, or where that cannot, on onnx's reference evaluator."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx.reference import ReferenceEvaluator


class CannotRun(Exception):
    """Neither of the two can run the model."""


def on_runtime(model: onnx.ModelProto, feeds: dict[str, Any]) -> list[Any]:
    """Runs a model on onnxruntime's CPU with default optimisations."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    run = onnxruntime.RunOptions()
    run.log_severity_level = 4
    return list(session.run(None, {k: v for k, v in feeds.items() if v is not None}, run))


def on_reference(model: onnx.ModelProto, feeds: dict[str, Any]) -> list[Any]:
    """Runs a model on onnx's reference evaluator."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return list(ReferenceEvaluator(model).run(None, feeds))


def run_both(
    before: onnx.ModelProto, after: onnx.ModelProto, feeds: dict[str, Any]
) -> tuple[list[Any], list[Any], str]:
    """Runs the original and the optimised model on the first backend that runs the original.

    Raises:
        CannotRun: Neither backend runs the original.
        Exception: What the backend raises for the optimised model, where it runs the original.
    """
    reasons = []
    for backend in (on_runtime, on_reference):
        try:
            expected = backend(before, feeds)
        except Exception as error:
            reasons.append(f"{backend.__name__}: {error}")
            continue
        return expected, backend(after, feeds), backend.__name__
    raise CannotRun("; ".join(reasons))


def assert_same(expected: Any, actual: Any, where: str) -> None:
    """Compares outputs: types, shapes, exact values for integers and strings, close ones for floats."""
    if isinstance(expected, (list, tuple)):
        assert isinstance(actual, (list, tuple)), where
        assert len(expected) == len(actual), where
        for index, (e, a) in enumerate(zip(expected, actual, strict=True)):
            assert_same(e, a, f"{where}[{index}]")
        return
    if isinstance(expected, dict):
        assert isinstance(actual, dict), where
        assert expected.keys() == actual.keys(), where
        for key, value in expected.items():
            assert_same(value, actual[key], f"{where}[{key}]")
        return
    if expected is None:
        assert actual is None, where
        return
    want, got = np.asarray(expected), np.asarray(actual)
    assert got.dtype == want.dtype, f"{where}: {got.dtype} for {want.dtype}"
    assert got.shape == want.shape, f"{where}: {got.shape} for {want.shape}"
    if want.dtype.kind in "fc" and want.dtype.itemsize >= 2:
        loose = {2: 2e-3, 4: 1e-5, 8: 1e-7}.get(want.dtype.itemsize, 1e-5)
        np.testing.assert_allclose(got, want, rtol=loose, atol=loose, equal_nan=True, err_msg=where)
    elif want.dtype.name == "bfloat16":
        # Its unit in the last place is 2**-8; what the runtime computes in float32 is rounded later.
        got, want = got.astype(np.float64), want.astype(np.float64)
        np.testing.assert_allclose(got, want, rtol=2e-2, atol=1e-3, equal_nan=True, err_msg=where)
    elif want.dtype.kind == "V" or want.dtype.name.startswith(("bfloat", "float8", "float4")):
        np.testing.assert_array_equal(
            got.astype(np.float64), want.astype(np.float64), err_msg=where
        )
    else:
        np.testing.assert_array_equal(got, want, err_msg=where)
