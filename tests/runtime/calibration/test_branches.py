"""Values in branches of If: which can be observed, and what is seen of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx_ir as ir

from onnxopt.quantization.wants import Wants
from onnxopt.runtime.calibration.branches import inner_values
from onnxopt.runtime.calibration.observe import observe

Loader = Callable[..., ir.Model]

NESTED = """<ir_version: 8, opset_import: ["": 17]>
g (float[1, 2] x, bool c, bool d) => (float[1, 2] y)
{ y = If(c) <
    then_branch = t () => (float[1, 2] p) {
      a = Neg(x)
      p = If(d) <then_branch = tt () => (float[1, 2] q) { b = Add(a, a) q = Neg(b) },
                 else_branch = te () => (float[1, 2] r) { r = Abs(a) }> },
    else_branch = e () => (float[1, 2] s) { k = Mul(x, x) s = Neg(k) }> }"""


def test_two_values_of_one_name_are_not_told_apart(parse: Loader) -> None:
    model = parse(NESTED)
    inner = inner_values(model)
    inner["k"].name = "a"
    assert set(inner_values(model)) == {"b", "p", "q", "r", "s"}


def test_values_in_loops_are_not_among_them(parse: Loader) -> None:
    model = parse("""<ir_version: 8, opset_import: ["": 17]>
    g (float[2] x, int64 n, bool c) => (float[2] y) {
      y = Loop(n, c, x) <body = b (int64 i, bool go, float[2] h) => (bool go_on, float[2] z) {
        go_on = Identity(go) z = Neg(h) }> }""")
    assert inner_values(model) == {}


def test_only_samples_that_take_a_branch_count(tmp_path: Path, parse: Loader) -> None:
    x = np.array([[[1, -2]], [[3, 4]], [[5, 6]]], np.float32)
    np.savez(tmp_path / "s.npz", x=x, c=[True, True, False], d=[True, False, False])
    names = ("a", "b", "q", "r", "k", "y", "x")
    found = observe(parse(NESTED), str(tmp_path / "s.npz"), {name: Wants() for name in names})
    seen = found.statistics.tensors
    assert found.notes == []
    assert (seen["a"].count, seen["a"].low, seen["a"].high) == (4, -4.0, 2.0)
    assert (seen["b"].count, seen["b"].low, seen["b"].high) == (2, -2.0, 4.0)
    assert (seen["r"].count, seen["r"].low, seen["r"].high) == (2, 3.0, 4.0)
    assert (seen["k"].count, seen["k"].low, seen["k"].high) == (2, 25.0, 36.0)
    assert seen["y"].count == 6
