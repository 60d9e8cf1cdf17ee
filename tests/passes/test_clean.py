"""The clean-up passes on what golden cases cannot show: dead code, inputs, names, bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnxopt.passes.clean.deduplicate_initializers import DeduplicateInitializers

from onnxopt.io import load
from onnxopt.pipeline.base import Context

from .support import initializers, op_types, optimise, parse, result, same

HEAD = '<ir_version: 8, opset_import: ["" : 17]>\n'
RNG = np.random.default_rng(11)


def test_dead_nodes_go_everywhere() -> None:
    text = """<ir_version: 8, opset_import: ["" : 17, "local" : 1, "old" : 1]>
    g (float[2] x, bool c) => (float[2] y) {
      d = Exp(x)
      e = RandomNormalLike(d)
      f = Loop(, c, x) <body = b (int64 i, bool k, float[2] h) => (bool m, float[2] r) { m = Identity(k) r = Neg(h) }>
      z = If(c) <
        then_branch = t () => (float[2] p) { u = Exp(x) p = local.f(x) },
        else_branch = o () => (float[2] q) { q = Relu(x) v = If(c) <
          then_branch = t2 () => (float[2] p2) { p2 = Abs(x) },
          else_branch = o2 () => (float[2] q2) { q2 = Abs(x) }> }
      >
      y = Neg(z)
    }
    <domain: "local", opset_import: ["" : 17]>
    f (a) => (b) { w = Exp(a) b = Neg(a) }
    <domain: "old", opset_import: ["" : 17]>
    unused (a) => (b) { b = Neg(a) }"""
    after = result(optimise(parse(text), "remove-dead-nodes"))
    assert op_types(after.graph) == {"If": 1, "f": 1, "Relu": 1, "Neg": 1}
    assert [f.name for f in after.functions] == ["f"]
    assert [n.op_type for n in after.functions[0].node] == ["Neg"]
    assert {o.domain for o in after.opset_import} == {"", "local"}


def test_unused_initializers_go_but_not_the_interface() -> None:
    text = (
        HEAD
        + """g (float[2] x, float[2] w) => (float[2] y, float[2] k)
    <float[2] w = {1.0, 2.0}, float[2] k = {3.0, 4.0}, float[2] u = {5.0, 6.0}> { y = Neg(x) }"""
    )
    outcome = optimise(parse(text), "prune-initializers")
    assert set(initializers(result(outcome))) == {"w", "k"}


def test_initializers_that_annotations_name_stay() -> None:
    text = HEAD + "g (float[2] x) => (float[2] y) <float s = {0.1}, float u = {0.2}> { y = Neg(x) }"
    model = parse(text)
    note = model.graph.quantization_annotation.add(tensor_name="y")
    note.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="s")
    assert set(initializers(result(optimise(model, "prune-initializers")))) == {"s"}


def test_legacy_inputs_are_frozen_and_the_version_raised() -> None:
    text = """<ir_version: 3, opset_import: ["" : 8]>
    g (float[2] x, float[2] w) => (float[2] y) <float[2] w = {1.0, -2.0}> { y = Mul(x, w) }"""
    model = parse(text)
    after = result(optimise(model, "freeze-legacy-inputs"))
    assert after.ir_version == 4
    assert [i.name for i in after.graph.input] == ["x"]
    assert set(initializers(after)) == {"w"}
    same(model, after, {"x": np.array([-3.0, 0.5], np.float32)})


def test_overridable_initializers_stay_unless_asked() -> None:
    text = (
        HEAD
        + "g (float[2] x, float[2] w) => (float[2] y) <float[2] w = {1.0, -2.0}> { y = Mul(x, w) }"
    )
    model = parse(text)
    outcome = optimise(model, "freeze-legacy-inputs")
    kept = result(outcome)
    assert [i.name for i in kept.graph.input] == ["x", "w"]
    assert any("1 weights are also inputs" in note for note in outcome.stats.notes)
    frozen = result(optimise(model, "freeze-inputs"))
    assert [i.name for i in frozen.graph.input] == ["x"]
    assert frozen.ir_version == 8


def test_a_frozen_weight_is_folded() -> None:
    text = (
        HEAD
        + """g (float[2] x, float[2] w) => (float[2] y)
    <float[2] w = {1.0, -2.0}> { n = Exp(w) y = Mul(x, n) }"""
    )
    after = result(optimise(parse(text), "freeze-inputs, fold-constants"))
    assert op_types(after.graph) == {"Mul": 1}


def stored(tmp_path: Path, **weights: np.ndarray) -> Path:
    """Writes a model that adds all its weights, 10 KB and more each."""
    names = list(weights)
    text = HEAD + "g (float[50,50] x) => (float[50,50] y) {"
    source = "x"
    for index, name in enumerate(names):
        target = "y" if index == len(names) - 1 else f"s{index}"
        text += f"{target} = Add({source}, {name})\n"
        source = target
    path = tmp_path / "model.onnx"
    onnx.save(parse(text + "}", **weights), path)
    return path


def test_large_duplicates_in_a_file(tmp_path: Path) -> None:
    a = RNG.normal(size=(50, 50)).astype(np.float32)
    b = a.copy()
    b[25, 30] += 1.0
    zero, minus = np.zeros((50, 50), np.float32), np.zeros((50, 50), np.float32)
    minus[49, 48] = -0.0
    nan = a.copy()
    nan[0, 0] = np.nan
    path = stored(tmp_path, a=a, b=b, a2=a, zero=zero, minus=minus, nan=nan, nan2=nan)
    context = Context(load(path))
    assert DeduplicateInitializers().run(context) == 2
    assert set(context.model.graph.initializers) == {"a", "b", "zero", "minus", "nan"}


def test_an_output_that_is_an_initializer_is_the_one_that_stays() -> None:
    text = (
        HEAD
        + """g (float[2] x) => (float[2] y, float[2] k)
    <float[2] a = {1.0, -2.0}, float[2] k = {1.0, -2.0}> { y = Add(x, a) }"""
    )
    after = result(optimise(parse(text), "deduplicate-initializers"))
    assert set(initializers(after)) == {"k"}
    assert list(after.graph.node[0].input) == ["x", "k"]


def test_a_function_for_another_operator_version_is_not_inlined() -> None:
    text = """<ir_version: 8, opset_import: ["" : 17, "pkg.torch" : 1]>
    g (float[2,2] x) => (float[2,2] y) { y = pkg.torch.f(x) }
    <domain: "pkg.torch", opset_import: ["" : 11]>
    f (a) => (c) { c = Softmax(a) }"""
    outcome = optimise(parse(text), "inline-functions")
    assert [n.op_type for n in outcome.model.graph] == ["f"]
    (reason,) = outcome.stats.declined["inline-functions"]
    assert reason == "Softmax of opset 11 is not that of the model's opset 17"


@pytest.mark.parametrize("limit", [0, 1, 2, 3])
def test_each_merge_counts_for_bisection(limit: int) -> None:
    text = (
        HEAD
        + """g (float[2] x) => (float[2] y)
    { a = Neg(x) b = Neg(x) c = Neg(x) d = Neg(x) y = Sum(a, b, c, d) }"""
    )
    model = parse(text)
    outcome = optimise(model, "eliminate-common-subexpressions", limit=limit)
    assert op_types(result(outcome).graph)["Neg"] == 4 - limit
    same(model, result(outcome), {"x": np.array([-3.0, 0.5], np.float32)})
