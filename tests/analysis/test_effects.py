"""Kinds of operators; the numeric claims are checked by running them."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from onnxopt.analysis import effects
from onnxopt.analysis.facts import Facts

from .harness import parse

VALUES = np.array(
    [-1e30, -77.7, -3.0, -2.5, -1.5, -1.0, -0.5, -0.0, 0.0, 1e-9, 0.5, 0.9, 1.0, 1.5, 2.5, 6.0, 50.0, 1e30],
    np.float32,
)  # fmt: skip


def _apply(op_type: str, array: np.ndarray, *more: np.ndarray, times: int = 1) -> np.ndarray:
    """What a standard operator gives for an array, applied a number of times."""
    from onnx.reference import ReferenceEvaluator

    names = [f"x{index}" for index in range(1 + len(more))]
    nodes = [onnx.helper.make_node(op_type, names, ["y0"])]
    nodes += [onnx.helper.make_node(op_type, [f"y{i}"], [f"y{i + 1}"]) for i in range(times - 1)]
    kind = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
    graph = onnx.helper.make_graph(
        nodes,
        "g",
        [onnx.helper.make_tensor_value_info(name, kind, None) for name in names],
        [onnx.helper.make_empty_tensor_value_info(f"y{times - 1}")],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)])
    feeds = dict(zip(names, [array, *more], strict=True))
    (result,) = ReferenceEvaluator(model).run(None, feeds)
    return np.asarray(result)


def _node(op_type: str, domain: str = "") -> ir.Node:
    return ir.node(op_type, [ir.Value(name="x")], domain=domain)


PLAIN = parse("g (float x) => (float y) { y = Relu(x) }")
MONOTONE = [
    op
    for op in sorted(effects.ELEMENTWISE_UNARY)
    if effects.is_monotone_increasing(_node(op), PLAIN)
]
IDEMPOTENT = sorted(effects.IDEMPOTENT)


@pytest.mark.parametrize("op_type", MONOTONE)
def test_monotone_operators_keep_the_order(op_type: str) -> None:
    domain = VALUES[VALUES > 0] if op_type in ("Log", "Sqrt") else VALUES
    with np.errstate(all="ignore"):
        result = _apply(op_type, domain)
    assert np.all(np.diff(result[np.isfinite(result)]) >= 0)


@pytest.mark.parametrize(
    "op_type", ["Abs", "Neg", "Cos", "Gelu", "HardSwish", "Mish", "Reciprocal"]
)
def test_operators_that_turn_are_not_monotone(op_type: str) -> None:
    with np.errstate(all="ignore"):
        result = _apply(op_type, VALUES)
    assert np.any(np.diff(result) < 0)
    assert not effects.is_monotone_increasing(_node(op_type), PLAIN)


def test_strictly_monotone_is_fewer() -> None:
    assert effects.is_monotone_increasing(_node("Exp"), PLAIN, strictly=True)
    assert not effects.is_monotone_increasing(_node("Relu"), PLAIN, strictly=True)


@pytest.mark.parametrize("op_type", IDEMPOTENT)
def test_idempotent_operators_change_nothing_the_second_time(op_type: str) -> None:
    once, twice = _apply(op_type, VALUES), _apply(op_type, VALUES, times=2)
    np.testing.assert_array_equal(once.view(np.int32), twice.view(np.int32))


@pytest.mark.parametrize("op_type", ["Neg", "Exp", "Sigmoid", "Tanh", "LeakyRelu"])
def test_others_are_not_idempotent(op_type: str) -> None:
    with np.errstate(all="ignore"):
        once, twice = _apply(op_type, VALUES), _apply(op_type, VALUES, times=2)
    assert not np.array_equal(once, twice)
    assert not effects.is_idempotent(_node(op_type), PLAIN)


@pytest.mark.parametrize("op_type", ["Add", "Mul", "Min", "Max", "Equal"])
def test_commutative_operators_do_not_mind_the_order(op_type: str) -> None:
    a, b = VALUES, VALUES[::-1].copy() / 1e20
    a = a.clip(-1e20, 1e20)
    np.testing.assert_array_equal(_apply(op_type, a, b), _apply(op_type, b, a))
    assert effects.is_commutative(_node(op_type), PLAIN)


@pytest.mark.parametrize("op_type", ["Sub", "Div", "Pow", "Less"])
def test_others_mind_the_order(op_type: str) -> None:
    a, b = np.array([2.0, 3.0], np.float32), np.array([5.0, 4.0], np.float32)
    assert not np.array_equal(_apply(op_type, a, b), _apply(op_type, b, a))
    assert not effects.is_commutative(_node(op_type), PLAIN)


def test_categories_are_operators_of_the_standard() -> None:
    for names in (
        effects.RANDOM,
        effects.ELEMENTWISE_UNARY,
        effects.ELEMENTWISE_BINARY,
        effects.COMMUTATIVE,
        effects.IDEMPOTENT,
        effects.MOVEMENT,
    ):
        for name in names:
            assert onnx.defs.has(name), name


def test_movement_keeps_elements_and_order() -> None:
    assert effects.is_movement(_node("Reshape"), PLAIN)
    assert not effects.is_movement(_node("Transpose"), PLAIN)
    assert effects.is_elementwise_unary(_node("Relu"), PLAIN)
    assert not effects.is_elementwise_unary(_node("Softmax"), PLAIN)
    assert effects.is_elementwise_binary(_node("Sub"), PLAIN)


def test_functions_shadow_operators() -> None:
    model = ir.from_proto(
        onnx.parser.parse_model(
            '<ir_version: 8, opset_import: ["" : 17]> g (float[b] x) => (float[] y) { y = Relu(x) }'
            '<domain: "", opset_import: ["" : 17]> Relu (x) => (y) { y = RandomNormalLike(x) }'
        )
    )
    node = model.graph[0]
    assert effects.standard_op(node, PLAIN) == "Relu"
    assert effects.standard_op(node, model) is None
    assert not effects.is_elementwise_unary(node, model)
    assert not effects.is_idempotent(node, model)
    assert effects.is_deterministic(node, PLAIN)
    assert not effects.is_deterministic(node, model)
    assert effects.standard_op(_node("Relu", "com.example"), PLAIN) is None


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
    "y = QuantizeLinear(w, ratio)": False,
    "y = com.microsoft.Gelu(w)": False,
    "y = If(train) <then_branch = t () => (float[] p) { p = Relu(w) }, "
    "else_branch = e () => (float[] p2) { p2 = Neg(w) }>": True,
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
    assert effects.is_foldable(model.graph[0], Facts(model)) is FOLDABLE[line]


def test_effects_of_unknown_operators() -> None:
    assert effects.has_effects(_node("Print", "com.example"), PLAIN)
    assert not effects.has_effects(_node("Relu"), PLAIN)
    assert not effects.is_deterministic(_node("Op", "com.example"), PLAIN)


def test_captured_values() -> None:
    model = parse(
        """g (float[b] x, bool c) => (float[] y) <float w = {2}>
      { z = Neg(x) y = If(c) <then_branch = t () => (float[] p) { a = Add(z, w) p = Mul(a, x) },
        else_branch = e () => (float[] z) { q = Relu(x) }> }""".replace(
            "(float[] z)", "(float[] q)"
        )
    )
    then = model.graph[1].attributes["then_branch"].as_graph()
    other = model.graph[1].attributes["else_branch"].as_graph()
    assert [value.name for value in effects.captured(then)] == ["z", "w", "x"]
    assert [value.name for value in effects.captured(other)] == ["x"]
