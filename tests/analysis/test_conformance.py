"""Facts against the results that the onnx package's operator tests expect: no fact may contradict them.

Each model is taken in four forms: as it is, with all inputs but the first constant, with all inputs constant, and
with a symbol for each dimension of the inputs that stay.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from onnxopt.analysis.facts import Facts

from .harness import Check

FORMS = {"plain": 0.80, "first": 0.96, "constant": 0.97, "symbolic": 0.95, "all-symbolic": 0.80}
"""The forms, and the share of dimensions that must be known in each."""


@pytest.fixture(scope="module")
def cases() -> list[Any]:
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [case for case in load_model_tests(kind="node") if case.data_sets]


def _transform(proto: onnx.ModelProto, inputs: list[Any], form: str, sizes: dict[str, int]) -> None:
    """Makes inputs constant or their dimensions symbolic, noting the symbols' sizes."""
    for position, (value, array) in enumerate(zip(list(proto.graph.input), inputs, strict=False)):
        if not isinstance(array, np.ndarray | np.generic):
            continue
        stays = form in ("plain", "all-symbolic") or (form != "constant" and position == 0)
        if stays and form in ("symbolic", "all-symbolic"):
            shape = value.type.tensor_type.shape
            del shape.dim[:]
            for axis, size in enumerate(np.shape(array)):
                name = f"s{position}_{axis}"
                shape.dim.add(dim_param=name)
                sizes[name] = size
        elif not stays:
            try:
                tensor = onnx.numpy_helper.from_array(np.asarray(array), value.name)
            except (NotImplementedError, TypeError, KeyError):
                continue
            proto.graph.initializer.append(tensor)
            proto.graph.input.remove(value)


@pytest.mark.parametrize("form", FORMS)
def test_no_fact_contradicts_the_expected_results(cases: list[Any], form: str) -> None:
    check = Check()
    for case in cases:
        proto = onnx.ModelProto()
        proto.CopyFrom(case.model)
        inputs, outputs = case.data_sets[0]
        sizes: dict[str, int] = {}
        _transform(proto, inputs, form, sizes)
        model = ir.from_proto(proto)
        for value in model.graph.outputs:
            value.type, value.shape = None, None
        facts = Facts(model)
        before = len(check.faults)
        for value, array in zip(model.graph.outputs, outputs, strict=True):
            check.compare(facts, value, array, sizes)
        check.faults[before:] = [f"{case.name}: {fault}" for fault in check.faults[before:]]
    assert not check.faults, "\n".join(check.faults)
    known = check.checked / (check.checked + check.unknown)
    assert check.checked > 4000
    assert known >= FORMS[form], f"{known:.1%} of the dimensions are known"
