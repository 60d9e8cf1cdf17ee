"""Constant folding beyond what a golden case can show: sizes, laziness, missing runtimes, types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import onnx.reference
import onnx_ir as ir
import pytest
from onnxopt.passes.fold._deferred import DeferredTensor

from onnxopt.runtime.evaluate import run_small

from .support import Array, initializers, op_types, optimise, parse, result, same

RNG = np.random.default_rng(3)
HEAD = '<ir_version: 10, opset_import: ["" : 21]>\n'


class Counting:
    """A runtime that counts how often it is asked."""

    def __init__(self, broken: frozenset[str] = frozenset()) -> None:
        self.calls = 0
        self.broken = broken

    def __call__(self, model: onnx.ModelProto, feeds: Mapping[str, Array]) -> list[Array]:
        self.calls += 1
        if any(node.op_type in self.broken for node in model.graph.node):
            raise RuntimeError("no kernel\nfor this")
        return run_small(model, feeds)


def signed(*dims: int, scale: float = 3.0) -> Array:
    return (RNG.normal(size=dims) * scale).astype(np.float32)


def test_a_tied_weight_is_not_stored_twice() -> None:
    text = (
        HEAD
        + """g (int64[N] ids) => (float[N,512] y)
    { e = Gather(table, ids) t = Transpose<perm = [1, 0]>(table) y = MatMul(e, t) }"""
    )
    model = parse(text, table=signed(512, 64))
    outcome = optimise(model, "fold-constants")
    assert op_types(result(outcome).graph)["Transpose"] == 1
    assert outcome.stats.declined["fold-constants"]["the model would grow"] == 1


def test_a_large_weight_is_transposed_only_when_written() -> None:
    text = (
        HEAD
        + """g (float[2,600] x) => (float[2,800] y)
    { t = Transpose<perm = [1, 0]>(w) y = MatMul(x, t) }"""
    )
    weight = signed(800, 600)
    runtime = Counting()
    outcome = optimise(parse(text, w=weight), "fold-constants", evaluate=runtime)
    (value,) = [v for v in outcome.model.graph.initializers.values() if v.name != "w"]
    assert isinstance(value.const_value, DeferredTensor)
    assert runtime.calls == 0
    (stored,) = [a for n, a in initializers(result(outcome)).items() if n != "w"]
    np.testing.assert_array_equal(stored, weight.T)


def test_a_chain_on_a_large_weight_matches_the_runtime() -> None:
    text = (
        HEAD
        + """g (float[300,400] x) => (float[300,400] y)
    <float k = {-0.3}, int64[2] shape = {400, 300}, int64[1] zero = {0}, int64[1] end = {400}, float b = {1.5}, float c = {0.5}>
    { d = Div(w, k)
      f = Sub(b, c)
      e = Mul(d, f)
      r = Reshape(e, shape)
      s = Slice(r, zero, end, zero)
      h = Cast<to = 10>(s)
      q = Cast<to = 1>(h)
      m = Sqrt(a)
      n = Add(q, m)
      t = Transpose(n)
      y = Add(x, t) }"""
    )
    model = parse(text, w=signed(300, 400), a=np.abs(signed(400, 300)))
    outcome = optimise(model, "fold-constants, prune-initializers")
    after = result(outcome)
    assert op_types(after.graph) == {"Add": 1}
    assert len(after.graph.initializer) == 1
    same(model, after, {"x": signed(300, 400)})


def test_a_large_result_that_cannot_wait_is_left() -> None:
    text = (
        HEAD
        + """g (float[1200,400] x) => (float[1200,400] y)
    { t = Softmax(w) y = Add(x, t) }"""
    )
    outcome = optimise(parse(text, w=signed(1200, 400)), "fold-constants")
    assert op_types(result(outcome).graph) == {"Softmax": 1, "Add": 1}
    reasons = outcome.stats.declined["fold-constants"]
    assert reasons["too large to compute ahead of time"] == 1


def test_equal_large_results_are_stored_once() -> None:
    text = (
        HEAD
        + """g (float[300,400] x) => (float[300,400] y, float[300,400] z)
    { s = Transpose<perm = [1, 0]>(w) y = Mul(x, s) n = Neg(x)
      t = Transpose<perm = [1, 0]>(w) z = Mul(n, t) }"""
    )
    model = parse(text, w=signed(400, 300))
    pipeline = "fold-constants, prune-initializers, deduplicate-initializers"
    after = result(optimise(model, pipeline))
    assert len(after.graph.initializer) == 1
    same(model, after, {"x": signed(300, 400)})


def test_one_session_for_a_whole_round() -> None:
    nodes = "\n".join(
        f"a{i} = Exp(k{i}) b{i} = Neg(a{i}) x{i + 1} = Add(x{i}, b{i})" for i in range(40)
    )
    text = HEAD + f"g (float[2] x0) => (float[2] x40) {{ {nodes} }}"
    model = parse(text, **{f"k{i}": signed(2) for i in range(40)})
    runtime = Counting()
    outcome = optimise(model, "fold-constants", evaluate=runtime)
    assert op_types(result(outcome).graph) == {"Add": 40}
    assert runtime.calls == 1
    assert len(outcome.sites) == 40
    same(model, result(outcome), {"x0": signed(2)})


def test_what_the_runtime_refuses_stays_and_the_rest_is_folded() -> None:
    nodes = "\n".join(
        f"a{i} = {'Softplus' if i == 5 else 'Exp'}(k{i}) b{i} = Neg(a{i}) x{i + 1} = Add(x{i}, b{i})"
        for i in range(9)
    )
    text = HEAD + f"g (float[2] x0) => (float[2] x9) {{ {nodes} }}"
    model = parse(text, **{f"k{i}": signed(2) for i in range(9)})
    runtime = Counting(frozenset({"Softplus"}))
    outcome = optimise(model, "fold-constants", evaluate=runtime)
    assert op_types(result(outcome).graph) == {"Add": 9, "Softplus": 1, "Neg": 1}
    reasons = outcome.stats.declined["fold-constants"]
    assert reasons["the runtime cannot compute it: no kernel"] == 2
    calls = runtime.calls
    optimise(model, "fold-constants, fold-constants", evaluate=runtime)
    assert runtime.calls == 2 * calls, "a failure is remembered"


def test_without_a_runtime_only_numpy_folds_and_the_user_is_told() -> None:
    text = (
        HEAD
        + """g (float[2] x) => (float[2] y) <float[2] k = {1.0, -2.0}>
        { e = Exp(k) s = Mul(k, k) a = Add(x, e) y = Add(a, s) }"""
    )
    outcome = optimise(parse(text), "fold-constants", evaluate=None)
    assert op_types(result(outcome).graph) == {"Exp": 1, "Add": 2}
    (note,) = outcome.stats.notes
    assert "onnxopt[cpu]" in note


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [
        ("bfloat16", ir.DataType.BFLOAT16),
        ("float8_e4m3fn", ir.DataType.FLOAT8E4M3FN),
        ("int4", ir.DataType.INT4),
    ],
)
def test_types_the_runtime_may_lack(dtype: str, kind: ir.DataType) -> None:
    data = np.array([[-3, 2, 5], [1, -7, 0]]).astype(getattr(ml_dtypes, dtype))
    node = [
        onnx.helper.make_node("Transpose", ["w"], ["t"]),
        onnx.helper.make_node("Cast", ["t"], ["c"], to=onnx.TensorProto.FLOAT),
        onnx.helper.make_node("Add", ["x", "c"], ["y"]),
    ]
    info = onnx.helper.make_tensor_value_info
    tensor = ir.serde.serialize_tensor(ir.Tensor(data, dtype=kind, name="w"))
    graph = onnx.helper.make_graph(
        node,
        "g",
        [info("x", onnx.TensorProto.FLOAT, [3, 2])],
        [info("y", onnx.TensorProto.FLOAT, [3, 2])],
        [tensor],
    )
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", 21)], ir_version=10
    )
    after = result(optimise(model, "fold-constants, prune-initializers"))
    assert "Transpose" not in op_types(after.graph)
    x = signed(3, 2)
    reference: Any = onnx.reference.ReferenceEvaluator(after).run(None, {"x": x})
    np.testing.assert_array_equal(np.asarray(reference[0]), x + data.T.astype(np.float32))


def test_a_sparse_initializer_is_no_constant_to_fold() -> None:
    text = HEAD + "g (float[4] x) => (float[4] y) { n = Neg(w) y = Add(x, n) }"
    model = parse(text)
    sparse = model.graph.sparse_initializer.add(dims=[4])
    sparse.values.CopyFrom(onnx.numpy_helper.from_array(np.array([-2.0], np.float32), "w"))
    sparse.indices.CopyFrom(onnx.numpy_helper.from_array(np.array([1], np.int64), "w_indices"))
    outcome = optimise(model, "fold-constants, deduplicate-initializers, prune-initializers")
    ops: Any = [node.op_type for node in outcome.model.graph]
    assert ops == ["Neg", "Add"]
