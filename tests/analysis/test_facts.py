"""What counts as known: constants, trust in stored types, scopes, new nodes, copies."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from onnxopt.analysis.dims import is_unknown, symbol
from onnxopt.analysis.facts import Facts

from .harness import named, parse

B, S = symbol("b"), symbol("s")


def test_initializers_are_constants_but_overridable_ones_are_not() -> None:
    model = parse("g (float[b] x, float[1] w) => (float y) <float[1] w = {2}, float[1] v = {3}> "
                  "{ a = Mul(x, w) y = Add(a, v) }")  # fmt: skip
    facts = Facts(model)
    w, v = (model.graph.initializers[name] for name in ("w", "v"))
    assert facts.const_tensor(w) is None
    assert facts.const(w) is None
    assert facts.static_shape(w) == (1,)
    assert facts.dtype(w) == ir.DataType.FLOAT
    array = facts.const(v)
    assert array is not None
    assert array.tolist() == [3.0]
    assert facts.const(v, max_bytes=3) is None


def test_integer_inputs_have_no_content_even_with_a_default() -> None:
    model = parse("g (float[b] x, int64[1] n) => (float y) <int64[1] n = {2}> { y = Expand(x, n) }")
    facts = Facts(model)
    content = facts.content(model.graph.initializers["n"])
    assert isinstance(content, tuple)
    assert is_unknown(content[0])
    assert facts.static_shape(model.graph.outputs[0]) is None


@pytest.mark.parametrize(
    ("attribute", "dtype", "value"),
    [
        ("value_int = 7", ir.DataType.INT64, 7),
        ("value_ints = [1, -2]", ir.DataType.INT64, [1, -2]),
        ("value_float = 0.5", ir.DataType.FLOAT, 0.5),
        ("value_floats = [0.5, -1.5]", ir.DataType.FLOAT, [0.5, -1.5]),
        ('value_string = "a"', ir.DataType.STRING, b"a"),
        ("value = int8[2] {3, -4}", ir.DataType.INT8, [3, -4]),
    ],
)
def test_constant_nodes(attribute: str, dtype: ir.DataType, value: object) -> None:
    model = parse(f"g (float x) => (float y) {{ c = Constant<{attribute}>() y = Identity(x) }}")
    facts = Facts(model)
    constant = model.graph[0].outputs[0]
    assert facts.dtype(constant) == dtype
    array = facts.const(constant)
    assert array is not None
    assert facts.static_shape(constant) == array.shape
    assert array.tolist() == value


def test_large_constants_are_not_kept() -> None:
    model = parse("g (float x) => (float y) { y = Identity(x) }")
    reads: list[int] = []

    def make() -> ir.TensorProtocol:
        reads.append(1)
        return ir.Tensor(np.zeros((64, 64), np.float32))

    lazy = ir.LazyTensor(make, dtype=ir.DataType.FLOAT, shape=ir.Shape([64, 64]), name="w")
    value = ir.Value(name="w", const_value=lazy)
    facts = Facts(model)
    assert facts.static_shape(value) == (64, 64)
    assert facts.const(value, max_bytes=1024) is None
    assert facts.content(value) is None
    assert not reads
    for count in (1, 2):
        assert facts.const(value) is not None
        assert len(reads) == count


def test_inference_wins_over_stale_stored_shapes() -> None:
    proto = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> g (float[b,4] x) => (float[1,4] y) '
        "<float[1,4] a> { a = Relu(x) y = Neg(a) }"
    )
    model = ir.from_proto(proto)
    facts = Facts(model)
    assert facts.shape(model.graph.outputs[0]) == (B, 4)
    assert facts.shape(model.graph[0].outputs[0]) == (B, 4)
    stored = model.graph[0].outputs[0].shape
    assert stored is not None
    assert stored.numpy() == (1, 4)


def test_custom_operators_fall_back_to_what_the_file_says() -> None:
    proto = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17, "my" : 1]> g (float[b,4] x) => (float y) '
        "<float16[b,7] a> { a = my.Op(x) y = Cast<to = 1>(a) }"
    )
    facts = Facts(model := ir.from_proto(proto))
    assert facts.describe(model.graph[0].outputs[0]) == "float16[b,7]"
    assert facts.describe(model.graph.outputs[0]) == "float32[b,7]"


def test_unnamed_and_meaningless_dimensions_are_all_different() -> None:
    proto = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> g (float[None,N] x, float[None,N] z) '
        "=> (float y) { y = Add(x, z) }"
    )
    facts = Facts(model := ir.from_proto(proto))
    first, second = (facts.shape(value) for value in model.graph.inputs)
    assert first is not None
    assert second is not None
    assert first[0] != second[0]
    assert first[1] == second[1] == symbol("N")


def test_a_function_shadows_a_standard_operator() -> None:
    proto = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> g (float[b,4] x) => (float y) { y = Relu(x) }'
        '<domain: "", opset_import: ["" : 17]> Relu (x) => (y) { y = Transpose(x) }'
    )
    facts = Facts(model := ir.from_proto(proto))
    assert facts.shape(model.graph.outputs[0]) is None
    assert facts.dtype(model.graph.outputs[0]) == ir.DataType.FLOAT


def test_functions_know_nothing_of_their_inputs_and_have_their_own_opset() -> None:
    proto = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17, "f" : 1]> g (float[b,4] x) => (float y) { y = f.F(x) }'
        '<domain: "f", opset_import: ["" : 11]> F (x) => (y) { s = Shape(x) n = Size(s) '
        "y = Squeeze<axes = [0]>(x) }"
    )
    facts = Facts(model := ir.from_proto(proto))
    function = next(iter(model.functions.values()))
    assert facts.opset(model.graph) == 17
    assert facts.opset(model.graph[0], "f") == 1
    assert facts.opset(function[0]) == 11
    assert facts.opset(function[0], "elsewhere") is None
    assert facts.rank(function[0].outputs[0]) == 1
    assert facts.rank(function[2].outputs[0]) is None


def test_opset_of_a_node_outside_of_any_graph() -> None:
    proto = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17, "f" : 1]> g (float[b,1] x) => (float y) { y = f.F(x) }'
        '<domain: "f", opset_import: ["" : 11]> F (x) => (y) { c = Constant<value = float[1,2] {1, 2}>() '
        "y = Add(x, c) }"
    )
    facts = Facts(model := ir.from_proto(proto))
    constant = next(iter(model.functions.values()))[0].outputs[0]
    inside = ir.node("Squeeze", [constant], {"axes": [0]})
    facts.infer(inside)
    assert facts.opset(inside) == 11
    assert facts.static_shape(inside.outputs[0]) == (2,)
    after = ir.node("Unsqueeze", inside.outputs, {"axes": [0, 1]})
    facts.infer(after)
    assert facts.static_shape(after.outputs[0]) == (1, 1, 2)


def test_new_nodes_and_constants_are_inferred_before_they_join_a_graph() -> None:
    model = parse("g (float[b,s] x) => (float y) { y = Relu(x) }")
    facts = Facts(model)
    target = ir.Value(name="t", const_value=ir.Tensor(np.array([0, -1, 1], np.int64)))
    node = ir.node("Reshape", [model.graph.inputs[0], target])
    facts.infer(node)
    assert facts.describe(node.outputs[0]) == "float32[b,s,1]"
    assert facts.content(target) == (0, -1, 1)
    assert node.outputs[0].shape is None


def test_copied_facts_keep_what_either_knows() -> None:
    model = parse("g (float[b,s] x, int64[2] n) => (float y) { z = NonZero(x) r = Reshape(x, n) y = Relu(r) }")  # fmt: skip
    facts = Facts(model)
    x, reshaped = model.graph.inputs[0], named(model)["r"]
    assert facts.rank(reshaped) == 2
    facts.copy_facts(reshaped, x)
    assert facts.shape(x) == (B, S)
    new = ir.Value(name="new")
    facts.copy_facts(x, new)
    assert facts.describe(new) == "float32[b,s]"
    facts.copy_facts(x, reshaped)
    assert facts.shape(reshaped) == (B, S)


def test_nothing_is_written_into_the_model_until_asked() -> None:
    model = parse("g (float[b,s] x) => (y) { z = Relu(x) n = NonZero(z) y = Transpose(z) }".replace("(y)", "(float y)"))  # fmt: skip
    before = ir.to_proto(model).SerializeToString()
    facts = Facts(model)
    assert ir.to_proto(model).SerializeToString() == before
    assert facts.apply() >= 2
    found = named(model)["z"].shape
    assert found is not None
    assert [getattr(dim, "value", dim) for dim in found] == ["b", "s"]
    counted = named(model)["n"].shape
    assert counted is not None
    assert counted[0] == 2
    assert counted.is_unknown_dim(1)


def test_malformed_nodes_are_unknown_not_errors() -> None:
    text = """g (float[b,s] x, float z) => (float y)
      <int64[2] bad = {5, 7}, int64 zero = {0}, float[2] f = {1, 2}>
      { a = Transpose<perm = [0, 5]>(x) c = Squeeze(x, bad) d = Concat<axis = 9>(x, x) e = Gemm(x)
        f1 = Reshape(x, f) h = MatMul(x, z) i = Split<axis = 7>(x) j = Div(zero, zero)
        k = Conv(x, x) l = Slice(x) m = Gather(x) n = Einsum<equation = "abc,d">(x) o = Nonsense(x)
        p = Resize(x) q = If(x) r = Loop(x) s1 = LSTM(x) t = Expand(x, f) u = Range(f, f, f)
        v = OneHot(x, x, x) y = Relu(x) }"""
    facts = Facts(model := parse(text))
    assert facts.describe(model.graph.outputs[0]) == "float32[b,s]"
    for name in ("c", "d", "h", "k", "o", "q", "r"):
        assert facts.static_shape(named(model)[name]) is None


def test_descriptions() -> None:
    model = parse(
        "g (float[b,3,224] x, int64 n, float16[] h) => (float y) { z = NonZero(x) y = my(x) }"
    )
    facts = Facts(model)
    x, n = model.graph.inputs[:2]
    assert facts.describe(x) == "float32[b,3,224]"
    assert facts.describe(n) == "int64[]"
    assert facts.describe(named(model)["z"]) == "int64[3,?]"
    assert facts.describe(named(model)["y"]) == "float32[*]"
    assert facts.describe(None) == "?[*]"


def test_elements_nobody_knows_are_the_same_unknowns_each_time() -> None:
    model = parse("""g (float[b,s] x, int64[1] n) => (float y) <int64[1] four = {4}>
      { t = Concat<axis = 0>(n, four) u = Concat<axis = 0>(n, four) a = ConstantOfShape(t)
        c = ConstantOfShape(u) y = Add(a, c) }""")
    facts = Facts(model)
    values = named(model)
    content = facts.content(values["t"])
    assert isinstance(content, tuple)
    assert is_unknown(content[0])
    assert content == facts.content(values["u"])
    assert facts.shape(values["y"]) == facts.shape(values["a"]) == content


def test_a_deep_chain_does_not_exhaust_the_stack() -> None:
    x = ir.Value(name="x", type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape(["b", 4]))
    nodes, last = [], x
    for _ in range(20_000):
        nodes.append(ir.node("Relu", [last]))
        last = nodes[-1].outputs[0]
    graph = ir.Graph([x], [last], nodes=nodes, opset_imports={"": 18}, name="deep")
    facts = Facts(ir.Model(graph, ir_version=9))
    assert facts.describe(last) == "float32[b,4]"
