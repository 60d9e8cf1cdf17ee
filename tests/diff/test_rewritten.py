"""A model is the same whatever its nodes and values are called and in whatever order they stand."""

from __future__ import annotations

import onnx
import pytest

import models
import onnxopt

from .support import parse, rewritten

CASES = [(name, exporter) for name in models.own_names() for exporter in models.EXPORTERS]
OF_TRANSFORMERS = [
    (name, exporter, attention if models.attentions(name) else None)
    for name in models.transformers_names()
    for exporter, attention in (("torchscript", "eager"), ("dynamo", "sdpa"))
]
BODIES = """g (float[N] x, bool c, int64 n) => (float[N] y) {
  one = Constant <value = float {1.0}> ()
  a = Add (x, one)
  b = Tanh (x)
  p = If (c) <
    then_branch = t () => (float[N] u) { w = Mul (a, b)  u = Sin (w) },
    else_branch = e () => (float[N] v) { v = Mul (b, b) }
  >
  q = Loop (n, c, p) <
    body = l (int64 i, bool go, float[N] s) => (bool on, float[N] r) {
      on = Identity (go)
      h = Add (s, a)
      k = Cos (s)
      r = Mul (h, k)
    }
  >
  y = Sub (q, p)
}"""


def assert_same(model: onnx.ModelProto, seed: int) -> None:
    found = onnxopt.diff(model, rewritten(model, seed))
    assert found.nodes.changes == ()
    assert found.weights.changes == ()
    assert found.interface == ()
    assert not found.different
    assert found.nodes.unchanged == found.before.nodes == found.after.nodes


@pytest.mark.parametrize(("name", "exporter"), CASES)
def test_reference_model(name: str, exporter: models.Exporter) -> None:
    pytest.importorskip("torch")
    assert_same(onnx.load(models.cached(name, size="tiny", exporter=exporter)), seed=1)


@pytest.mark.parametrize(("name", "exporter", "attention"), OF_TRANSFORMERS)
def test_model_of_transformers(
    name: str, exporter: models.Exporter, attention: models.Attention | None
) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    source = models.cached(name, size="tiny", exporter=exporter, attention=attention)
    assert_same(onnx.load(source), seed=2)


@pytest.mark.parametrize("seed", range(5))
def test_bodies(seed: int) -> None:
    assert_same(parse(BODIES), seed)


@pytest.mark.parametrize("seed", range(5))
def test_functions(seed: int) -> None:
    model = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 17, "own" : 1]>
        g (float[N] x) => (float[N] y) { a = own.f (x)  b = own.f (a)  y = Add (a, b) }
        <domain: "own", opset_import: ["" : 17]>
        f (u) => (v) { s = Sin (u)  c = Cos (u)  v = Sub (s, c) }"""
    )
    assert_same(model, seed)


def test_equal_nodes_and_dead_nodes() -> None:
    text = "g (float[N] x) => (float[N] y) { a = Sin (x) b = Sin (x) d = Cos (x) y = Sub (a, b) }"
    assert_same(parse(text), seed=3)


def test_renamed_inputs_and_outputs_are_all_that_is_told() -> None:
    text = "g (float[N] {x}, int64[2] {n}) => (float[N] {y}) {{ a = Sin ({x}) {y} = Reshape (a, {n}) }}"
    before = parse(text.format(x="x", n="n", y="y"))
    after = rewritten(parse(text.format(x="in1", n="in2", y="out")))
    found = onnxopt.diff(before, after)
    assert found.nodes.changes == ()
    assert [(c.what, c.kind, c.before, c.after) for c in found.interface] == [
        ("input", "renamed", "x", "in1"),
        ("input", "renamed", "n", "in2"),
        ("output", "renamed", "y", "out"),
    ]
