"""What computes in the shorter type, what does not and why, and where conversions stand."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

from onnxopt.errors import UsageError
from onnxopt.targets.load import load_target

from .support import initializers, op_types, optimise, parse, result

HALF, SINGLE = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT
rng = np.random.default_rng(3)


def convert(model: onnx.ModelProto, options: str = "", target: str = "generic") -> onnx.ModelProto:
    """Converts to float16 unless the options say otherwise, and checks the result."""
    pipeline = f"convert-precision{{{options}}}" if options else "convert-precision"
    return result(optimise(model, pipeline, target=load_target(target)))


def notes(model: onnx.ModelProto, options: str = "") -> str:
    pipeline = f"convert-precision{{{options}}}" if options else "convert-precision"
    return " ".join(optimise(model, pipeline, target=load_target("generic")).stats.notes)


def declined(model: onnx.ModelProto, options: str = "") -> dict[str, int]:
    pipeline = f"convert-precision{{{options}}}" if options else "convert-precision"
    stats = optimise(model, pipeline, target=load_target("generic")).stats
    return dict(stats.declined.get("convert-precision", {}))


def types(model: onnx.ModelProto) -> dict[str, int]:
    """Element types by value name, main graph."""
    inferred = onnx.shape_inference.infer_shapes(model)
    graph = inferred.graph
    found = {i.name: i.data_type for i in graph.initializer}
    for value in (*graph.input, *graph.output, *graph.value_info):
        found[value.name] = value.type.tensor_type.elem_type
    return found


def computes(model: onnx.ModelProto) -> dict[str, int]:
    """The type of each node's first result, by operator; the last one of a kind counts."""
    known = types(model)
    return {n.op_type: known[n.output[0]] for n in model.graph.node if n.output[0] in known}


def head(opset: int = 17) -> str:
    return f'<ir_version: 8, opset_import: ["" : {opset}]>\n'


def product(body: str = "y = MatMul(x, w)", opset: int = 17) -> onnx.ModelProto:
    text = f"{head(opset)}g (float[N,4] x) => (float[N,4] y) {{ {body} }}"
    return parse(text, w=rng.normal(size=(4, 4)).astype(np.float32))


def test_conversions_stand_at_the_borders_only() -> None:
    after = convert(product("a = MatMul(x, w) b = Relu(a) c = Tanh(b) y = MatMul(c, w)"))
    assert [n.op_type for n in after.graph.node] == [
        "Cast", "MatMul", "Relu", "Tanh", "MatMul", "Cast",
    ]  # fmt: skip
    assert [v.type.tensor_type.elem_type for v in (*after.graph.input, *after.graph.output)] == [
        SINGLE,
        SINGLE,
    ]
    assert initializers(after)["w"].dtype == np.float16


def test_a_value_is_converted_once_for_all_its_readers() -> None:
    body = "a = MatMul(x, w) e = Exp(a) f = Exp(a) g = Add(e, f) h = MatMul(a, w) y = Add(g, h)"
    after = convert(product(body))
    casts = [n.input[0] for n in after.graph.node if n.op_type == "Cast"]
    assert len(casts) == len(set(casts))


def test_input_and_output_types_change_when_asked() -> None:
    after = convert(product(), 'io="converted"')
    assert op_types(after.graph) == {"MatMul": 1}
    assert types(after)["x"] == types(after)["y"] == HALF


def test_one_input_changes_by_name() -> None:
    after = convert(product(), 'io="x"')
    assert types(after)["x"] == HALF
    assert types(after)["y"] == SINGLE


def test_names_of_inputs_that_do_not_exist_are_refused() -> None:
    with pytest.raises(UsageError, match="no input or output called 'z'"):
        convert(product(), 'io="z"')


def test_a_type_that_is_none_to_convert_to_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot convert to 'int8'"):
        convert(product(), "to=int8")


@pytest.mark.parametrize("name", ["second", "b", "Relu"])
def test_what_is_named_stays_single(name: str) -> None:
    text = f"{head()}g (float[N,4] x) => (float[N,4] y) {{ a = MatMul(x, w) b = Relu(a) y = MatMul(b, w) }}"
    model = parse(text, w=np.eye(4, dtype=np.float32))
    model.graph.node[1].name = "second"
    after = convert(model, f'keep="{name}"')
    assert computes(after)["Relu"] == SINGLE
    assert computes(convert(model))["Relu"] == HALF


def test_names_to_keep_that_do_not_exist_are_refused() -> None:
    with pytest.raises(UsageError, match="nothing to keep is called 'Relo'"):
        convert(product("a = Relu(x) y = MatMul(a, w)"), "keep=Relo")


def test_target_lists_what_stays_and_says_why() -> None:
    model = product("a = MatMul(x, w) b = Exp(a) y = MatMul(b, w)")
    assert computes(convert(model))["Exp"] == SINGLE
    assert declined(model) == {"Exp: exponentials overflow": 1}


def test_large_numbers_stay_single_until_they_are_usual_again() -> None:
    body = (
        "a = MatMul(x, w) two = Constant<value = float {2.0}>() p = Pow(a, two) "
        "m = ReduceMean<axes=[-1]>(p) e = Constant<value = float {0.001}>() s = Add(m, e) "
        "r = Sqrt(s) d = Div(a, r) y = MatMul(d, w)"
    )
    found = computes(convert(product(body)))
    assert [found[op] for op in ("Pow", "ReduceMean", "Add", "Sqrt")] == [SINGLE] * 4
    assert found["MatMul"] == found["Div"] == HALF


def test_square_written_as_a_product_stays_single() -> None:
    found = computes(
        convert(product("a = MatMul(x, w) b = Mul(a, a) c = Sqrt(b) y = MatMul(c, w)"))
    )
    assert found["Mul"] == found["Sqrt"] == SINGLE


def test_weight_read_in_both_types_is_kept_in_both() -> None:
    body = "a = MatMul(x, w) b = MatMul(a, w) y = Add(a, b)"
    model = product(body)
    model.graph.node[1].name = "kept"
    after = convert(model, "keep=kept")
    assert sorted(str(a.dtype) for a in initializers(after).values()) == ["float16", "float32"]


def test_large_weight_read_in_both_types_is_stored_once() -> None:
    text = f"{head()}g (float[N,64] x) => (float[N,64] y) {{ a = MatMul(x, w) y = MatMul(a, w) }}"
    model = parse(text, w=rng.normal(size=(64, 64)).astype(np.float32))
    model.graph.node[1].name = "kept"
    after = convert(model, "keep=kept")
    assert len(after.graph.initializer) == 1
    assert ["w"] in [list(n.input) for n in after.graph.node if n.op_type == "Cast"]


def test_finite_mask_becomes_the_lowest_number() -> None:
    text = (
        f"{head()}g (bool[N,4] c, float[N,4] x) => (float[N,4] y) "
        "{ m = Constant<value = float {-3.4e38}>() a = MatMul(x, w) y = Where(c, a, m) }"
    )
    model = parse(text, w=np.eye(4, dtype=np.float32))
    after = convert(model)
    [mask] = [n for n in after.graph.node if n.op_type == "Constant"]
    assert onnx.numpy_helper.to_array(mask.attribute[0].t) == -65504
    assert "mask values beyond the range" in notes(model)


def test_infinite_mask_stays_infinite() -> None:
    text = f"{head()}g (bool[N,4] c, float[N,4] x) => (float[N,4] y) {{ a = MatMul(x, w) y = Where(c, a, m) }}"
    model = parse(text, w=np.eye(4, dtype=np.float32), m=np.array(-np.inf, np.float32))
    assert initializers(convert(model))["m"] == -np.inf


def test_weight_beyond_the_range_keeps_its_user_single() -> None:
    text = f"{head()}g (float[N,4] x) => (float[N,4] y) {{ a = MatMul(x, w) b = Mul(a, c) y = MatMul(b, w) }}"
    model = parse(text, w=np.eye(4, dtype=np.float32), c=np.array([1, 2, 70000, 3], np.float32))
    assert computes(convert(model))["Mul"] == SINGLE
    assert "Mul: a constant holds 7e+04, out of the type's range" in declined(model)
    assert computes(convert(model, "to=bfloat16"))["Mul"] == onnx.TensorProto.BFLOAT16


def test_number_that_would_become_zero_keeps_its_user_single() -> None:
    body = "a = MatMul(x, w) e = Constant<value = float {1e-12}>() b = Add(a, e) y = MatMul(b, w)"
    assert computes(convert(product(body)))["Add"] == SINGLE


def test_weights_that_mostly_vanish_are_mentioned() -> None:
    text = f"{head()}g (float[N,64] x) => (float[N,64] y) {{ y = MatMul(x, w) }}"
    model = parse(text, w=np.full((64, 64), 1e-9, np.float32))
    assert "become zero in w (100%)" in notes(model)


def test_scales_and_regions_of_resize_stay_single() -> None:
    text = (
        f'{head()}g (float[1,1,4,4] x) => (float[1,1,8,8] y) {{ a = Mul(x, x) b = Relu(x) y = Resize<mode="linear", '
        'coordinate_transformation_mode="tf_crop_and_resize">(b, roi, scales) }'
    )
    model = parse(
        text,
        roi=np.array([0, 0, 0, 0, 1, 1, 1, 1], np.float32),
        scales=np.array([1, 1, 2, 2], np.float32),
    )
    after = convert(model)
    assert computes(after)["Resize"] == HALF
    assert {str(a.dtype) for a in initializers(after).values()} == {"float32"}


def test_conversions_inside_are_retargeted() -> None:
    text = f"{head()}g (int32[N,4] i) => (float[N,4] y) {{ x = Cast<to=1>(i) y = MatMul(x, w) }}"
    after = convert(parse(text, w=np.eye(4, dtype=np.float32)))
    assert [n.op_type for n in after.graph.node] == ["Cast", "MatMul", "Cast"]
    assert after.graph.node[0].attribute[0].i == HALF


def test_conversion_to_integers_reads_what_comes() -> None:
    text = f"{head()}g (float[N,4] x) => (int64[N,4] y) {{ a = MatMul(x, w) y = Cast<to=7>(a) }}"
    after = convert(parse(text, w=np.eye(4, dtype=np.float32)))
    assert [n.op_type for n in after.graph.node] == ["Cast", "MatMul", "Cast"]


def test_positions_stay_single_until_they_meet_data() -> None:
    text = (
        f"{head()}g (int64[N,1] p, float[N,4] x) => (float[N,4] y) "
        "{ f = Cast<to=1>(p) a = Mul(f, r) s = Sin(a) b = MatMul(x, w) y = Add(b, s) }"
    )
    model = parse(
        text,
        w=np.eye(4, dtype=np.float32),
        r=np.array([[1, 0.1, 0.01, 0.001]], np.float32),
    )
    found = computes(convert(model))
    assert found["Mul"] == found["Sin"] == SINGLE
    assert found["Add"] == HALF


def test_filling_of_new_tensors_has_the_shorter_type() -> None:
    text = f"{head()}g (int64[2] s, float[N,4] x) => (float[N,4] y) {{ z = ConstantOfShape(s) a = MatMul(x, w) y = Add(a, z) }}"
    after = convert(parse(text, w=np.eye(4, dtype=np.float32)))
    [fill] = [n for n in after.graph.node if n.op_type == "ConstantOfShape"]
    assert fill.attribute[0].t.data_type == HALF


def test_branches_return_what_is_read() -> None:
    text = (
        f"{head()}g (bool c, float[N,4] x) => (float[N,4] y) {{ a = MatMul(x, w) "
        "b = If(c) <then_branch = t () => (float[N,4] p) { p = Relu(a) }, "
        "else_branch = e () => (float[N,4] q) { q = Exp(a) }> y = MatMul(b, w) }"
    )
    after = convert(parse(text, w=np.eye(4, dtype=np.float32)))
    [branch] = [n for n in after.graph.node if n.op_type == "If"]
    bodies = {a.name: a.g for a in branch.attribute}
    assert [n.op_type for n in bodies["then_branch"].node] == ["Relu"]
    assert [n.op_type for n in bodies["else_branch"].node] == ["Exp", "Cast"]
    assert [b.output[0].type.tensor_type.elem_type for b in bodies.values()] == [HALF, HALF]


def test_loops_carry_single_precision_and_compute_in_half() -> None:
    text = (
        f"{head()}g (int64 n, bool c, float[N,4] x) => (float[N,4] y) {{ y = Loop(n, c, x) <body = b "
        "(int64 i, bool k, float[N,4] s) => (bool k2, float[N,4] t) { k2 = Identity(k) t = MatMul(s, w) }> }"
    )
    after = convert(parse(text, w=np.eye(4, dtype=np.float32)))
    assert [n.op_type for n in after.graph.node] == ["Loop"]
    assert op_types(after.graph) == {"Loop": 1, "Identity": 1, "MatMul": 1, "Cast": 2}


def test_operators_take_bfloat16_only_where_their_schema_does() -> None:
    conv = "(float[1,4,8,8] x) => (float[1,4,8,8] y) { a = Conv(x, k) y = Relu(a) }"
    weights: dict[str, Any] = {"k": rng.normal(size=(4, 4, 1, 1)).astype(np.float32)}
    old = parse(f"{head(17)}g {conv}", **weights)
    assert op_types(convert(old, "to=bfloat16").graph) == {"Conv": 1, "Relu": 1}
    assert "1 Conv stay in float32" in notes(old, "to=bfloat16")
    new = parse(f'<ir_version: 10, opset_import: ["" : 22]>\ng {conv}', **weights)
    assert computes(convert(new, "to=bfloat16"))["Conv"] == onnx.TensorProto.BFLOAT16


def test_opset_without_the_conversion_is_named() -> None:
    assert "opset 12 has no conversion to bfloat16" in notes(product(opset=12), "to=bfloat16")


def test_quantised_parts_stay() -> None:
    text = (
        f"{head()}g (float[N,4] x) => (float[N,4] y) {{ q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z) "
        "a = MatMul(d, w) r = QuantizeLinear(a, s, z) t = DequantizeLinear(r, s, z) u = Tanh(t) y = MatMul(u, w) }"
    )
    model = parse(
        text,
        s=np.array(0.1, np.float32),
        z=np.array(0, np.uint8),
        w=np.eye(4, dtype=np.float32),
    )
    after = convert(model)
    known = types(after)
    assert [known[n.output[0]] for n in after.graph.node if n.op_type == "MatMul"] == [SINGLE, HALF]


def test_unknown_operators_stay_single() -> None:
    model = parse(
        '<ir_version: 8, opset_import: ["" : 17, "mine" : 1]>\ng (float[N,4] x) => (float[N,4] y) '
        "{ a = MatMul(x, w) b = mine.Op(a) y = MatMul(b, w) }",
        w=np.eye(4, dtype=np.float32),
    )
    model.graph.value_info.append(onnx.helper.make_tensor_value_info("b", SINGLE, ["N", 4]))
    after = optimise(model, "convert-precision", target=load_target("generic"))
    from onnxopt.io import to_proto

    casts = [n for n in to_proto(after.model).graph.node if n.op_type == "Cast"]
    assert len(casts) == 4


def test_functions_of_the_model_stay() -> None:
    model = parse(
        '<ir_version: 8, opset_import: ["" : 17, "mine" : 1]>\ng (float[N,4] x) => (float[N,4] y) '
        "{ a = MatMul(x, w) y = mine.act(a) }\n"
        '<domain: "mine", opset_import: ["" : 17]>\nact (p) => (q) { q = Relu(p) }',
        w=np.eye(4, dtype=np.float32),
    )
    model.graph.output[0].type.tensor_type.elem_type = SINGLE
    after = convert(model)
    assert [n.op_type for n in after.graph.node] == ["Cast", "MatMul", "Cast", "act"]


def test_model_of_the_type_already_is_left_alone() -> None:
    text = f"{head()}g (float16[N,4] x) => (float16[N,4] y) {{ y = MatMul(x, w) }}"
    model = parse(text, w=np.eye(4, dtype=np.float16))
    assert "computes in float16 already" in notes(model)
    assert op_types(convert(model).graph) == {"MatMul": 1}


def test_random_operators_draw_what_they_drew() -> None:
    text = f"{head()}g (float[3,4] x) => (float[3,4] y) {{ r = RandomNormal<shape=[3,4], seed=1.0>() a = MatMul(x, w) y = Add(a, r) }}"
    after = convert(parse(text, w=np.eye(4, dtype=np.float32)))
    assert computes(after)["RandomNormal"] == SINGLE


def test_target_without_kernels_for_a_type_converts_nothing() -> None:
    after = convert(product(), "to=bfloat16", target="ort-cpu")
    assert op_types(after.graph) == {"MatMul": 1}


def test_overridable_weights_stay_inputs() -> None:
    text = f"{head()}g (float[N,4] x, float[4,4] w) => (float[N,4] y) {{ y = MatMul(x, w) }}"
    after = convert(parse(text, w=np.eye(4, dtype=np.float32)))
    assert initializers(after)["w"].dtype == np.float32
    assert op_types(after.graph) == {"Cast": 3, "MatMul": 1}


def test_bfloat16_is_emulated_with_its_roundings() -> None:
    model = product("a = MatMul(x, w) b = Relu(a) y = MatMul(b, w)")
    outcome = optimise(
        model, "convert-precision{to=bfloat16}, emulate-precision", target=load_target("generic")
    )
    x = rng.normal(size=(3, 4)).astype(np.float32)
    from onnxopt.runtime.evaluate import run_small

    [got] = run_small(result(outcome), {"x": x})
    short = onnx.helper.tensor_dtype_to_np_dtype(onnx.TensorProto.BFLOAT16)
    w = initializers(model)["w"].astype(short).astype(np.float32)
    a = np.maximum((x.astype(short).astype(np.float32) @ w).astype(short).astype(np.float32), 0)
    np.testing.assert_allclose(got, (a @ w).astype(short).astype(np.float32), rtol=1e-2, atol=1e-6)
    assert np.array_equal(got, got.astype(short).astype(np.float32))
