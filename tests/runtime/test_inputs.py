"""Generated inputs fit what the graph does with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper

from onnxopt.runtime.facts import InputSpec, size_of, symbols
from onnxopt.runtime.inputs import generate
from onnxopt.runtime.modelfacts import overrides, precision, randomness
from onnxopt.runtime.sizes import Attempt, SizePlan
from onnxopt.runtime.trace import input_specs

Loader = Callable[..., ir.Model]
HEADER = '<ir_version: 8, opset_import: ["": 17]>'
TABLE = np.zeros((11, 4), np.float32)


def _values(parse: Loader, text: str, name: str, samples: int = 12, **weights: Any) -> list[Any]:
    return [feed[name] for feed in generate(parse(HEADER + text, weights), samples=samples)]


@pytest.mark.parametrize(
    ("body", "low", "high"),
    [
        ("y = Gather(table, ids)", 0, 10),
        ("i = Cast<to = 7>(ids)\n y = Gather(table, i)", 0, 10),
        ("u = Unsqueeze(ids, zero)\n y = Gather(table, u)", 0, 10),
        ("i = Add(ids, two)\n y = Gather(table, i)", 0, 8),
        ("i = Sub(ids, two)\n y = Gather(table, i)", 2, 12),
        ("i = Sub(two, ids)\n y = Gather(table, i)", 0, 2),
        ("t = Mul(ids, two)\n i = Add(t, two)\n y = Gather(table, i)", 0, 4),
        ("y = Gather<axis = 1>(table, ids)", 0, 3),
        ("c = Concat<axis = 0>(ids, zero)\n y = Gather(table, c)", 0, 10),
        ("y = Gather(table, ids)\n z = Gather<axis = 1>(table, ids)", 0, 3),
    ],
)
def test_indices_stay_inside_the_table(parse: Loader, body: str, low: int, high: int) -> None:
    constants = "zero = Constant<value = int64[1] {0}>()\n two = Constant<value = int64[1] {2}>()\n"
    drawn = _values(
        parse, f"g (int64[N] ids) => (float y) {{ {constants} {body} }}", "ids", table=TABLE
    )
    values = np.concatenate(drawn)
    assert values.min() >= low
    assert values.max() <= high
    assert len(np.unique(values)) > 1


def test_per_field_offsets_bound_by_the_largest(parse: Loader) -> None:
    text = """g (int64[B, 3] ids) => (float y) {
        offsets = Constant<value = int64[3] {0, 4, 9}>()
        i = Add(ids, offsets)
        y = Gather(table, i)
    }"""
    for ids in _values(parse, text, "ids", table=TABLE):
        assert ids.min() >= 0
        assert ids.max() <= 1


def test_gather_nd_and_scatter(parse: Loader) -> None:
    text = """g (int64[N, 2] nd, int64[N, 1] rows, float[N, 4] rows_in) => (float y, float z) {
        y = GatherND(table, nd)
        z = ScatterND(table, rows, rows_in)
    }"""
    model = parse(HEADER + text, {"table": TABLE})
    for feed in generate(model):
        assert feed["nd"].min() >= 0
        assert feed["nd"].max() < 4
        assert feed["rows"].max() < 11
        assert len(feed["nd"]) == len(feed["rows"])


def test_index_into_a_dynamic_axis_follows_its_size(parse: Loader) -> None:
    text = "g (float[N, 2] data, int64[K] ids) => (float y) { y = Gather(data, ids) }"
    for feed in generate(parse(HEADER + text), samples=8):
        assert feed["ids"].max() < len(feed["data"])


def test_through_subgraphs_and_functions(parse: Loader) -> None:
    text = """<ir_version: 10, opset_import: ["": 17, "f": 1]>
    g (int64[N] a, int64[N] b, bool c, int64 n, bool go) => (float y, float z, float w) {
        y = If (c) <
            then_branch = t () => (float p) { p = Gather(table, a) },
            else_branch = e () => (float q) { q = Gather<axis = 1>(table, a) }>
        z = f.look (table, b)
        w = Loop (n, go, y) <body = l (int64 i, bool g_in, float v) => (bool g_out, float v_out) {
            g_out = Identity(g_in)
            v_out = Neg(v)
        }>
    }
    <domain: "f", opset_import: ["": 17]>
    look (t, i) => (o) { o = Gather(t, i) }"""
    seen = set()
    for feed in generate(parse(text, {"table": TABLE}), samples=4):
        assert feed["a"].max() < 4
        assert feed["b"].max() < 11
        assert 0 <= feed["n"] <= 5
        seen.add(bool(feed["c"]))
    assert seen == {True, False}


@pytest.mark.parametrize(
    "body",
    [
        "f = Cast<to = 1>(m)\n n = Sub(one, f)\n y = Mul(n, big)",
        "b = Cast<to = 9>(m)\n y = Where(b, one, big)",
    ],
)
def test_masks_by_structure(parse: Loader, body: str) -> None:
    text = f"""g (int64[B, S] m) => (float y) {{
        one = Constant<value = float {{1}}>()
        big = Constant<value = float {{-10000}}>()
        {body} }}"""
    masks = _values(parse, text, "m", samples=6)
    for mask in masks:
        assert set(np.unique(mask)) <= {0, 1}
        assert (mask.sum(axis=-1) >= 1).all()
    assert any((mask == 0).any() for mask in masks)
    assert any((mask == 1).all() for mask in masks)


def test_masks_added_to_attention_scores(parse: Loader) -> None:
    text = """g (float[2, 3, T, 8] q, float[2, 3, S, 8] k, float[2, 3, S, 8] v, float[T, S] bias)
        => (float y) { y = Attention(q, k, v, bias) }"""
    model = parse(HEADER.replace("8,", "11,", 1).replace("17]", "23]") + text)
    masks = [feed["bias"] for feed in generate(model, samples=6)]
    assert {0.0, -1e4} == set(np.concatenate([m.ravel() for m in masks]).tolist())
    assert all((m == 0).any(axis=-1).all() for m in masks)


@pytest.mark.parametrize("dtype", ["int64", "bool", "float"])
def test_masks_by_name(parse: Loader, dtype: str) -> None:
    text = (
        f"g ({dtype}[B, S] attention_mask) => ({dtype}[B, S] y) {{ y = Identity(attention_mask) }}"
    )
    for mask in _values(parse, text, "attention_mask"):
        assert set(np.unique(mask)) <= {0, 1}
        assert (mask.sum(axis=-1) >= 1).all()


def test_sequence_lengths_within_time(parse: Loader) -> None:
    text = """g (float[T, B, 3] x, int32[B] lens) => (y) {
        y, h, c = LSTM<hidden_size = 2>(x, w, r, , lens)
    }"""
    weights = {"w": np.zeros((1, 8, 3), np.float32), "r": np.zeros((1, 8, 2), np.float32)}
    seen_short = False
    for feed in generate(parse(HEADER + text, weights), samples=8):
        assert feed["lens"].min() >= 1
        assert feed["lens"].max() <= len(feed["x"])
        seen_short |= bool(feed["lens"].min() < len(feed["x"]))
    assert seen_short


def test_equal_constants_are_each_tried_in_turn(parse: Loader) -> None:
    text = """g (int64 sr) => (bool y) {
        a = Constant<value = int64 {16000}>()
        b = Constant<value = int64 {8000}>()
        p = Equal(sr, a)
        q = Equal(b, sr)
        y = Or(p, q)
    }"""
    rates = [int(v) for v in _values(parse, text, "sr", samples=4)]
    assert rates[:2] == [16000, 8000]
    assert rates[2] not in (16000, 8000)


def test_token_ids_contain_the_compared_pad_token(parse: Loader) -> None:
    text = """g (int64[B, S] ids) => (float y, bool[B, S] p) {
        pad = Constant<value = int64 {7}>()
        p = Equal(ids, pad)
        y = Gather(table, ids)
    }"""
    values = np.concatenate([v.ravel() for v in _values(parse, text, "ids", table=TABLE)])
    assert (values == 7).mean() > 1.2 / 11


@pytest.mark.parametrize(
    ("body", "check"),
    [
        ("y = Reshape(x, s)", lambda x, s: int(np.prod(np.where(s == -1, 1, s))) in (1, x.size)),
        (
            "y = Expand(x, s)",
            lambda x, s: all(b in (1, a) for a, b in zip(x.shape, s, strict=True)),
        ),
        ("y = Tile(x, s)", lambda _, s: s.min() >= 1 and s.max() <= 2),
        ("p, q = Split<axis = 1>(x, s)", lambda x, s: s.sum() == x.shape[1]),
        ("y = ConstantOfShape(s)", lambda _, s: s.min() >= 1 and s.max() <= 5),
    ],
)
def test_shape_like_inputs(
    parse: Loader, body: str, check: Callable[[np.ndarray, np.ndarray], bool]
) -> None:
    text = f"g (float[B, 3] x, int64[2] s) => (float y) {{ {body} }}"
    for feed in generate(parse(HEADER + text), samples=6):
        assert check(feed["x"], feed["s"]), feed


def test_integer_divisors_are_never_zero(parse: Loader) -> None:
    text = "g (int64[N] x, int64[N] d) => (int64[N] y) { y = Div(x, d) }"
    assert all((v != 0).all() for v in _values(parse, text, "d"))


def test_strings_include_the_keys_looked_for(parse: Loader) -> None:
    text = """<ir_version: 8, opset_import: ["": 17, "ai.onnx.ml": 3]>
    g (string[N] s) => (int64[N] y) {
        y = ai.onnx.ml.LabelEncoder<keys_strings = ["cat", "dog"], values_int64s = [1, 2]>(s)
    }"""
    words = np.concatenate([f["s"] for f in generate(parse(text), samples=8)])
    assert {"cat", "dog"} <= set(words)
    assert set(words) - {"cat", "dog"}


def test_floats_are_signed_and_of_several_scales(parse: Loader) -> None:
    drawn = _values(parse, "g (float[64, 64] x) => (float[64, 64] y) { y = Neg(x) }", "x", 5)
    assert all(v.dtype == np.float32 for v in drawn)
    assert sum((v < 0).any() for v in drawn) >= 4
    scales = sorted(float(v.std()) for v in drawn)
    assert scales[0] < 0.05
    assert scales[-1] > 5
    assert any((v == 0).any() for v in drawn)
    assert max(float(np.abs(v).max()) for v in drawn) > 50


def test_same_seed_same_feeds(parse: Loader) -> None:
    model = parse(HEADER + "g (float[N, 3] x, int64[N] i) => (float[N, 3] y) { y = Neg(x) }")
    first, again, other = (generate(model, seed=seed) for seed in (1, 1, 2))
    for a, b, c in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(a["x"], b["x"])
        assert not np.array_equal(a["x"], c["x"])


def test_symbols_are_shared_and_vary(parse: Loader) -> None:
    text = """g (float[batch, seq] x, float[seq, batch] y, float[batch, past] p, int64[batch, past + seq] m)
        => (float[batch, seq] z) { z = Neg(x) }"""
    shapes = set()
    for feed in generate(
        parse(HEADER.replace("past + seq", "past") + text.replace("past + seq", "t"))
    ):
        assert feed["x"].shape == feed["y"].shape[::-1]
        assert feed["x"].shape[0] == feed["p"].shape[0]
        shapes.add(feed["x"].shape)
    assert len(shapes) >= 3
    assert {1} < {batch for batch, _ in shapes}


def _spec(name: str, *shape: int | str, dtype: str = "float32") -> InputSpec:
    return InputSpec(name, "tensor", dtype, list(shape))


def test_totals_are_past_plus_new() -> None:
    specs = [_spec("ids", "batch", "sequence_length", dtype="int64")]
    specs += [_spec("kv", "batch", 2, "past_sequence_length", 8)]
    specs += [
        _spec("mask", "batch", "total_sequence_length"),
        _spec("m2", "past_sequence_length + 1"),
    ]
    sizes = next(iter(SizePlan(specs, 1))).sizes
    past, new = sizes["past_sequence_length"], sizes["sequence_length"]
    assert sizes["total_sequence_length"] == past + new
    assert size_of("past_sequence_length + 1", sizes) == past + 1
    assert size_of("2 * (sequence_length - 1)", sizes) == 2 * (new - 1)


def test_plan_settles_on_what_is_accepted() -> None:
    plan = SizePlan([_spec("x", "?x.0", "?x.1")], 4)

    def accepts(attempt: Attempt) -> bool:
        return attempt.sizes["?x.1"] % 64 == 0

    accepted = []
    for attempt in plan:
        if accepts(attempt):
            plan.accept(attempt)
            accepted.append(attempt)
    assert len(accepted) == 4
    assert len({attempt.sizes["?x.0"] for attempt in accepted}) >= 2
    assert len({attempt.sizes["?x.1"] for attempt in accepted}) >= 2
    assert len({attempt.variant for attempt in accepted}) == 4


def test_plan_finds_that_a_length_is_the_sum_of_others() -> None:
    specs = [_spec("ids", "batch", "sequence", dtype="int64"), _spec("m", "batch", "s53")]
    plan = SizePlan([*specs, _spec("kv", "batch", "past")], 4)
    accepted = []
    for attempt in plan:
        sizes = attempt.sizes
        if sizes["s53"] == sizes["sequence"] + sizes["past"]:
            plan.accept(attempt)
            accepted.append(sizes)
    assert len(accepted) == 4
    assert len({(sizes["sequence"], sizes["past"]) for sizes in accepted}) >= 3


def test_plan_gives_up() -> None:
    assert len(list(SizePlan([_spec("x", "N")], 4))) < 120
    assert 0 < len(list(SizePlan([], 4))) < 10


@pytest.mark.parametrize("name", ["a.b", "batch size", "", "?", "f(x)", "x" * 500, "(" * 300])
def test_odd_dim_names_are_symbols(name: str) -> None:
    assert symbols(name) == {name} or name == ""
    assert size_of(name, {name: 3}) == 3


def test_unnamed_dims_that_weights_fix(parse: Loader) -> None:
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    conv = helper.make_node("Conv", ["i", "k"], ["z"], group=2)
    graph = helper.make_graph(
        [node, conv],
        "g",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, None]),
            helper.make_tensor_value_info("i", TensorProto.FLOAT, None),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    weights = {"w": np.zeros((37, 5), np.float32), "k": np.zeros((4, 3, 1, 1), np.float32)}
    for feed in generate(parse(proto, weights)):
        assert feed["x"].shape[1] == 37
        assert feed["i"].ndim == 4
        assert feed["i"].shape[1] == 6


def test_sequences_and_optionals(parse: Loader) -> None:
    tensor = helper.make_tensor_type_proto(TensorProto.FLOAT, [2, None])
    graph = helper.make_graph(
        [helper.make_node("SequenceLength", ["s"], ["n"])],
        "g",
        [
            helper.make_value_info("s", helper.make_sequence_type_proto(tensor)),
            helper.make_value_info("o", helper.make_optional_type_proto(tensor)),
        ],
        [helper.make_tensor_value_info("n", TensorProto.INT64, [])],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    feeds = generate(parse(proto), samples=4)
    assert all(isinstance(f["s"], list) and f["s"][0].shape[0] == 2 for f in feeds)
    assert {f["o"] is None for f in feeds} == {True, False}


@pytest.mark.parametrize(
    ("onnx_type", "name"),
    [
        (TensorProto.BFLOAT16, "bfloat16"),
        (TensorProto.FLOAT16, "float16"),
        (TensorProto.FLOAT8E4M3FN, "float8_e4m3fn"),
        (TensorProto.INT4, "int4"),
        (TensorProto.UINT4, "uint4"),
        (TensorProto.UINT64, "uint64"),
        (TensorProto.INT8, "int8"),
        (TensorProto.COMPLEX64, "complex64"),
    ],
)
def test_every_element_type(parse: Loader, onnx_type: int, name: str) -> None:
    info = helper.make_tensor_value_info("x", onnx_type, [40])
    out = helper.make_tensor_value_info("y", onnx_type, [40])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [info], [out])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    for feed in generate(parse(proto)):
        assert feed["x"].dtype.name == name
        assert len(np.unique(feed["x"].astype(complex))) > 1


def test_weights_listed_as_inputs_are_not_fed(parse: Loader) -> None:
    text = "g (float[2] x, float[2] w) => (float[2] y) { y = Mul(x, w) }"
    for version in (3, 8):
        header = HEADER.replace("8,", f"{version},", 1)
        model = parse(header + text, {"w": np.array([1, -2], np.float32)})
        assert [spec.name for spec in input_specs(model)] == ["x"]
        overridden = overrides(model, 0)
        assert (set(overridden) == {"w"}) == (version >= 4)
        if overridden:
            np.testing.assert_allclose(overridden["w"], [1, -2], rtol=0.11)
            assert (overridden["w"] != [1, -2]).all()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("y = Neg(x)", "none"),
        ("y = RandomNormalLike(x)", "random"),
        ("y = Bernoulli(x)", "random"),
        ("y = my.Op(x)", "unknown"),
    ],
)
def test_randomness(parse: Loader, body: str, expected: str) -> None:
    header = HEADER.replace("17]", '17, "my": 1]')
    model = parse(f"{header} g (float[2] x) => (float[2] y) {{ {body} }}")
    assert randomness(model) == expected


def test_precision(parse: Loader) -> None:
    text = "g (float[2] x) => (float[2] y) { h = Cast<to = 10>(x)\n y = Cast<to = 1>(h) }"
    assert precision(parse(HEADER + text)) == "float16"
    assert precision(parse(HEADER + text.replace("to = 10", "to = 16"))) == "bfloat16"
    assert precision(parse(HEADER + text.replace("to = 10", "to = 11"))) is None
