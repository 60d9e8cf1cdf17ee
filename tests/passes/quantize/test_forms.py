"""Forms of operators that kernels do not take, and limits that stored values must not pass."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnxopt.passes.quantize.static._scales import Scheme, activation_scale

from onnxopt.quantization.types import qtype

from ..support import parse
from .support import Feed, checked, kernels, quantise, run, snr

HEAD = '<ir_version: 9, opset_import: ["" : 19]>\n'


def weights(*shape: int, seed: int = 1, spread: float = 0.25) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=shape) * spread).astype(np.float32)


W, V = weights(4, 3, 3, 3), weights(4, 4, 3, 3, seed=2)


def images(shape: tuple[int, ...] = (1, 3, 12, 12)) -> list[Feed]:
    rng = np.random.default_rng(3)
    return [{"x": rng.normal(size=shape).astype(np.float32)} for _ in range(4)]


def convs(middle: str, **constants: np.ndarray) -> onnx.ModelProto:
    body = f"a = Conv(x, w) {middle} y = Conv(m, v)"
    text = f"{HEAD}g (float[1,3,12,12] x) => (float[n,c,h,k] y) {{ {body} }}"
    return parse(text, **{"w": W, "v": V, **constants})


def products(body: str, shape: str = "5,8", **constants: np.ndarray) -> onnx.ModelProto:
    return parse(f"{HEAD}g (float[{shape}] x) => (float[n,c] y) {{ {body} }}", **constants)


def closeness(model: onnx.ModelProto, result: onnx.ModelProto, feeds: list[Feed]) -> float:
    return min(
        snr(reference, other)
        for feed in feeds
        for reference, other in zip(run(model, feed), run(result, feed), strict=True)
        if reference.dtype == np.float32
    )


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("kind", ["u8", "s8", "u16", "s16"])
@pytest.mark.parametrize(
    "limits", [(0.0, 6.0), (-1e-3, 1.0), (-0.006, 1.0), (-1.0, 1.0), (-0.3, np.inf), (-np.inf, 1.0)]
)
def test_nothing_beyond_limits_can_be_stored_and_little_is_lost(
    limits: tuple[float, float], kind: str, symmetric: bool
) -> None:
    """Lowering the scale until a zero point fits lost a quarter of the range of (-0.006, 1), and took minutes for others."""
    scheme = Scheme(qtype(kind), qtype("s8"), True, symmetric)
    found = activation_scale((-9.0, 9.0), limits, scheme)
    low, high = found.bounds
    assert np.float32(low) >= limits[0]
    assert np.float32(high) <= limits[1]
    wanted = max(-9.0, limits[0]), min(9.0, limits[1])
    step = float(found.scale)
    assert low <= wanted[0] + 1.01 * step
    assert high >= wanted[1] - 1.01 * step
    assert step <= (wanted[1] - wanted[0]) / (found.qtype.levels - 1) * 1.01 or symmetric


@pytest.mark.parametrize(
    "bounds",
    [(-2.0, -0.5), (0.5, 2.0), (1.0, 1.0), (2.0, 1.0)],
    ids=["below", "above", "one", "swapped"],
)
def test_limits_without_zero_are_not_absorbed(bounds: tuple[float, float], tmp_path: Path) -> None:
    """Zero must be storable, so the Clip has to stay; but the convolution before it computes in integers all the same."""
    low, high = (np.asarray(bound, np.float32) for bound in bounds)
    model, feeds = convs("m = Clip(a, low, high)", low=low, high=high), images()
    result = checked(quantise(model, feeds))
    found = kernels(result, tmp_path)
    assert (found["QLinearConv"], found["Clip"]) == (2, 1)
    assert closeness(model, result, feeds) > 27


@pytest.mark.parametrize("options", ["", "activations=s8,symmetric=true"])
@pytest.mark.parametrize(
    ("clip", "bounds"),
    [
        ("Clip(a, , high)", {"high": 1.0}),
        ("Clip(a, low)", {"low": -0.3}),
        ("Clip(a, low, high)", {"low": -1e-3, "high": 1.0}),
        ("Clip(a, low, high)", {"low": -np.inf, "high": np.inf}),
        ("Clip(a)", {}),
    ],
)
def test_other_limits_are_absorbed(
    clip: str, bounds: dict[str, float], options: str, tmp_path: Path
) -> None:
    constants = {name: np.asarray(bound, np.float32) for name, bound in bounds.items()}
    model, feeds = convs(f"m = {clip}", **constants), images()
    result = checked(quantise(model, feeds, options))
    found = kernels(result, tmp_path)
    assert found["QLinearConv"] == 2
    assert "Clip" not in found
    assert closeness(model, result, feeds) > 30


@pytest.mark.parametrize("shape", [(), (1,), (6,), (1, 6), (1, 1)])
def test_a_bias_of_any_shape_that_is_a_vector(shape: tuple[int, ...], tmp_path: Path) -> None:
    """The kernel takes int32 [N] alone: of shape [1] it broke the pass, of [1, N] the product stayed in float."""
    model = products("y = Gemm(x, w, b)", w=weights(8, 6), b=weights(*shape, seed=2))
    feeds = images((5, 8))
    result = checked(quantise(model, feeds))
    assert kernels(result, tmp_path)["QGemm"] == 1
    assert closeness(model, result, feeds) > 35


@pytest.mark.parametrize("shape", [(5, 1), (5, 6)])
def test_a_bias_by_row_is_declined(shape: tuple[int, int]) -> None:
    model = products("y = Gemm(x, w, b)", w=weights(8, 6), b=weights(*shape))
    outcome = quantise(model, images((5, 8)))
    reasons = outcome.stats.declined["quantize"]
    assert dict(reasons) == {"Gemm: its bias is not one number a channel": 1}
    assert not outcome.lossy


def test_biases_that_no_integer_stands_for() -> None:
    infinite = np.array([0, 0, -np.inf, 0], np.float32)
    model = convs("c = Conv(a, v, b) m = Relu(c)", b=infinite)
    reasons = quantise(model, images()).stats.declined["quantize"]
    assert reasons["Conv: its bias is not finite"] == 1
    text = f"{HEAD}g (float[1,3,12,12] x, float[4] b) => (float[n,c,h,k] y) {{ y = Conv(x, w, b) }}"
    feeds = [{**feed, "b": weights(4)} for feed in images()]
    reasons = quantise(parse(text, w=W), feeds).stats.declined["quantize"]
    assert dict(reasons) == {"Conv: its bias is not constant": 1}


def test_a_mask_that_is_added_to_a_product_does_not_overflow() -> None:
    """The runtime adds it to sums as int32: the smallest float, clipped to the smallest int32, wrapped around."""
    mask = np.where(np.arange(6) < 4, 0, np.finfo(np.float32).min).astype(np.float32)
    text = f"{HEAD}g (float[2,5,8] x) => (float[n,c,k] y) {{ a = MatMul(x, w) m = Add(a, k) y = Softmax(m) }}"
    model, feeds = parse(text, w=weights(8, 6), k=mask), images((2, 5, 8))
    result = checked(quantise(model, feeds))
    assert closeness(model, result, feeds) > 30
    assert np.all(run(result, feeds[0])[0][..., 4:] == 0)


def test_weights_that_layers_with_other_biases_share_are_stored_once() -> None:
    body = "a = Conv(x, w, b1) b = Conv(x, w, b2) c = Conv(x, w) y = Concat<axis=1>(a, b, c)"
    text = f"{HEAD}g (float[1,3,12,12] x) => (float[n,c,h,k] y) {{ {body} }}"
    model = parse(text, w=W, b1=weights(4), b2=weights(4, spread=30.0))
    result = checked(quantise(model, images()))
    stored = [i for i in result.graph.initializer if tuple(i.dims) == W.shape]
    assert [i.data_type for i in stored] == [onnx.TensorProto.INT8]
    assert closeness(model, result, images()) > 35


def test_indices_are_not_quantised() -> None:
    text = (
        f"{HEAD}g (float[1,3,12,12] x) => (float[n,c,h,k] y, int64[q,r,s,t] i) "
        "{ a = Conv(x, w) p, i = MaxPool<kernel_shape=[2,2]>(a) y = Conv(p, v) }"
    )
    model, feeds = parse(text, w=W, v=V), images()
    result = checked(quantise(model, feeds))
    assert closeness(model, result, feeds) > 30


def test_a_dilated_average_loads(tmp_path: Path) -> None:
    """onnxruntime makes a kernel of it that has no such attribute, wherever it stands between quantised values."""
    pool = "m = AveragePool<kernel_shape=[2,2],dilations=[2,2]>(a)"
    model, feeds = convs(pool), images()
    outcome = quantise(model, feeds)
    result = checked(outcome)
    assert kernels(result, tmp_path)["QLinearConv"] == 1
    assert closeness(model, result, feeds) > 30


def test_constants_that_are_not_finite_stay_in_float() -> None:
    endless = weights(1, 4, 10, 10)
    endless[0, 0, 0, 0] = -np.inf
    model, feeds = convs("s = Add(a, k) m = Relu(s)", k=endless), images()
    outcome = quantise(model, feeds)
    reasons = outcome.stats.declined["quantize"]
    assert reasons["Add: a constant that it reads is not finite"] == 1
    assert closeness(model, checked(outcome), feeds) > 30


def test_what_no_sample_has_a_value_of_stays_in_float() -> None:
    text = (
        f"{HEAD}g (float[1,3,12,12] x, float[E,5] e) => (float[n,c,h,k] y, float[E,3] z) "
        "{ y = Conv(x, w) z = MatMul(e, k) }"
    )
    model = parse(text, w=W, k=weights(5, 3))
    feeds = [{**feed, "e": np.zeros((0, 5), np.float32)} for feed in images()]
    outcome = quantise(model, feeds)
    result = checked(outcome)
    [reason] = outcome.stats.declined["quantize"]
    assert reason == "MatMul: no sample has a usable value of what it reads or makes"
    full = {**feeds[0], "e": weights(2, 5)}
    np.testing.assert_allclose(run(result, full)[1], run(model, full)[1], rtol=1e-5)
    assert snr(run(model, full)[0], run(result, full)[0]) > 30
