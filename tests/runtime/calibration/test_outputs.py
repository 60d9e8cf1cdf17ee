"""Choosing and exposing values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from onnxopt.errors import UsageError
from onnxopt.io import load, save
from onnxopt.runtime.calibration import outputs
from onnxopt.runtime.sessions import make_session

Loader = Callable[..., ir.Model]

BRANCHES = """<ir_version: 8, opset_import: ["": 17]>
g (float[N, 3] x, bool c) => (float[N, 3] y) <float[3] w = {1, 2, 3}>
{ a = Mul(x, w)
  s = Shape(a)
  b = If(c) <then_branch = t () => (float[N, 3] u) { u = Neg(a) },
             else_branch = e () => (float[N, 3] v) { v = Abs(a) }>
  y = Relu(b) }"""


def test_an_unknown_value(parse: Loader) -> None:
    with pytest.raises(UsageError, match="no value 'nothing' to observe"):
        outputs.choose(parse(BRANCHES), ["a", "nothing"])


def test_what_cannot_be_observed_is_noted(parse: Loader) -> None:
    chosen = outputs.choose(parse(BRANCHES), ["y", "x", "a", "c", "w", "u", "v", "b"])
    assert chosen.inputs == ["x"]
    assert chosen.values == ["a", "b", "y", "u", "v"]
    assert chosen.notes == [
        "1 not observed, not of floating point: c",
        "1 not observed, constant, which needs no samples: w",
    ]


def test_groups_are_within_the_bound_in_order() -> None:
    sizes = {"a": 40, "b": 60, "c": 10, "d": 200, "e": 1, "f": 0}
    assert outputs.grouped(sizes, 100) == [["a", "b"], ["c"], ["d"], ["e", "f"]]
    assert outputs.grouped({}, 100) == []


def test_sizes_by_shape(parse: Loader) -> None:
    model = parse(BRANCHES.replace("float[N, 3] x", "float[2, 3] x"))
    values = outputs.named(model)
    values["a"].shape, values["a"].dtype = ir.Shape([2, 3]), ir.DataType.FLOAT16
    names = ["a", "y", "b"]
    assert outputs.stated_bytes(model, names, {}) == {"a": 12, "y": None, "b": None}
    assert outputs.stated_bytes(model, names, {"N": 5}) == {"a": 12, "y": 60, "b": None}


def test_what_no_output_needs_is_gone(tmp_path: Path, parse: Loader) -> None:
    model = parse(BRANCHES)
    outputs.with_outputs(model, ["a"])
    assert [node.op_type for node in model.graph] == ["Mul"]
    save(model, tmp_path / "m.onnx")
    session = make_session(tmp_path / "m.onnx", level="default")
    x = np.ones((2, 3), np.float32)
    (a,) = session.run(None, {"x": x, "c": np.array(True)})
    np.testing.assert_array_equal(a, [[1, 2, 3]] * 2)


def test_telling_shapes(tmp_path: Path, parse: Loader) -> None:
    model = parse(BRANCHES)
    outputs.with_shapes(model, ["b", "a"])
    save(model, tmp_path / "m.onnx")
    session = make_session(tmp_path / "m.onnx", level="default")
    feed = {"x": np.ones((5, 3), np.float32), "c": np.array(True)}
    assert [shape.tolist() for shape in session.run(None, feed)] == [[5, 3], [5, 3]]


def test_an_input_may_be_an_output(tmp_path: Path) -> None:
    """A state may be passed through."""
    x = ir.val("x", ir.DataType.FLOAT, ["N"])
    model = ir.Model(ir.Graph([x], [x], nodes=[], opset_imports={"": 17}), ir_version=8)
    outputs.with_outputs(model, ["x"])
    save(model, tmp_path / "m.onnx")
    assert [value.name for value in load(tmp_path / "m.onnx").graph.outputs] == ["x"]
