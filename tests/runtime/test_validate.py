"""Validation end to end: real runtime, real child process."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from onnxopt.errors import ModelError, UsageError
from onnxopt.runtime.inputs import generate
from onnxopt.runtime.validate import compare, validate
from onnxopt.runtime.validation import Validation

Writer = Callable[..., Path]
HEADER = '<ir_version: 8, opset_import: ["": 17]>'
LINEAR = (
    HEADER
    + """ g (float[N, 8] x) => (float[N, 4] y, float[N, 4] z) {
    m = MatMul(x, w)
    y = Add(m, b)
    z = Tanh(y)
}"""
)


@pytest.fixture
def weights(rng: np.random.Generator) -> dict[str, np.ndarray]:
    return {
        "w": rng.standard_normal((8, 4)).astype(np.float32),
        "b": rng.standard_normal(4).astype(np.float32),
    }


def _model(
    nodes: list[onnx.NodeProto],
    inputs: list[Any],
    outputs: list[Any],
    opset: int = 17,
    **kwargs: Any,
) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "g", inputs, outputs, **kwargs)
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("my", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10 if opset > 20 else 8)


def _tensor(name: str, kind: int, *shape: int | str | None) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, list(shape))


def test_a_model_equals_itself(write: Writer, weights: dict[str, np.ndarray]) -> None:
    path = write(LINEAR, weights)
    result = validate(path, path)
    assert result.status == "passed", result.reason
    assert result.passed
    assert [o.name for o in result.providers[0].outputs] == ["y", "z"]
    assert len(result.samples) == 5
    assert len({tuple(s.shapes["x"]) for s in result.samples}) >= 3
    assert {"onnxruntime", "numpy", "onnxopt"} <= set(result.versions)
    text = json.dumps(result.to_json(), allow_nan=False)
    assert json.loads(text)["providers"][0]["outputs"][0]["snr_db"] is None or "snr_db" in text


def test_a_harmless_rewrite_passes(write: Writer, weights: dict[str, np.ndarray]) -> None:
    gemm = LINEAR.replace("m = MatMul(x, w)\n    y = Add(m, b)", "y = Gemm(x, w, b)")
    result = validate(write(LINEAR, weights), write(gemm, weights))
    assert result.status == "passed", result.reason


def _failed(result: Validation, part: str) -> None:
    assert result.status == "failed", result
    assert part in result.reason
    assert "\n" not in result.reason


def test_bias_off_by_a_hundredth(write: Writer, weights: dict[str, np.ndarray]) -> None:
    wrong = {**weights, "b": weights["b"] * np.float32(1.01)}
    result = validate(write(LINEAR, weights), write(LINEAR, wrong))
    _failed(result, "'y'")
    (y, _) = result.providers[0].outputs
    assert y.verdict == "differs"
    assert y.snr_db is not None
    assert y.snr_db < 80


def test_one_weight_off(write: Writer, weights: dict[str, np.ndarray]) -> None:
    wrong = {**weights, "w": weights["w"].copy()}
    wrong["w"][3, 2] *= np.float32(1.01)
    _failed(validate(write(LINEAR, weights), write(LINEAR, wrong)), "max error")


def test_swapped_outputs(write: Writer, weights: dict[str, np.ndarray]) -> None:
    swapped = LINEAR.replace("float[N, 4] y, float[N, 4] z", "float[N, 4] z, float[N, 4] y")
    _failed(validate(write(LINEAR, weights), write(swapped, weights)), "outputs are")
    crossed = LINEAR.replace("y = Add(m, b)\n    z = Tanh(y)", "z = Add(m, b)\n    y = Tanh(z)")
    _failed(validate(write(LINEAR, weights), write(crossed, weights)), "'y'")


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (("z = Tanh(y)", "q = Sqrt(y)\n z = Mul(q, q)"), "NaN"),
        (("float[N, 4] z", "double[N, 4] z"), "dtype float64"),
        (("z = Tanh(y)", "t = Tanh(y)\n z = Transpose(t)"), "shape"),
        (("float[N, 8] x", "float[N, 8] input"), "inputs are"),
        (("float[N, 8] x", "float[N, 8] x, float[N] extra"), "inputs are"),
        ((", float[N, 4] z", ""), "outputs are"),
        (("z = Tanh(y)", "z = NoSuchOp(y)"), "the candidate does not load"),
        (("float[N, 8] x", "float[2, 8] x"), "the candidate fails on"),
    ],
)
def test_other_damage(
    write: Writer, weights: dict[str, np.ndarray], change: tuple[str, str], part: str
) -> None:
    damaged = LINEAR.replace(*change)
    if "double" in change[1]:
        damaged = damaged.replace("z = Tanh(y)", "t = Tanh(y)\n z = Cast<to = 11>(t)")
    if "input" in change[1]:
        damaged = damaged.replace("MatMul(x", "MatMul(input")
    _failed(validate(write(LINEAR, weights), write(damaged, weights)), part)


def test_user_tolerance(write: Writer, weights: dict[str, np.ndarray]) -> None:
    wrong = {**weights, "w": weights["w"] * np.float32(1.001), "b": weights["b"]}
    paths = write(LINEAR, weights), write(LINEAR, wrong)
    assert validate(*paths, atol=10.0, rtol=1.0).passed
    assert validate(*paths).status == "failed"
    strict = validate(*paths, rtol=1e-7)
    assert strict.status == "failed"
    assert all(o.noise_snr_db is None for o in strict.providers[0].outputs)


def test_given_feeds_are_all_run(
    write: Writer, weights: dict[str, np.ndarray], rng: np.random.Generator
) -> None:
    feeds = [{"x": rng.standard_normal((n, 8)).astype(np.float32) * 100} for n in (1, 4, 9)]
    path = write(LINEAR, weights)
    result = validate(path, path, feeds=feeds)
    assert [s.shapes["x"] for s in result.samples] == [[1, 8], [4, 8], [9, 8]]
    with pytest.raises(UsageError, match="empty"):
        validate(path, path, feeds=[])


def test_feeds_the_reference_refuses_are_reported(
    write: Writer, weights: dict[str, np.ndarray]
) -> None:
    good = {"x": -np.ones((1, 8), np.float32)}
    bad = {"x": np.ones((1, 7), np.float32)}
    path = write(LINEAR, weights)
    some = validate(path, path, feeds=[good, bad])
    assert some.passed
    assert "refused 1 other" in some.notes[0]
    none = validate(path, path, feeds=[bad])
    assert none.status == "not-validated"
    assert "runs on no input" in none.reason


@pytest.mark.parametrize("via_generate", [False, True])
def test_sizes_settle_on_what_the_reference_accepts(write: Writer, via_generate: bool) -> None:
    text = (
        HEADER
        + """ g (float[N, L] x) => (float[A, B, C] y) {
        s = Constant<value = int64[3] {0, 12, -1}>()
        y = Reshape(x, s)
    }"""
    )
    path = write(text)
    feeds = generate(onnx_ir_load(path)) if via_generate else None
    result = validate(path, path, feeds=feeds)
    assert result.status == "passed", result.reason
    assert all(s.sizes["L"] % 12 == 0 for s in result.samples)
    assert len({s.sizes["L"] for s in result.samples}) >= 2
    assert "refused" in result.notes[0]


def onnx_ir_load(path: Path) -> Any:
    import onnx_ir

    return onnx_ir.load(path)


def test_reference_that_never_runs(write: Writer) -> None:
    text = (
        HEADER
        + " g (float[N] x) => (float[2] y) { s = Constant<value = int64[1] {977}>()\n y = Reshape(x, s) }"
    )
    result = validate(write(text), write(text))
    assert result.status == "not-validated"
    assert "runs on no input" in result.reason
    assert "\n" not in result.reason


def test_custom_operator_without_its_library(write: Writer) -> None:
    path = write(
        _model(
            [helper.make_node("Mystery", ["x"], ["y"], domain="my")],
            [_tensor("x", TensorProto.FLOAT, 2)],
            [_tensor("y", TensorProto.FLOAT, 2)],
        )
    )
    result = validate(path, path)
    assert result.status == "not-validated"
    assert "Mystery" in result.reason
    with pytest.raises(UsageError, match="does not exist"):
        validate(path, path, custom_op_libraries=["/nowhere/lib.so"])


def test_missing_file_is_not_validated_or_failed(
    write: Writer, weights: dict[str, np.ndarray], tmp_path: Path
) -> None:
    path = write(LINEAR, weights)
    feeds = [{"x": np.ones((1, 8), np.float32)}]
    result = validate(path, tmp_path / "gone.onnx", feeds=feeds)
    _failed(result, "does not load")


def test_unreadable_reference(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"not a model")
    for function in (validate, compare):
        with pytest.raises(ModelError, match=r"bad\.onnx"):
            function(tmp_path / "bad.onnx", tmp_path / "bad.onnx")


LOOP = (
    HEADER
    + """ g (float[2] x, int64 n) => (float[2] y) {
    go = Constant<value = int32 {1}>()
    c = Cast<to = 9>(go)
    m = COUNT
    y = Loop (m, c, x) <body = l (int64 i, bool g_in, float[2] v) => (bool g_out, float[2] v_out) {
        g_out = Identity(g_in)
        v_out = Neg(v)
    }>
}"""
)
ENDLESS = LOOP.replace("COUNT", "Constant<value = int64 {4611686018427387904}>()")
SHORT = LOOP.replace("COUNT", "Constant<value = int64 {4}>()")


def test_hanging_candidate_fails(write: Writer) -> None:
    result = validate(write(SHORT), write(ENDLESS), timeout_s=4)
    _failed(result, "the candidate on sample 0: no end within 4 s")


def test_hanging_reference_is_not_validated(write: Writer) -> None:
    result = validate(write(ENDLESS), write(SHORT), timeout_s=4)
    assert result.status == "not-validated"
    assert "the original on sample 0: no end within 4 s" in result.reason


def test_types_the_runtime_lacks_go_to_the_reference_evaluator(write: Writer) -> None:
    def path(op: str) -> Path:
        return write(
            _model(
                [helper.make_node(op, ["x"], ["y"])],
                [_tensor("x", TensorProto.BFLOAT16, "N", 3)],
                [_tensor("y", TensorProto.BFLOAT16, "N", 3)],
                opset=22,
            )
        )

    same = validate(path("Cos"), path("Cos"))
    assert same.status == "passed", same.reason
    assert same.providers[0].backend == "onnx-reference-evaluator"
    assert "reference evaluator" in same.notes[0]
    assert "onnx" in same.versions
    other = validate(path("Cos"), path("Sin"))
    assert other.status == "failed"


def test_bfloat16_and_int4_on_the_runtime(write: Writer) -> None:
    path = write(
        _model(
            [
                helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT),
                helper.make_node("Cast", ["q"], ["g"], to=TensorProto.FLOAT),
                helper.make_node("Mul", ["f", "g"], ["p"]),
                helper.make_node("Cast", ["p"], ["y"], to=TensorProto.BFLOAT16),
            ],
            [_tensor("x", TensorProto.BFLOAT16, "N"), _tensor("q", TensorProto.INT4, "N")],
            [_tensor("y", TensorProto.BFLOAT16, "N")],
            opset=21,
        )
    )
    feeds = [
        {"x": np.array([1, -2, 300], ml_dtypes.bfloat16), "q": np.array([3, -8, 7], ml_dtypes.int4)}
    ]
    for given in (None, feeds):
        result = validate(path, path, feeds=given)
        assert result.status == "passed", result.reason
        assert result.providers[0].backend == "onnxruntime"


def test_sequences_optionals_and_strings(write: Writer) -> None:
    tensor = helper.make_tensor_type_proto(TensorProto.FLOAT, [None, 2])
    sequence, optional = (
        helper.make_sequence_type_proto(tensor),
        helper.make_optional_type_proto(tensor),
    )

    def path(op: str) -> Path:
        return write(
            _model(
                [
                    helper.make_node("ConcatFromSequence", ["s"], ["c"], axis=0),
                    helper.make_node(op, ["c"], ["d"]),
                    helper.make_node("SequenceInsert", ["s", "d"], ["t"]),
                    helper.make_node("OptionalHasElement", ["o"], ["has"]),
                    helper.make_node("Identity", ["w"], ["v"]),
                ],
                [
                    helper.make_value_info("s", sequence),
                    helper.make_value_info("o", optional),
                    _tensor("w", TensorProto.STRING, "K"),
                ],
                [
                    helper.make_value_info("t", sequence),
                    _tensor("has", TensorProto.BOOL),
                    _tensor("v", TensorProto.STRING, "K"),
                ],
                opset=18,
            )
        )

    same = validate(path("Neg"), path("Neg"))
    assert same.status == "passed", same.reason
    assert {"t[0]", "has", "v"} <= {o.name for o in same.providers[0].outputs}
    _failed(validate(path("Neg"), path("Abs")), "'t[")


def test_unseeded_randomness_is_named_and_not_compared(write: Writer) -> None:
    text = (
        HEADER
        + """ g (float[N, 4] x) => (float[N, 4] y, float[N, 4] r, float[N, 4] s) {
        y = Neg(x)
        n = RandomNormalLike(x)
        r = Add(x, n)
        k = RandomUniformLike<seed = 3.0>(x)
        s = Add(x, k)
    }"""
    )
    result = validate(write(text), write(text))
    assert result.status == "passed", result.reason
    verdicts = {o.name: o.verdict for o in result.providers[0].outputs}
    assert verdicts["r"] == "not-compared"
    assert verdicts["y"] == "equal"
    assert verdicts["s"] == "equal"
    assert "'r' is nondeterministic" in " ".join(result.notes)
    wrong = write(text.replace("Neg(x)", "Identity(x)"))
    _failed(validate(write(text), wrong), "'y'")
    only = HEADER + " g () => (float[3] r) { r = RandomNormal<shape = [3]>() }"
    assert validate(write(only), write(only)).status == "not-validated"


def test_model_without_inputs_or_with_infinite_output(write: Writer) -> None:
    text = (
        HEADER + " g () => (float[2] y) { c = Constant<value = float[2] {0, -0.5}>()\n y = Log(c) }"
    )
    result = validate(write(text), write(text))
    assert result.status == "passed", result.reason
    assert len(result.samples) == 1
    assert "NaN or infinite throughout" in " ".join(result.notes)


def test_overridable_initializers_are_overridden_once(write: Writer) -> None:
    text = HEADER + " g (float[3] x, float[3] w) => (float[3] y) { y = Mul(x, w) }"
    weights = {"w": np.array([1, -2, 3], np.float32)}
    frozen = (
        HEADER
        + """ g (float[3] x, float[3] w) => (float[3] y) {
        k = Constant<value = float[3] {1, -2, 3}>()
        y = Mul(x, k)
    }"""
    )
    result = validate(write(text, weights), write(text, weights))
    assert result.passed
    assert "overridden" in result.samples[-1].label
    _failed(validate(write(text, weights), write(frozen, weights)), "initializers overridden")
    old = text.replace("ir_version: 8", "ir_version: 3").replace('"": 17', '"": 8')
    plain = old.replace(", float[3] w", "").replace("ir_version: 3", "ir_version: 4")
    assert validate(write(old, weights), write(plain, weights)).passed


def test_external_data_is_found_beside_the_model(
    write: Writer, weights: dict[str, np.ndarray]
) -> None:
    inline = write(LINEAR, weights)
    outside = write(LINEAR, weights, save_as_external_data=True, location="w.bin", size_threshold=0)
    result = validate(inline, outside)
    assert result.status == "passed", result.reason


def test_progress_is_reported(write: Writer, weights: dict[str, np.ndarray]) -> None:
    seen: list[tuple[str, str, int]] = []
    path = write(LINEAR, weights)
    validate(path, path, on_progress=lambda *step: seen.append(step))
    stages = [stage for _, stage, _ in seen]
    assert stages.index("reference-run") < stages.index("candidate-load")
    assert ("CPUExecutionProvider", "candidate-run", 4) in seen


# Discontinuous and chaotic models


def _deep(rng: np.random.Generator, depth: int, gain: float) -> Any:
    nodes, weights, last = [], {}, "x"
    for layer in range(depth):
        weights[f"w{layer}"] = (gain * rng.standard_normal((64, 64)) / 8).astype(np.float32)
        nodes.append(helper.make_node("MatMul", [last, f"w{layer}"], [f"m{layer}"]))
        nodes.append(helper.make_node("Tanh", [f"m{layer}"], [f"h{layer}"]))
        last = f"h{layer}"
    nodes.append(helper.make_node("Identity", [last], ["y"]))
    nodes.append(helper.make_node("ArgMax", [last], ["a"], axis=1, keepdims=0))
    model = _model(
        nodes,
        [_tensor("x", TensorProto.FLOAT, "N", 64)],
        [_tensor("y", TensorProto.FLOAT, "N", 64), _tensor("a", TensorProto.INT64, "N")],
    )
    return model, weights


def _with_rounding(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same function with more rounding: 0.7 is added to each product and taken away."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    scale = helper.make_tensor("factor", TensorProto.FLOAT, [], [0.7])
    changed.graph.initializer.append(scale)
    for node in list(changed.graph.node):
        if node.op_type == "MatMul":
            output = node.output[0]
            node.output[0] = output + "_raw"
            at = list(changed.graph.node).index(node)
            up = helper.make_node("Add", [output + "_raw", "factor"], [output + "_up"])
            down = helper.make_node("Sub", [output + "_up", "factor"], [output])
            changed.graph.node.insert(at + 1, up)
            changed.graph.node.insert(at + 2, down)
    return changed


@pytest.mark.parametrize("gain", [1.0, 4.0])
def test_deep_and_chaotic_networks_raise_no_false_alarm(
    write: Writer, rng: np.random.Generator, gain: float
) -> None:
    model, weights = _deep(rng, 30, gain)
    result = validate(write(model, weights), write(_with_rounding(model), weights))
    assert result.status == "passed", result.reason
    if gain > 2:  # chaotic: rounding is visible, and excused by the original's own noise
        verdicts = {o.name: o for o in result.providers[0].outputs}
        assert verdicts["y"].verdict == "within-noise"
        assert verdicts["y"].noise_snr_db is not None


def test_a_wrong_layer_in_a_deep_network_is_found(write: Writer, rng: np.random.Generator) -> None:
    model, weights = _deep(rng, 30, 1.0)
    wrong = {**weights, "w29": weights["w29"] * np.float32(1.002)}
    result = validate(write(model, weights), write(model, wrong))
    _failed(result, "'y'")


def test_half_precision_inside(write: Writer, rng: np.random.Generator) -> None:
    text = (
        HEADER
        + """ g (float[N, 64] x) => (float[N, 16] y) {
        h = Cast<to = 10>(x)
        m = MatMul(h, w)
        t = Tanh(m)
        y = Cast<to = 1>(t)
    }"""
    )
    weights = {"w": (rng.standard_normal((64, 16)) / 8).astype(np.float16)}
    wide = (
        HEADER
        + """ g (float[N, 64] x) => (float[N, 16] y) {
        v = Cast<to = 1>(w)
        m = MatMul(x, v)
        y = Tanh(m)
    }"""
    )
    result = validate(write(text, weights), write(wide, weights))
    assert result.status == "passed", result.reason


# Comparing two arbitrary models


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (("float[N, 4] z", "double[N, 4] z"), "output 'z'"),
        (("float[N, 8] x", "float[N, 8] x, float[N] v"), "inputs are x, v, were x"),
        (("float[N, 4] y", "float[N, 4, 1] y"), "rank"),
        (("float[N, 4] y", "float[N, 5] y"), "size 5 on axis 1, had 4"),
    ],
)
def test_compare_checks_the_interface_first(
    write: Writer, weights: dict[str, np.ndarray], change: tuple[str, str], part: str
) -> None:
    result = compare(write(LINEAR, weights), write(LINEAR.replace(*change), weights))
    _failed(result, part)
    assert result.providers == []


def test_compare_remarks_on_dim_names(write: Writer, weights: dict[str, np.ndarray]) -> None:
    renamed = LINEAR.replace("[N,", "[M,")
    result = compare(write(LINEAR, weights), write(renamed, weights))
    assert result.passed
    assert any("dim M on axis 0, had N" in note for note in result.notes)


# Several candidates against one reference


@pytest.mark.parametrize("given", [False, True])
def test_the_reference_runs_once_for_several_candidates(
    write: Writer,
    weights: dict[str, np.ndarray],
    tmp_path: Path,
    rng: np.random.Generator,
    given: bool,
) -> None:
    feeds = [{"x": rng.standard_normal((3, 8)).astype(np.float32)}] if given else None
    reference, wrong = write(LINEAR, weights), {**weights, "b": weights["b"] + np.float32(1)}

    def check(candidate: Path, **options: Any) -> tuple[Validation, set[str]]:
        stages: list[str] = []
        result = validate(
            reference,
            candidate,
            cache=tmp_path / "cache",
            on_progress=lambda *step: stages.append(step[1]),
            **options,
        )
        return result, set(stages)

    first, stages = check(write(LINEAR, weights), feeds=feeds)
    assert first.passed
    assert "reference-run" in stages
    second, stages = check(write(LINEAR, wrong), feeds=feeds)
    assert second.status == "failed"
    assert "reference-run" not in stages
    assert [s.label for s in second.samples] == [s.label for s in first.samples]
    third, stages = check(write(LINEAR, weights), feeds=feeds)
    assert third.passed
    assert "reference-run" not in stages
    _, stages = check(write(LINEAR, weights), feeds=[{"x": np.ones((1, 8), np.float32)}])
    assert "reference-run" in stages
    onnx.save(onnx.load(write(LINEAR, wrong)), reference)
    changed, stages = check(write(LINEAR, wrong), feeds=feeds)
    assert changed.passed
    assert "reference-run" in stages


def test_no_room_to_remember_the_reference(
    write: Writer, weights: dict[str, np.ndarray], tmp_path: Path
) -> None:
    (tmp_path / "cache").write_text("not a folder")
    path = write(LINEAR, weights)
    result = validate(path, path, cache=tmp_path / "cache")
    assert result.passed, result.reason
