"""Counting operations, parameters and bytes."""

from __future__ import annotations

import json

import numpy as np
import onnx_ir as ir
import pytest

from onnxopt.analysis.cost import cost_of, node_macs
from onnxopt.analysis.dims import render, symbol
from onnxopt.analysis.facts import Facts
from onnxopt.analysis.summary import summarize

from .harness import parse

B, S = symbol("b"), symbol("s")

MACS = {
    "y = MatMul(x, w)": ("float[b,s,8] x, float[8,16] w", B * S * 128),
    "y = Gemm<transA = 1>(x, w)": ("float[8,s] x, float[8,16] w", S * 128),
    "y = Conv<pads = [1, 1, 1, 1], group = 2>(x, w)": (
        "float[b,4,10,12] x, float[6,2,3,3] w",
        B * (6 * 120 * 18),
    ),
    "y = ConvTranspose<strides = [2, 2]>(x, w)": (
        "float[b,4,5,5] x, float[4,3,2,2] w",
        B * (4 * 25 * 12),
    ),
    "y, h = LSTM<hidden_size = 5>(x, w, r)": (
        "float[s,b,3] x, float[1,20,3] w, float[1,20,5] r",
        S * B * (60 + 100),
    ),
    "y = Einsum<equation = \"bid,bjd->bij\">(x, w)": ("float[b,s,4] x, float[b,7,4] w", B * S * 28),
    "y = Relu(x)": ("float[b,s] x", 0),
    "y = MatMulInteger(x, w)": ("uint8[b,8] x, int8[8,16] w", B * 128),
    "y = Attention(x, x, x)": ("float[b,2,s,8] x", 32 * B * S * S),
}  # fmt: skip


@pytest.mark.parametrize("line", MACS)
def test_operations_of_a_node(line: str) -> None:
    inputs, wanted = MACS[line]
    model = parse(f"g ({inputs}) => (float[] y) {{ {line} }}", opset=23)
    found = node_macs(model.graph[0], Facts(model))
    assert found is not None
    assert render(found) == render(wanted)


def test_symbolic_dimensions_count_with_the_values_given() -> None:
    model = parse(
        "g (float[b,s,8] x, float[8,16] w) => (float[] y) { h = MatMul(x, w) y = Relu(h) }"
    )
    facts = Facts(model)
    cost = cost_of(model, facts, {"s": 10})
    assert cost.macs == 1280
    assert cost.by_op == {"MatMul": 1280}
    assert cost.assumed == {"b": 1, "s": 10}
    assert cost.uncounted == 0


def test_what_cannot_be_counted_is_said() -> None:
    model = parse("g (float[] x, float[8,16] w) => (float[] y) { y = MatMul(x, w) }")
    assert cost_of(model, Facts(model)).uncounted == 1


def test_summary_of_a_small_model() -> None:
    model = parse("""g (float[b,4] x, float[4] bias) => (float[b,2] y)
      <float[4,2] w = {1, -2, 3, -4, 5, -6, 7, -8}, int64[1] axis = {0}, float[4] bias = {1, 2, 3, 4}>
      { a = Add(x, bias) h = MatMul(a, w) k = Constant<value_float = 0.5>() m = Mul(h, k)
        y = com.microsoft.Gelu(m) }""")
    summary = summarize(model)
    assert summary.ops == {"Add": 1, "MatMul": 1, "Constant": 1, "Mul": 1, "com.microsoft.Gelu": 1}
    assert summary.nodes == 5
    assert [(port.name, port.type, port.dims) for port in summary.inputs] == [
        ("x", "float32", ("b", 4))
    ]
    assert [port.name for port in summary.overridable] == ["bias"]
    assert summary.outputs[0].dims == ("b", 2)
    assert summary.parameters == 8 + 1 + 4 + 1
    assert summary.weight_bytes == 4 * 8 + 8 + 16 + 4
    assert summary.bytes_by_type == {"float32": 52, "int64": 8}
    assert summary.largest[0].name == "w"
    assert summary.largest[0].uses == 1
    assert summary.opsets == {"": 18, "com.microsoft": 1}
    assert summary.cost.macs == 8
    assert json.loads(json.dumps(summary.to_json()))["cost"]["assumed"] == {"b": 1}


def test_summaries_read_no_weights() -> None:
    def explode() -> ir.TensorProtocol:
        raise AssertionError("the weights were read")

    lazy = ir.LazyTensor(explode, dtype=ir.DataType.INT64, shape=ir.Shape([8, 1000]), name="w")
    weight = ir.Value(name="w", const_value=lazy)
    x = ir.Value(name="x", type=ir.TensorType(ir.DataType.INT64), shape=ir.Shape(["b", 8]))
    node = ir.node("MatMul", [x, weight])
    graph = ir.Graph([x], node.outputs, nodes=[node], initializers=[weight], opset_imports={"": 18})
    summary = summarize(ir.Model(graph, ir_version=9))
    assert summary.parameters == 8000
    assert summary.weight_bytes == 64000
    assert summary.cost.macs == 8000


def test_parameters_in_bodies_and_functions_count() -> None:
    model = parse("""g (float[b] x, bool c) => (float[] y) { y = If(c) <then_branch = t () => (float[] p)
      <float[3] w = {1, 2, 3}> { p = Add(x, w) }, else_branch = e () => (float[] q)
      { k = Constant<value_floats = [1.0, 2.0]>() q = Add(x, k) }> }""")
    summary = summarize(model)
    assert summary.parameters == 5
    assert summary.nodes == 4
    assert np.sum(list(summary.ops.values())) == 4
