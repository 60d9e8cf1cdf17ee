"""A sample of the operator conformance suite in float16: valid, runs, and close to the original."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import onnxopt
from onnxopt.io import to_proto

from .forms import in_form, model_of, node_cases, samples_of
from .running import CannotRun, run_both

_EVERY = 12
_BOTH_FLOAT = onnx.TensorProto.FLOAT


def _chosen() -> list[str]:
    """Every so many of the cases that have a float32 input."""
    floats = [
        name
        for name, case in sorted(node_cases().items())
        if case.model is not None
        and any(i.type.tensor_type.elem_type == _BOTH_FLOAT for i in case.model.graph.input)
    ]
    return floats[::_EVERY]


@pytest.mark.parametrize("name", _chosen())
def test_operator_in_half(name: str) -> None:
    case = node_cases()[name]
    before, feeds = in_form(model_of(case), samples_of(case)[0][0], "as-is")
    result = onnxopt.convert(before, validate=False)
    assert not result.failures
    after = to_proto(result.model)
    onnx.checker.check_model(after)
    assert [o.type for o in after.graph.output] == [o.type for o in before.graph.output]
    arrays = {k: np.asarray(v) if isinstance(v, np.generic) else v for k, v in feeds.items()}
    try:
        expected, actual, _ = run_both(before, after, arrays)
    except CannotRun as reason:
        pytest.skip(f"nothing here runs the original: {reason}"[:120])
    for want, got in zip(expected, actual, strict=True):
        if isinstance(want, np.ndarray) and want.dtype == np.float32:
            assert got.dtype == want.dtype
            assert got.shape == want.shape
            scale = np.abs(want[np.isfinite(want)]).max(initial=1e-3)
            np.testing.assert_allclose(got, want, rtol=3e-2, atol=2e-2 * scale)
