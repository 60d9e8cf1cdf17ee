"""Unrolled steps of an LSTM become one operator, and only where they are a sequence."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from onnxopt.runtime.evaluate import run_small

from . import support

BATCH, WIDTH, SIZE = 2, 6, 5


def _step(t: int, data: str, hidden: str, state: str, r: str = "r") -> str:
    return f"""
    a{t} = Gemm<transB=1>({data}, w, b) p{t} = Gemm<transB=1>({hidden}, {r}, d) s{t} = Add(p{t}, a{t})
    i{t}, f{t}, g{t}, o{t} = Split<axis=1>(s{t}, sizes)
    j{t} = Sigmoid(i{t}) e{t} = Sigmoid(f{t}) k{t} = Tanh(g{t}) q{t} = Sigmoid(o{t})
    m{t} = Mul(e{t}, {state}) n{t} = Mul(j{t}, k{t}) c{t} = Add(m{t}, n{t}) u{t} = Tanh(c{t}) h{t} = Mul(q{t}, u{t})
    """


def _model(body: str, outputs: str, opset: int = 17) -> onnx.ModelProto:
    rng = np.random.default_rng(3)
    weights = {
        "w": rng.standard_normal((4 * SIZE, WIDTH)),
        "r": rng.standard_normal((4 * SIZE, SIZE)),
        "r2": rng.standard_normal((4 * SIZE, SIZE)),
        "w2": rng.standard_normal((4 * SIZE, SIZE)),
        "b": rng.standard_normal(4 * SIZE),
        "d": rng.standard_normal(4 * SIZE),
        "back": rng.standard_normal((SIZE, WIDTH)),
    }
    inputs = ", ".join(f"float[N,{WIDTH}] x{t}" for t in range(5))
    text = f"""<ir_version: 8, opset_import: ["" : {opset}]>
    g ({inputs}, float[N,{SIZE}] h, float[N,{SIZE}] c) => ({outputs})
    <int64[4] sizes = {{{SIZE},{SIZE},{SIZE},{SIZE}}}> {{ {body} }}"""
    return support.parse(text, **{k: v.astype(np.float32) for k, v in weights.items()})


def _unrolled(steps: int = 5) -> str:
    names = [("h", "c"), *((f"h{t}", f"c{t}") for t in range(steps))]
    return "".join(_step(t, f"x{t}", *names[t]) for t in range(steps))


def _feeds() -> dict[str, support.Array]:
    rng = np.random.default_rng(5)
    feeds = {f"x{t}": rng.standard_normal((BATCH, WIDTH)) for t in range(5)}
    feeds |= {name: rng.standard_normal((BATCH, SIZE)) for name in ("h", "c")}
    return {name: array.astype(np.float32) for name, array in feeds.items()}


@pytest.mark.parametrize(
    ("tail", "outputs"),
    [
        ("", f"float[N,{SIZE}] h4, float[N,{SIZE}] c4"),
        ("", f"float[N,{SIZE}] h4, float[N,{SIZE}] h1"),
        ("y = Concat<axis=1>(h0, h2, h4)", f"float[N,{3 * SIZE}] y, float[N,{SIZE}] c4"),
    ],
)
def test_fuses(tail: str, outputs: str) -> None:
    before = _model(_unrolled() + tail, outputs)
    after = support.result(support.optimise(before, "fuse-unrolled-lstm"))
    found = support.op_types(after.graph)
    assert found["LSTM"] == 1
    assert not found["Gemm"] + found["Sigmoid"] + found["Tanh"]
    feeds = _feeds()
    for want, got in zip(run_small(before, feeds), run_small(after, feeds), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def _stacked(by_layer: bool) -> str:
    """Two layers, the second fed with the states of the first, and begun with its last ones where it comes after."""
    names = [("h14", "c14"), *((f"h{t}", f"c{t}") for t in range(20, 25))]
    if not by_layer:
        names[0] = ("h", "c")
    below = [("h", "c"), *((f"h{t}", f"c{t}") for t in range(10, 15))]
    first = [_step(10 + t, f"x{t}", *below[t]) for t in range(5)]
    second = [_step(20 + t, f"h{10 + t}", *names[t], "r2").replace(" w,", " w2,") for t in range(5)]
    pairs = zip(first, second, strict=True)
    return "".join(first + second if by_layer else [step for pair in pairs for step in pair])


@pytest.mark.parametrize("by_layer", [True, False])
def test_fuses_stacked_layers(by_layer: bool) -> None:
    before = _model(_stacked(by_layer), f"float[N,{SIZE}] h24, float[N,{SIZE}] h22")
    after = support.result(support.optimise(before, "fuse-unrolled-lstm"))
    found = support.op_types(after.graph)
    assert found["LSTM"] == 2
    assert not found["Gemm"] + found["Sigmoid"] + found["Tanh"]
    feeds = _feeds()
    for want, got in zip(run_small(before, feeds), run_small(after, feeds), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def _separate(t: int, data: str, hidden: str, state: str) -> str:
    """A step with a product for each gate, without biases for the data, and the state's product written first."""
    body = ""
    for i, gate in enumerate("ifgo"):
        body += f"""
        x{gate}{t} = MatMul({data}, w{gate}) h{gate}{t} = Gemm<transB=1>({hidden}, r{gate}, b{gate})
        s{gate}{t} = Add(h{gate}{t}, x{gate}{t}) {gate}{t} = {"Tanh" if i == 2 else "Sigmoid"}(s{gate}{t})
        """
    return f"""{body}
    m{t} = Mul({state}, f{t}) n{t} = Mul(g{t}, i{t}) c{t} = Add(n{t}, m{t}) u{t} = Tanh(c{t}) h{t} = Mul(u{t}, o{t})
    """


def test_fuses_a_product_for_each_gate() -> None:
    names = [("h", "c"), *((f"h{t}", f"c{t}") for t in range(5))]
    body = "".join(_separate(t, f"x{t}", *names[t]) for t in range(5))
    before = _model(body, f"float[N,{SIZE}] h4, float[N,{SIZE}] c4")
    rng = np.random.default_rng(4)
    for gate in "ifgo":
        for name, shape in (("w", (WIDTH, SIZE)), ("r", (SIZE, SIZE)), ("b", (1, SIZE))):
            array = rng.standard_normal(shape).astype(np.float32)
            before.graph.initializer.append(onnx.numpy_helper.from_array(array, name + gate))
    after = support.result(support.optimise(before, "fuse-unrolled-lstm"))
    assert support.op_types(after.graph)["LSTM"] == 1
    feeds = _feeds()
    for want, got in zip(run_small(before, feeds), run_small(after, feeds), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("body", "outputs", "reason"),
    [
        (
            _unrolled() + "y = Add(c2, c4)",
            f"float[N,{SIZE}] h4, float[N,{SIZE}] y",
            "an inner state is read by others",
        ),
        (
            _unrolled(3)
            + "z = MatMul(h2, back)"
            + _step(3, "z", "h2", "c2")
            + _step(4, "x4", "h3", "c3"),
            f"float[N,{SIZE}] h4",
            "a result is read before the last step",
        ),
        (
            _unrolled() + "y = Neg(q1)",
            f"float[N,{SIZE}] h4, float[N,{SIZE}] y",
            "a gate is read by others",
        ),
        (
            _unrolled(3)
            + "z = MatMul(q1, back)"
            + _step(3, "z", "h2", "c2")
            + _step(4, "x4", "h3", "c3"),
            f"float[N,{SIZE}] h4",
            "a gate is read by others",
        ),
        (_unrolled(3), f"float[N,{SIZE}] h2", None),
        (
            _unrolled(3) + _step(3, "x3", "h2", "c2", "r2") + _step(4, "x4", "h3", "c3"),
            f"float[N,{SIZE}] h4",
            None,
        ),
    ],
)
def test_declines(body: str, outputs: str, reason: str | None) -> None:
    outcome = support.optimise(_model(body, outputs), "fuse-unrolled-lstm")
    assert not support.op_types(support.result(outcome).graph)["LSTM"]
    if reason is not None:
        given = [r for reasons in outcome.stats.declined.values() for r in reasons]
        assert any(reason in r for r in given), given


def test_declines_before_axes_are_inputs() -> None:
    body = _unrolled().replace("Split<axis=1>", "Split<axis=1, split=[5,5,5,5]>")
    model = _model(body.replace(", sizes)", ")"), f"float[N,{SIZE}] h4", opset=12)
    outcome = support.optimise(model, "fuse-unrolled-lstm")
    given = [r for reasons in outcome.stats.declined.values() for r in reasons]
    assert given == ["it needs opset 13"]
