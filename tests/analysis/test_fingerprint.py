"""Models that compute from the same operators have one fingerprint, all others differ."""

from __future__ import annotations

import onnx.parser
import onnx_ir as ir
import pytest

from onnxopt.analysis.fingerprint import fingerprint

TEXT = """<ir_version: 8, opset_import: ["" : 17]>
g (float[N,4] x, bool c) => (float[N,2,2] y)
<float[4] w = {1,-2,3,4}, int64[3] s = {0, 2, 2}>
{
  a = Add(x, w)
  b = LeakyRelu <alpha = 0.1> (a)
  d = If (c) <then_branch = t () => (float[N,4] e) { e = Neg(b) }, else_branch = f () => (float[N,4] h) { h = Abs(b) }>
  y = Reshape(d, s)
}"""


def of(text: str) -> str:
    return fingerprint(ir.from_proto(onnx.parser.parse_model(text)))


@pytest.mark.parametrize(
    ("old", "new"),
    [("a = Add", "sum = Add"), ("{1,-2,3,4}", "{7,-2,3,4}"), ("g (", "graph (")],
)
def test_names_and_weights_do_not_count(old: str, new: str) -> None:
    text = TEXT.replace(old, new)
    if "sum" in new:
        text = text.replace("(a)", "(sum)")
    assert of(text) == of(TEXT) != ""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Add(x, w)", "Mul(x, w)"),
        ("Add(x, w)", "Add(w, x)"),
        ("0.1", "0.2"),
        ("{0, 2, 2}", "{-1, 2, 2}"),
        ("float[4] w = {1,-2,3,4}", "float[1] w = {1}"),
        ("float[N,4] x", "float[3,4] x"),
        ("bool c", "bool condition"),
        ("Neg(b)", "Neg(x)"),
        ("Abs(b)", "Neg(b)"),
        (": 17]", ": 18]"),
    ],
)
def test_what_counts(old: str, new: str) -> None:
    text = TEXT.replace(old, new)
    if new == "bool condition":
        text = text.replace("If (c)", "If (condition)")
    assert text != TEXT
    assert of(text) != of(TEXT)
