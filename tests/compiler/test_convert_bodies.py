"""Converting models with bodies: one layer inside of a body stays in single precision, not the body."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest

import onnxopt

rng = np.random.default_rng(5)
HALF, SINGLE = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT

HOT = "p = MatMul({0}, u) hot = MatMul(p, v) cold = Mul(hot, k) q = MatMul(cold, u)"
"""The third value is beyond the range of float16, its factors are not."""
LOOP = """
    a = MatMul(x, u)
    m = Constant<value = int64 {3}>()
    go = Constant<value = bool {1}>()
    s = Loop<body = b (int64 i, bool c, float[N,32] st) => (bool c2, float[N,32] st2) {BODY}>(m, go, a)
    y = MatMul(s, u)
"""
BRANCHES = """
    a = MatMul(x, u)
    total = ReduceSum<keepdims = 0>(a)
    zero = Constant<value = float {0.0}>()
    go = Greater(total, zero)
    s = If<then_branch = t () => (float[N,32] r) {THEN},
           else_branch = e () => (float[N,32] r) {ELSE}>(go)
    y = MatMul(s, u)
"""
SCAN = """
    a = MatMul(x, u)
    zero = Constant<value = float[1,32] {ZEROS}>()
    s, rows = Scan<num_scan_inputs = 1,
        body = b (float[1,32] st, float[32] row) => (float[1,32] st2, float[1,32] out) {
            one = Constant<value = int64[1] {0}>()
            r = Unsqueeze(row, one)
            h = Add(r, st)
            HOT
            st2 = Tanh(q)
            out = MatMul(st2, u)
        }>(zero, a)
    flat = Squeeze(rows)
    y = MatMul(flat, u)
""".replace("HOT", HOT.format("h")).replace("ZEROS", ", ".join(["0.0"] * 32))


def square(scale: float) -> np.ndarray:
    return (rng.normal(size=(32, 32)) * scale).astype(np.float32)


def write(path: Path, body: str, **more: np.ndarray) -> Path:
    text = f'<ir_version: 8, opset_import: ["" : 17]>\ng (float[N,32] x) => (float[N,32] y) {{ {body} }}'
    model = onnx.parser.parse_model(text)
    weights = {"u": square(0.2), "v": square(10000), "k": np.array(5e-5, np.float32), **more}
    for name, array in weights.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def node(model: onnx.ModelProto, *path: str) -> onnx.NodeProto:
    """A node by the path to it: results of nodes, and names of attributes, in turn."""
    graph = model.graph
    for result, attribute in zip(path[:-1:2], path[1::2], strict=True):
        holder = next(n for n in graph.node if result in n.output)
        graph = next(a.g for a in holder.attribute if a.name == attribute)
    found: onnx.NodeProto = next(n for n in graph.node if path[-1] in n.output)
    return found


def check(result: onnxopt.Result, out: Path, single: set[str], half: set[str]) -> None:
    """Asserts that the result passed, and in which type products by weights of their own are computed."""
    assert result.validation is not None
    assert result.validation.passed
    assert set(result.kept) == single
    model = onnx.load(out)
    onnx.checker.check_model(model)
    types = {t.name: t.data_type for t in model.graph.initializer}
    for address in single | half:
        *path, last = address.split("/")
        found = node(model, *path, last)
        if found.op_type == "MatMul":
            assert types[found.input[1]] == (SINGLE if address in single else HALF), address


def test_layer_that_overflows_in_a_loop_is_kept_alone(tmp_path: Path) -> None:
    body = "{ c2 = Identity(c) " + HOT.format("st") + " st2 = Tanh(q) }"
    source = write(tmp_path / "in.onnx", LOOP.replace("{BODY}", body))
    result = onnxopt.convert(source, tmp_path / "out.onnx")
    check(
        result, tmp_path / "out.onnx", {"s/body/hot", "s/body/cold"}, {"s/body/p", "s/body/q", "y"}
    )
    assert "its result reaches" in result.kept["s/body/hot"]


def test_layer_that_overflows_in_a_scan_is_kept_alone(tmp_path: Path) -> None:
    source = write(tmp_path / "in.onnx", SCAN)
    result = onnxopt.convert(source, tmp_path / "out.onnx")
    single = {"s/body/hot", "s/body/cold"}
    check(result, tmp_path / "out.onnx", single, {"s/body/p", "s/body/q", "s/body/out", "y"})


def test_branches_whose_values_share_names_are_told_apart(tmp_path: Path) -> None:
    hot = "{" + HOT.format("a") + " r = Tanh(q) }"
    mild = hot.replace("v)", "w)")
    body = BRANCHES.replace("{THEN}", hot).replace("{ELSE}", mild)
    source = write(tmp_path / "in.onnx", body, w=square(0.2))
    x = rng.normal(size=(4, 32)).astype(np.float32)
    result = onnxopt.convert(source, tmp_path / "out.onnx", feeds=[{"x": x}, {"x": -x}])
    single = {"s/then_branch/hot", "s/then_branch/cold"}
    check(result, tmp_path / "out.onnx", single, {"s/else_branch/hot", "s/then_branch/p", "y"})


def test_body_inside_of_a_body(tmp_path: Path) -> None:
    inner = (
        "{ c2 = Identity(c) one = Constant<value = int64 {1}>() first = Less(i, one)"
        " st2 = If<then_branch = t () => (float[N,32] r) { r = Identity(st) },"
        " else_branch = e () => (float[N,32] r) {" + HOT.format("st") + " r = Tanh(q) }>(first) }"
    )
    source = write(tmp_path / "in.onnx", LOOP.replace("{BODY}", inner))
    result = onnxopt.convert(source, tmp_path / "out.onnx")
    path = "s/body/st2/else_branch"
    check(
        result, tmp_path / "out.onnx", {f"{path}/hot", f"{path}/cold"}, {f"{path}/p", f"{path}/q"}
    )


@pytest.mark.parametrize("to", ["float16", "bfloat16"])
def test_layer_that_loses_digits_in_a_loop_is_found(tmp_path: Path, to: str) -> None:
    """Only the first iteration tells: from the second on every node reads what is wrong."""
    body = (
        "{ c2 = Identity(c) p = MatMul(st, u) d = Add(p, big) e = Sub(d, big) q = MatMul(e, u)"
        " st2 = Tanh(q) }"
    )
    big = np.full(32, 3000, np.float32)
    source = write(tmp_path / "in.onnx", LOOP.replace("{BODY}", body), big=big)
    result = onnxopt.convert(source, tmp_path / "out.onnx", to=to)
    assert result.validation is not None
    assert result.validation.passed
    assert {"s/body/d", "s/body/e"} <= set(result.kept)
    assert not {"s", "s/body/q", "s/body/st2", "y"} & set(result.kept)


def test_shapes_that_change_from_step_to_step(tmp_path: Path) -> None:
    body = """
        m = Constant<value = int64 {4}>()
        go = Constant<value = bool {1}>()
        s, rows = Loop<body = b (int64 i, bool c, float[M,32] st) => (bool c2, float[K,32] st2, float[32] row) {
            c2 = Identity(c)
            HOT
            st2 = Concat<axis = 0>(st, q)
            row = ReduceMean<axes = [0], keepdims = 0>(q)
        }>(m, go, x)
        y = MatMul(rows, u)
    """.replace("HOT", HOT.format("st"))
    source = write(tmp_path / "in.onnx", body.replace("=> (float[N,32] y)", "=> (float[4,32] y)"))
    result = onnxopt.convert(source, tmp_path / "out.onnx")
    check(
        result, tmp_path / "out.onnx", {"s/body/hot", "s/body/cold"}, {"s/body/p", "s/body/q", "y"}
    )


def test_nodes_in_bodies_are_named_by_their_path(tmp_path: Path) -> None:
    hot = "{" + HOT.format("a") + " r = Tanh(q) }"
    source = write(tmp_path / "in.onnx", BRANCHES.replace("{THEN}", hot).replace("{ELSE}", hot))
    keep = ["s/then_branch/hot", "s/then_branch/cold", "s/else_branch/MatMul", "s/else_branch/cold"]
    result = onnxopt.convert(source, tmp_path / "out.onnx", keep=keep)
    assert not result.kept
    assert result.validation is not None
    assert result.validation.passed
    types = {t.name: t.data_type for t in onnx.load(tmp_path / "out.onnx").graph.initializer}
    assert types["v"] == SINGLE
    assert result.stats.declined["convert-precision"]["MatMul: asked for"] == 4


def test_a_path_that_leads_nowhere_is_refused(tmp_path: Path) -> None:
    body = "{ c2 = Identity(c) " + HOT.format("st") + " st2 = Tanh(q) }"
    source = write(tmp_path / "in.onnx", LOOP.replace("{BODY}", body))
    with pytest.raises(onnxopt.UsageError, match=r"'s/body/hott'; did you mean 's/body/hot'"):
        onnxopt.convert(source, keep=["s/body/hott"])
