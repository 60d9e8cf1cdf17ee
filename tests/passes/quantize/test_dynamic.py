"""Dynamic quantisation: what is refused, numbers within a bound that follows from the scales, what onnxruntime fuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest

from onnxopt.errors import UsageError
from onnxopt.io import to_proto
from onnxopt.runtime.evaluate import run_small
from onnxopt.targets.load import load_target
from tests.passes.quantize.support import BITS
from tests.passes.support import initializers, op_types, optimise, parse, result

rng = np.random.default_rng(11)
TOP = 2 ** (BITS - 1) - 1
Array = np.ndarray[Any, Any]


def head(opset: int = 17) -> str:
    return f'<ir_version: 8, opset_import: ["" : {opset}]>\n'


def normal(*shape: int) -> Array:
    return rng.normal(size=shape).astype(np.float32)


def quantise(model: onnx.ModelProto, options: str = "", target: str = "generic") -> onnx.ModelProto:
    if BITS < 8 and "bits=" not in options:
        options = ",".join(filter(None, (options, f"bits={BITS}")))
    outcome = optimise(model, _pipeline(options), target=load_target(target))
    return result(outcome)


def declined(model: onnx.ModelProto, options: str = "") -> dict[str, int]:
    stats = optimise(model, _pipeline(options)).stats
    return dict(stats.declined.get("quantize-dynamic", {}))


def _pipeline(options: str) -> str:
    inside = f"{{{options}}}" if options else ""
    return f"quantize-dynamic{inside}, remove-dead-nodes, prune-initializers"


def product(*, bias: bool = True, inner: int = 32, columns: int = 8) -> onnx.ModelProto:
    body = "m = MatMul(x, w) y = Add(m, b)" if bias else "y = MatMul(x, w)"
    weights = {"w": normal(inner, columns), "b": normal(columns)}
    text = f"{head()}g (float[B,N,{inner}] x) => (float[B,N,{columns}] y) {{ {body} }}"
    return parse(text, **{k: v for k, v in weights.items() if bias or k != "b"})


def fused(model: onnx.ModelProto, tmp_path: Path) -> dict[str, int]:
    """Counts the operators that onnxruntime runs at its default level."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "fused.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return dict(op_types(onnx.load(options.optimized_model_filepath).graph))


def bound(x: Array, w: Array, w_steps: Array | float, used: Array) -> Array:
    """How far a product may be off.

    Each activation is off by a step at most (half for its rounding, half for the zero point's), each weight by
    half of one.
    """
    step = (max(x.max(), 0.0) - min(x.min(), 0.0)) / 255
    wrong_weights = np.abs(x).sum(-1, keepdims=True) * np.asarray(w_steps) / 2
    off = step * np.abs(used).sum(0) + wrong_weights
    return np.asarray(off * 1.001 + 1e-5 * np.abs(x @ w).max())


# What is refused.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("weights=s4", "weights is s8 or u8, not 's4'"),
        ("granularity=block", "granularity is channel or tensor"),
        ("bits=4", "bits is 8 or 7, not 4"),
        ("bits=few", "takes a number"),
        ("method=best", "method is minmax or mse, not 'best'"),
        ("include=MatMull", "called 'MatMull'; did you mean 'MatMul'"),
        ('exclude="y;zz*"', r"called 'zz\*'"),
        ("convs=true", "has no option 'convs'"),
    ],
)
def test_options_that_make_no_sense(options: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        optimise(product(), _pipeline(options))


def test_sums_that_may_overflow() -> None:
    longest = (2**31 - 1) // (255 * 128)
    text = f"{head()}g (float[1,{longest + 1}] x) => (float[1,1] y) {{ y = MatMul(x, w) }}"
    model = parse(text, w=normal(longest + 1, 1))
    assert declined(model) == {"MatMul: sums of more than 65793 products may overflow int32": 1}
    assert op_types(quantise(model, "bits=7").graph)["MatMulInteger"] == 1


@pytest.mark.skipif(BITS < 8, reason="products of 8-bit weights saturate on this processor")
def test_the_longest_sum_holds() -> None:
    inner = (2**31 - 1) // (255 * 128)
    text = f"{head()}g (float[1,{inner}] x) => (float[1,1] y) {{ y = MatMul(x, w) }}"
    model = parse(text, w=np.ones((inner, 1), np.float32))
    (y,) = run_small(quantise(model), {"x": np.ones((1, inner), np.float32)})
    np.testing.assert_allclose(y, inner, rtol=1e-6)


def test_a_second_run_finds_nothing() -> None:
    once = quantise(product())
    outcome = optimise(once, _pipeline(""))
    assert not outcome.stats.fired["quantize-dynamic"]


# Numbers.


@pytest.mark.parametrize("weights", ["s8", "u8"])
@pytest.mark.parametrize("granularity", ["channel", "tensor"])
@pytest.mark.parametrize("bits", [8, 7])
@pytest.mark.parametrize("scale", [0.01, 1.0, 100.0])
def test_products_are_within_the_bound(
    weights: str, granularity: str, bits: int, scale: float
) -> None:
    if weights == "s8" and bits > BITS:
        pytest.skip("products of 8-bit weights saturate on this processor")
    model = product(bias=False)
    options = f"weights={weights},granularity={granularity},bits={bits}"
    made = quantise(model, options)
    w = initializers(model)["w"]
    constants = initializers(made)
    (steps,) = (v for k, v in constants.items() if k.endswith("scale"))
    (integers,) = (v for k, v in constants.items() if k.endswith("quantised"))
    zero = next((v for k, v in constants.items() if k.endswith("zero_point")), 0)
    used = (integers.astype(np.float64) - zero) * steps
    assert steps.dtype == np.float32
    assert steps.shape == ((8,) if granularity == "channel" else ())
    assert (np.abs(used - w) <= steps * 0.501).all()
    x = normal(3, 5, 32) * np.float32(scale)
    (y,) = run_small(made, {"x": x})
    assert (np.abs(y - x @ w) <= bound(x, w, steps, used)).all()


@pytest.mark.parametrize("bits", [7, 8])
def test_only_the_bits_asked_for_are_used(bits: int) -> None:
    top = 2 ** (bits - 1) - 1
    for weights, low, high in (("s8", -top, top), ("u8", 0, 2 * top + 1)):
        made = initializers(quantise(product(), f"weights={weights},bits={bits}"))
        (integers,) = (v for k, v in made.items() if k.endswith("quantised"))
        assert integers.min() >= low
        assert integers.max() <= high
        assert int(integers.max()) - int(integers.min()) > (high - low) * 0.9


def test_gemm_with_factors() -> None:
    body = "y = Gemm<transB=1, alpha=-0.5, beta=3.0>(x, w, c)"
    text = f"{head()}g (float[N,32] x) => (float[N,6] y) {{ {body} }}"
    w = normal(6, 32)
    for c in (normal(6), normal(1, 6), normal(1), normal(4, 6), normal(4, 1)):
        model = parse(text, w=w, c=c)
        made, x = quantise(model), normal(4, 32)
        (y,), (want,) = run_small(made, {"x": x}), run_small(model, {"x": x})
        steps = np.abs(w).max(axis=1) / TOP
        assert (np.abs(y - want) <= bound(x, w.T, steps, np.abs(w.T) + steps / 2)).all()
        assert op_types(made.graph)["Add"] == 1


def test_a_weight_of_zeros_and_an_input_of_zeros() -> None:
    model = product()
    model.graph.initializer[0].CopyFrom(
        onnx.numpy_helper.from_array(np.zeros((32, 8), np.float32), "w")
    )
    b = initializers(model)["b"]
    for x in (normal(2, 3, 32), np.zeros((2, 3, 32), np.float32)):
        (y,) = run_small(quantise(model), {"x": x})
        np.testing.assert_array_equal(y, np.broadcast_to(b, y.shape))


def test_clipping_helps_where_there_is_one_scale() -> None:
    model = product(bias=False, inner=512)
    x, w = normal(1, 64, 512), initializers(model)["w"]
    errors = [
        np.square(
            run_small(quantise(model, f"granularity=tensor,bits=7,method={method}"), {"x": x})[0]
            - x @ w
        ).mean()
        for method in ("minmax", "mse")
    ]
    assert errors[1] < errors[0]


# Sharing.


def test_a_weight_read_twice_is_stored_once() -> None:
    text = f"{head()}g (float[N,8] x) => (float[N,8] y) {{ m = MatMul(x, w) y = MatMul(m, w) }}"
    made = initializers(quantise(parse(text, w=normal(8, 8))))
    assert sorted(v.dtype.name for v in made.values()) == ["float32", "int8"]


def test_a_weight_read_in_two_bodies_is_stored_once() -> None:
    bodies = (
        "y = If(p)<then_branch = t () => (float[2,8] a) { a = MatMul(x, w) }, "
        "else_branch = e () => (float[2,8] b) { m = MatMul(x, w) b = Neg(m) }>"
    )
    text = f"{head()}g (bool p, float[2,8] x) => (float[2,8] y) {{ {bodies} }}"
    model = parse(text, w=normal(8, 8))
    made = quantise(model)
    assert sorted(v.dtype.name for v in initializers(made).values()) == ["float32", "int8"]
    assert not any(g.g.initializer for n in made.graph.node for g in n.attribute)
    for p in (True, False):
        feeds = {"p": np.array(p), "x": normal(2, 8)}
        np.testing.assert_allclose(run_small(made, feeds)[0], run_small(model, feeds)[0], atol=0.2)


def test_tied_embeddings_stay_for_the_lookup() -> None:
    body = "e = Gather(w, i) h = Relu(e) y = Gemm<transB=1>(h, w)"
    text = f"{head()}g (int64[N] i) => (float[N,50] y) {{ {body} }}"
    outcome = optimise(parse(text, w=normal(50, 16)), _pipeline(""))
    made = initializers(result(outcome))
    assert sorted(v.shape for v in made.values()) == [(16, 50), (50,), (50, 16)]
    assert any("w stays in float32" in note and "Gather" in note for note in outcome.stats.notes)


def test_large_weights_are_rounded_when_the_model_is_written() -> None:
    text = f"{head()}g (float[N,300] x) => (float[N,400] y) {{ y = MatMul(x, w) }}"
    outcome = optimise(parse(text, w=normal(300, 400)), _pipeline(""))
    tensors = {v.name: v.const_value for v in outcome.model.graph.initializers.values()}
    (lazy,) = (t for name, t in tensors.items() if str(name).endswith("quantised"))
    assert isinstance(lazy, ir.LazyTensor)
    assert lazy.numpy().dtype == np.int8


# What onnxruntime makes of it.


@pytest.mark.parametrize("options", ["", "granularity=tensor", "weights=u8", "bits=7"])
@pytest.mark.parametrize("bias", [False, True])
def test_a_product_becomes_one_kernel(options: str, bias: bool, tmp_path: Path) -> None:
    assert fused(quantise(product(bias=bias), options), tmp_path) == {"DynamicQuantizeMatMul": 1}


def test_a_gemm_becomes_one_kernel(tmp_path: Path) -> None:
    text = f"{head()}g (float[N,8] x) => (float[N,6] y) {{ y = Gemm<transB=1>(x, w, c) }}"
    for c in (normal(6), normal(1, 6), normal(1)):
        made = quantise(parse(text, w=normal(6, 8), c=c))
        assert fused(made, tmp_path) == {"DynamicQuantizeMatMul": 1}


def test_projections_share_the_rounding_of_their_input(tmp_path: Path) -> None:
    body = " ".join(f"m{i} = MatMul(x, w{i}) y{i} = Add(m{i}, b{i})" for i in range(3))
    outputs = ", ".join(f"float[B,N,8] y{i}" for i in range(3))
    weights = {f"w{i}": normal(8, 8) for i in range(3)} | {f"b{i}": normal(8) for i in range(3)}
    made = quantise(parse(f"{head()}g (float[B,N,8] x) => ({outputs}) {{ {body} }}", **weights))
    assert fused(made, tmp_path) == {"DynamicQuantizeLinear": 1, "MatMulIntegerToFloat": 3}


def test_products_in_a_body_are_fused(tmp_path: Path) -> None:
    body = (
        "y = If(p)<then_branch = t () => (float[2,8] a) { m = MatMul(x, w) a = Add(m, b) }, "
        "else_branch = e () => (float[2,8] c) { c = Neg(x) }>"
    )
    text = f"{head()}g (bool p, float[2,8] x) => (float[2,8] y) {{ {body} }}"
    found = fused(quantise(parse(text, w=normal(8, 8), b=normal(8))), tmp_path)
    assert found == {"If": 1, "DynamicQuantizeMatMul": 1, "Neg": 1}


# Convolutions and LSTMs.


@pytest.mark.parametrize("granularity", ["channel", "tensor"])
@pytest.mark.parametrize(
    "attributes", ["pads=[1,2,0,1]", "group=2, strides=[2,1]", 'auto_pad="SAME_UPPER"']
)
def test_convolutions(granularity: str, attributes: str) -> None:
    group = 2 if "group" in attributes else 1
    body = f"y = Conv<{attributes}>(x, w, b)"
    text = f"{head()}g (float[N,4,9,9] x) => (float[N,6,H,W] y) {{ {body} }}"
    model = parse(text, w=normal(6, 4 // group, 3, 3), b=normal(6))
    made = quantise(model, f"conv=true,granularity={granularity}")
    assert {v.dtype.name for v in initializers(made).values()} == {"uint8", "float32"}
    x, w = normal(2, 4, 9, 9) + np.float32(0.5), initializers(model)["w"]
    (y,), (want,) = run_small(made, {"x": x}), run_small(model, {"x": x})
    step = (x.max() - min(x.min(), 0)) / 255
    w_step = np.abs(w).max() / TOP
    terms = w[0].size
    limit = (
        step * (np.abs(w).sum(axis=(1, 2, 3)).max() + terms * w_step)
        + terms * np.abs(x).max() * w_step
    )
    assert np.abs(y - want).max() <= limit
    assert np.square(y - want).mean() <= 1e-3 * np.square(want).mean()


def test_a_convolution_whose_bias_varies() -> None:
    text = f"{head()}g (float[N,4,9] x, float[6] b) => (float[N,6,7] y) {{ y = Conv(x, w, b) }}"
    model = parse(text, w=normal(6, 4, 3))
    feeds = {"x": normal(2, 4, 9), "b": normal(6) * np.float32(10)}
    got, want = run_small(quantise(model, "conv=true"), feeds), run_small(model, feeds)
    assert np.square(got[0] - want[0]).mean() <= 1e-3 * np.square(want[0]).mean()


@pytest.mark.parametrize(
    "options", [f",bits={BITS}", f",granularity=tensor,bits={BITS}", ",bits=7"]
)
@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_lstm(options: str, direction: str) -> None:
    count = 2 if direction == "bidirectional" else 1
    body = f'y, , c = LSTM<hidden_size=16, direction="{direction}">(x, w, r, b, , h0, c0)'
    text = (
        f"{head()}g (float[T,N,12] x, float[{count},N,16] h0, float[{count},N,16] c0) => "
        f"(float[T,{count},N,16] y, float[{count},N,16] c) {{ {body} }}"
    )
    weights = {
        "w": normal(count, 64, 12) * np.float32(0.2),
        "r": normal(count, 64, 16) * np.float32(0.2),
        "b": normal(count, 128),
    }
    model = parse(text, **weights)
    outcome = optimise(model, _pipeline(f"lstm=true{options}"), target=load_target("ort-cpu"))
    made = to_proto(outcome.model)
    assert [n.op_type for n in made.graph.node] == ["DynamicQuantizeLSTM"]
    feeds = {"x": normal(7, 3, 12), "h0": normal(count, 3, 16), "c0": normal(count, 3, 16)}
    for got, want in zip(run_small(made, feeds), run_small(model, feeds), strict=True):
        assert np.abs(got - want).max() <= 0.05 * np.abs(want).max()


def test_no_rows_at_all() -> None:
    (y,) = run_small(quantise(product()), {"x": np.zeros((2, 0, 32), np.float32)})
    assert y.shape == (2, 0, 8)
