"""The operator conformance suite: every case in three forms, optimised, run, compared."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx.backend.test.case.test_case import TestCase

import onnxopt

from .forms import FORMS, file_cases, in_form, model_of, node_cases, samples_of
from .running import CannotRun, assert_same, run_both

RANDOM = {
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
    "Bernoulli",
    "Multinomial",
}


def test_no_case_is_missing() -> None:
    """onnx 1.23 has 1,884 operator tests; newer versions have more."""
    assert len(node_cases()) >= 1884 or onnx.__version__ < "1.23"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", sorted(node_cases()))
def test_operator(name: str, form: str, tmp_path: Path) -> None:
    _check(node_cases()[name], form, tmp_path)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", sorted(file_cases()))
def test_small_model(name: str, form: str, tmp_path: Path) -> None:
    _check(file_cases()[name], form, tmp_path)


def _check(case: TestCase, form: str, folder: Path) -> None:
    for inputs, outputs in samples_of(case)[:1]:
        before, feeds = in_form(model_of(case), inputs, form)
        source, target = folder / "before.onnx", folder / "after.onnx"
        onnx.save(before, source)
        result = onnxopt.optimize(source, target, validate=False)
        assert not result.failures, result.failures
        assert not result.stats.errors, result.stats.errors
        after = onnx.load(target)
        _same_interface(before, after)
        try:
            expected, actual, backend = run_both(before, after, feeds)
        except CannotRun:
            _same_as_stored(before, after, outputs)
            continue
        if _is_random(before):
            expected = [_shape_only(e) for e in expected]
            actual = [_shape_only(a) for a in actual]
        assert_same(expected, actual, f"{case.name} ({form}, {backend})")


def _same_as_stored(before: onnx.ModelProto, after: onnx.ModelProto, outputs: object) -> None:
    """What nobody can run must come out as it went in, node for node."""
    assert [n.op_type for n in after.graph.node] == [n.op_type for n in before.graph.node], outputs


def _same_interface(before: onnx.ModelProto, after: onnx.ModelProto) -> None:
    initial = {i.name for i in before.graph.initializer}
    legacy = before.ir_version < 4
    wanted = [i for i in before.graph.input if not (legacy and i.name in initial)]
    assert list(after.graph.input) == wanted
    assert list(after.graph.output) == list(before.graph.output)
    assert opsets(after) == opsets(before)


def _is_random(model: onnx.ModelProto) -> bool:
    training = any(
        n.op_type == "Dropout" and len(n.input) > 2 and n.input[2] for n in model.graph.node
    )
    return training or any(n.op_type in RANDOM for n in model.graph.node)


def _shape_only(value: object) -> object:
    import numpy as np

    return np.asarray(np.asarray(value).shape)


def opsets(model: onnx.ModelProto) -> dict[str, int]:
    """Returns the opset versions a model imports, by domain."""
    return {o.domain: o.version for o in model.opset_import}
