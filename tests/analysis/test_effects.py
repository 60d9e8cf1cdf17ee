"""What folds and what never does: random, training, quantising, unknown, shadowed operators."""

from __future__ import annotations

import onnx
import onnx.parser
import onnx_ir as ir
import pytest

from onnxopt.analysis import effects

from .harness import parse

PLAIN = ir.Model(ir.Graph([], [], nodes=[], opset_imports={"": 17}), ir_version=8)


def _node(op_type: str, domain: str = "") -> ir.Node:
    return ir.Node(domain, op_type, [])


def test_functions_shadow_operators() -> None:
    model = ir.from_proto(
        onnx.parser.parse_model(
            '<ir_version: 8, opset_import: ["" : 17]> g (float[b] x) => (float[] y) { y = Relu(x) }'
            '<domain: "", opset_import: ["" : 17]> Relu (x) => (y) { y = RandomNormalLike(x) }'
        )
    )
    node = model.graph[0]
    assert effects.is_function_call(node, model)
    assert effects.is_deterministic(node, PLAIN)
    assert not effects.is_deterministic(node, model)


FOLDABLE = {
    "y = Relu(w)": True,
    "y = Add(w, w)": True,
    "y = RandomNormalLike(w)": False,
    "y = Bernoulli(w)": False,
    "y = Dropout(w)": True,
    "y = Dropout(w, ratio, train)": False,
    "y = BatchNormalization(w, w, w, w, w)": True,
    "y, a, c = BatchNormalization<training_mode = 1>(w, w, w, w, w)": False,
    "y = DequantizeLinear(q, ratio)": False,
    "y, a, c = DynamicQuantizeLinear(w)": False,
    "y = QuantizeLinear(w, ratio)": False,
    "y = com.microsoft.Gelu(w)": False,
    "y = If(train) <then_branch = t () => (float[] p) { p = Relu(w) }, "
    "else_branch = e () => (float[] p2) { p2 = Neg(w) }>": False,
    "y = If(train) <then_branch = t () => (float[] p) { p = Relu(x) }, "
    "else_branch = e () => (float[] p2) { p2 = Neg(w) }>": False,
    "y = If(train) <then_branch = t () => (float[] p) { p = RandomNormalLike(w) }, "
    "else_branch = e () => (float[] p2) { p2 = Neg(w) }>": False,
    "y = If(train) <then_branch = t () => (float[] p) { h = If(train) <then_branch = t2 () => (float[] k) "
    "{ k = Neg(x) }, else_branch = e2 () => (float[] k2) { k2 = Neg(w) }> p = Neg(h) }, "
    "else_branch = e () => (float[] p2) { p2 = Neg(w) }>": False,
}


@pytest.mark.parametrize("line", FOLDABLE)
def test_foldable(line: str) -> None:
    model = parse(
        "g (float[4] x) => (float[] y) <float[4] w = {1, -2, 3, -4}, float ratio = {0.5}, "
        f"bool train = {{1}}, int8[4] q = {{1, 2, 3, 4}}> {{ {line} }}"
    )
    assert effects.is_foldable(model.graph[0], model) is FOLDABLE[line]


def test_determinism_looks_into_bodies() -> None:
    text = """g (float[4] x, bool c) => (float[] y) { y = If(c)
    <then_branch = t () => (float[] p) { p = %s(x) }, else_branch = e () => (float[] q) { q = Neg(x) }> }"""
    for op_type, expected in (("Relu", True), ("RandomNormalLike", False)):
        model = parse(text % op_type)
        assert effects.is_deterministic(model.graph[0], model) is expected


def test_unknown_operators_may_be_random() -> None:
    assert not effects.is_deterministic(_node("Op", "com.example"), PLAIN)
    assert effects.is_deterministic(_node("Relu"), PLAIN)
