"""Unrolled steps of a GRU become one operator, and only where they are a sequence."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from onnxopt.runtime.evaluate import run_small

from . import support

BATCH, WIDTH, SIZE, STEPS = 2, 6, 5, 6
BLENDS = {
    "z keeps the state": "v{t} = Sub(one, z{t}) p{t} = Mul(v{t}, n{t}) q{t} = Mul({h}, z{t}) h{t} = Add(p{t}, q{t})",
    "z keeps the candidate": "v{t} = Sub(one, z{t}) p{t} = Mul(v{t}, {h}) q{t} = Mul(n{t}, z{t}) h{t} = Add(q{t}, p{t})",
    "from the candidate": "v{t} = Sub({h}, n{t}) p{t} = Mul(v{t}, z{t}) h{t} = Add(n{t}, p{t})",
    "from the state": "v{t} = Sub(n{t}, {h}) p{t} = Mul(z{t}, v{t}) h{t} = Add(p{t}, {h})",
}
SPELLINGS = {
    "cut after the product": """
        a{t} = Gemm<transB=1>({x}, w, b) ar{t}, az{t}, an{t} = Split<axis=1>(a{t}, sizes)
        k{t} = Gemm<transB=1>({h}, u, d) kr{t}, kz{t}, kn{t} = Split<axis=-1>(k{t}, sizes)
        sr{t} = Add(ar{t}, kr{t}) sz{t} = Add(kz{t}, az{t}) r{t} = Sigmoid(sr{t}) z{t} = Sigmoid(sz{t})
        m{t} = Mul(r{t}, kn{t}) sn{t} = Add(m{t}, an{t}) n{t} = Tanh(sn{t})
    """,
    "a product for each gate": """
        ar{t} = MatMul({x}, wr) az{t} = MatMul({x}, wz) an{t} = MatMul({x}, wn)
        kr{t} = Gemm({h}, ur, br) kz{t} = Gemm({h}, uz) kn{t} = Gemm<transB=1>({h}, un)
        sr{t} = Add(ar{t}, kr{t}) tz{t} = Add(kz{t}, az{t}) sz{t} = Add(tz{t}, bz)
        r{t} = Sigmoid(sr{t}) z{t} = Sigmoid(sz{t})
        m{t} = Mul(kn{t}, r{t}) bn{t} = Add(an{t}, bn) sn{t} = Add(bn{t}, m{t}) n{t} = Tanh(sn{t})
    """,
    "reset before the product": """
        a{t} = MatMul({x}, wt) ar{t}, az{t}, an{t} = Split<axis=1>(a{t}, sizes)
        kr{t} = Gemm({h}, ur, br) kz{t} = Gemm({h}, uz, bz) sr{t} = Add(ar{t}, kr{t}) sz{t} = Add(kz{t}, az{t})
        r{t} = Sigmoid(sr{t}) z{t} = Sigmoid(sz{t})
        m{t} = Mul({h}, r{t}) kn{t} = Gemm<transB=1>(m{t}, un, bn) sn{t} = Add(an{t}, kn{t}) n{t} = Tanh(sn{t})
    """,
    "joined, reset before the product": """
        j{t} = Concat<axis=-1>({x}, {h}) g{t} = Gemm(j{t}, wj, bj) s{t} = Sigmoid(g{t})
        r{t}, z{t} = Split<axis=1>(s{t}, pair)
        m{t} = Mul({h}, r{t}) jn{t} = Concat<axis=1>(m{t}, {x}) sn{t} = Gemm(jn{t}, wjn, bn) n{t} = Tanh(sn{t})
    """,
}
BLEND, SPELLING = BLENDS["z keeps the state"], SPELLINGS["cut after the product"]
LAST = f"float[N,{SIZE}] h{STEPS - 1}"


def _model(body: str, outputs: str, opset: int = 17, steps: int = STEPS) -> onnx.ModelProto:
    rng = np.random.default_rng(3)
    shapes: dict[str, tuple[int, ...]] = {
        "w": (3 * SIZE, WIDTH),
        "wt": (WIDTH, 3 * SIZE),
        "w2": (3 * SIZE, WIDTH),
        "u": (3 * SIZE, SIZE),
        "b": (3 * SIZE,),
        "d": (3 * SIZE,),
        "wj": (WIDTH + SIZE, 2 * SIZE),
        "bj": (2 * SIZE,),
        "wjn": (SIZE + WIDTH, SIZE),
        "back": (SIZE, WIDTH),
        "row": (1, SIZE),
        "column": (SIZE, 1),
    }
    for gate in "rzn":
        shapes |= {f"w{gate}": (WIDTH, SIZE), f"u{gate}": (SIZE, SIZE), f"b{gate}": (SIZE,)}
    weights = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    weights["one"] = np.ones(())
    inputs = ", ".join(f"float[N,{WIDTH}] x{t}" for t in range(steps))
    text = f"""<ir_version: 8, opset_import: ["" : {opset}]>
    g ({inputs}, float[N,{SIZE}] h) => ({outputs})
    <int64[3] sizes = {{{SIZE},{SIZE},{SIZE}}}, int64[2] pair = {{{SIZE},{SIZE}}},
     int64[1] width = {{{SIZE}}}, int64[1] none = {{0}}, int64[1] first = {{1}}> {{ {body} }}"""
    return support.parse(text, **{k: v.astype(np.float32) for k, v in weights.items()})


def _step(t: int, x: str, h: str, spelling: str = SPELLING, blend: str = BLEND) -> str:
    return (spelling + blend).format(t=t, x=x, h=h)


def _unrolled(
    spelling: str = SPELLING, blend: str = BLEND, steps: int = STEPS, start: str = "h"
) -> str:
    states = [start, *(f"h{t}" for t in range(steps))]
    return "".join(_step(t, f"x{t}", states[t], spelling, blend) for t in range(steps))


def _feeds(batch: int = BATCH, steps: int = STEPS) -> dict[str, support.Array]:
    rng = np.random.default_rng(5)
    feeds = {f"x{t}": 2 * rng.standard_normal((batch, WIDTH)) for t in range(steps)}
    feeds["h"] = rng.standard_normal((batch, SIZE))
    return {name: array.astype(np.float32) for name, array in feeds.items()}


def _assert_fuses(before: onnx.ModelProto, feeds: dict[str, support.Array]) -> onnx.NodeProto:
    after = support.result(support.optimise(before, "fuse-unrolled-gru"))
    found = support.op_types(after.graph)
    assert found["GRU"] == 1
    assert not found["Gemm"] + found["MatMul"] + found["Sigmoid"] + found["Tanh"]
    for want, got in zip(run_small(before, feeds), run_small(after, feeds), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
    (made,) = (node for node in after.graph.node if node.op_type == "GRU")
    assert isinstance(made, onnx.NodeProto)
    return made


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
@pytest.mark.parametrize("blend", BLENDS.values(), ids=BLENDS)
def test_fuses(spelling: str, blend: str) -> None:
    node = _assert_fuses(_model(_unrolled(spelling, blend), LAST), _feeds())
    (after,) = (a.i for a in node.attribute if a.name == "linear_before_reset")
    assert after == (spelling in list(SPELLINGS.values())[:2])


@pytest.mark.parametrize(("steps", "batch"), [(4, 1), (5, 3), (17, 2)])
def test_fuses_lengths_and_batches(steps: int, batch: int) -> None:
    before = _model(_unrolled(steps=steps), f"float[N,{SIZE}] h{steps - 1}", steps=steps)
    _assert_fuses(before, _feeds(batch, steps))


def test_hands_out_states_in_between() -> None:
    tail = "y = Concat<axis=1>(h0, h2, h5)"
    _assert_fuses(
        _model(_unrolled() + tail, f"float[N,{3 * SIZE}] y, float[N,{SIZE}] h1"), _feeds()
    )


def test_zeros_to_begin_with_are_left_out() -> None:
    head = "s = Shape(h) zero = ConstantOfShape(s)"
    node = _assert_fuses(_model(head + _unrolled(start="zero"), LAST), _feeds())
    assert len(node.input) == 4


def test_a_constant_to_begin_with() -> None:
    head = "s = Shape(h) start = Expand(row, s)"
    node = _assert_fuses(_model(head + _unrolled(start="start"), LAST), _feeds())
    assert node.input[5]


def test_equal_weights_under_other_names() -> None:
    body = _unrolled(steps=STEPS - 1) + _step(5, "x5", "h4").replace(", u,", ", copy,")
    before = _model(body, LAST)
    (weight,) = (t for t in before.graph.initializer if t.name == "u")
    copy = onnx.TensorProto.FromString(weight.SerializeToString())
    copy.name = "copy"
    before.graph.initializer.append(copy)
    _assert_fuses(before, _feeds())


@pytest.mark.parametrize("axis", [0, 1])
def test_a_sequence_in_order_is_used_whole(axis: int) -> None:
    head = "".join(f"x{t} = Gather<axis={axis}>(x, at{t})" for t in range(STEPS))
    before = _model(head + _unrolled(), LAST)
    del before.graph.input[:STEPS]
    shape = (STEPS, BATCH, WIDTH) if axis == 0 else (BATCH, STEPS, WIDTH)
    dims = ["N" if i == 1 - axis else d for i, d in enumerate(shape)]
    before.graph.input.append(onnx.helper.make_tensor_value_info("x", 1, dims))
    for t in range(STEPS):
        place = np.array(t if t < 4 else t - STEPS)
        before.graph.initializer.append(onnx.numpy_helper.from_array(place, f"at{t}"))
    rng = np.random.default_rng(2)
    feeds = {"x": rng.standard_normal(shape).astype(np.float32), "h": _feeds()["h"]}
    _assert_fuses(before, feeds)
    after = support.result(support.optimise(before, "fuse-unrolled-gru, remove-dead-nodes"))
    found = support.op_types(after.graph)
    assert (found["Gather"], found["Concat"], found["Transpose"]) == (0, 0, axis)


def test_cut_by_slices() -> None:
    sliced = SPELLING.replace(
        "kr{t}, kz{t}, kn{t} = Split<axis=-1>(k{t}, sizes)",
        "kr{t} = Slice(k{t}, none, width, first) kz{t} = Slice(k{t}, width, twice, last)"
        "kn{t} = Slice(k{t}, from_end, end, last)",
    )
    before = _model(_unrolled(sliced), LAST)
    numbers = {"twice": 2 * SIZE, "last": -1, "from_end": -SIZE, "end": 2**63 - 1}
    for name, number in numbers.items():
        before.graph.initializer.append(onnx.numpy_helper.from_array(np.array([number]), name))
    _assert_fuses(before, _feeds())


def test_declines_a_product_of_one_column_that_is_spread() -> None:
    spelling = SPELLINGS["a product for each gate"].replace(
        "kn{t} = Gemm<transB=1>({h}, un)", "kn{t} = MatMul({h}, column)"
    )
    before = _model(_unrolled(spelling), LAST)
    after = support.result(support.optimise(before, "fuse-unrolled-gru"))
    assert not support.op_types(after.graph)["GRU"]
    for want, got in zip(run_small(before, _feeds()), run_small(after, _feeds()), strict=True):
        np.testing.assert_array_equal(got, want)


def _changed(old: str, new: str, at: int = 3) -> str:
    """A sequence with something else in one step."""
    assert old in SPELLING + BLEND
    states = ["h", *(f"h{t}" for t in range(STEPS))]
    steps = [
        (SPELLING + BLEND).replace(old, new if t == at else old).format(t=t, x=f"x{t}", h=states[t])
        for t in range(STEPS)
    ]
    return "".join(steps)


@pytest.mark.parametrize(
    ("body", "outputs", "reason"),
    [
        (_unrolled() + "y = Neg(z2)", f"{LAST}, float[N,{SIZE}] y", "a gate is read by others"),
        (_unrolled(), f"{LAST}, float[N,{SIZE}] n4", "a gate is read by others"),
        (
            _unrolled(steps=3)
            + "e = MatMul(r1, back)"
            + _step(3, "e", "h2")
            + _step(4, "x4", "h3")
            + _step(5, "x5", "h4"),
            LAST,
            "a gate is read by others",
        ),
        (
            _unrolled(steps=3)
            + "e = MatMul(h2, back)"
            + _step(3, "e", "h2")
            + _step(4, "x4", "h3")
            + _step(5, "x5", "h4"),
            LAST,
            "a result is read before the last step",
        ),
        (_unrolled(steps=3), f"float[N,{SIZE}] h2", None),
        (_changed("({x}, w, b)", "({x}, w2, b)"), LAST, None),
        (_changed("u, d)", "u, b)"), LAST, None),
        (_changed("n{t} = Tanh", "n{t} = Sigmoid"), LAST, None),
        (_changed("r{t} = Sigmoid(sr{t})", "r{t} = HardSigmoid(sr{t})"), LAST, None),
        (_changed("Sub(one, z{t})", "Sub(one, r{t})"), LAST, None),
        (_changed("Mul(r{t}, kn{t})", "Mul(z{t}, kn{t})", at=2), LAST, None),
        (_changed("Mul({h}, z{t})", "Mul(h0, z{t})"), LAST, None),
        (
            _unrolled(steps=3)
            + "f = Neg(h2)"
            + _step(3, "x3", "f")
            + _step(4, "x4", "h3")
            + _step(5, "x5", "h4"),
            LAST,
            None,
        ),
        (_unrolled().replace("one,", "row,"), LAST, None),
    ],
)
def test_declines(body: str, outputs: str, reason: str | None) -> None:
    outcome = support.optimise(_model(body, outputs), "fuse-unrolled-gru")
    assert not support.op_types(support.result(outcome).graph)["GRU"]
    given = [r for reasons in outcome.stats.declined.values() for r in reasons]
    assert len(given) == (reason is not None)
    assert all(reason in r for r in given if reason)


def test_declines_before_axes_are_inputs() -> None:
    body = _unrolled().replace(", sizes)", ")").replace("axis=1>", "axis=1, split=[5,5,5]>")
    body = body.replace("axis=-1>", "axis=-1, split=[5,5,5]>")
    outcome = support.optimise(_model(body, LAST, opset=12), "fuse-unrolled-gru")
    given = [r for reasons in outcome.stats.declined.values() for r in reasons]
    assert given == ["it needs opset 13"]
