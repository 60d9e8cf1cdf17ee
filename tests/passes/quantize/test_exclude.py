"""What the user excludes computes in float on the runtime, also where all around it is integers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from ..support import parse
from .support import checked, kernels, quantise, run, snr

rng = np.random.default_rng(12)


def network(between: str, channels: int = 8) -> onnx.ModelProto:
    """Two convolutions, what makes ``s`` of their results ``a`` and ``b``, and a third one."""
    text = f"""<ir_version: 8, opset_import: ["" : 17]>
        g (float[1,3,16,16] x) => (float[1,8,h,v] y) {{
            a = Conv<pads=[1,1,1,1]>(x, w1)
            b = Conv<pads=[1,1,1,1]>(x, w2)
            {between}
            y = Conv(s, w3)
        }}"""
    shapes = {"w1": (8, 3, 3, 3), "w2": (8, 3, 3, 3), "w3": (8, channels, 3, 3)}
    weights = {n: (rng.normal(size=s) / 5).astype(np.float32) for n, s in shapes.items()}
    return parse(text, **weights)


@pytest.mark.parametrize(
    ("between", "exclude", "float_op", "integer_op"),
    [
        ("s = Add(a, b)", "Add", "Add", "QLinearAdd"),
        ("s = Mul(a, b)", "Mul", "Mul", "QLinearMul"),
        ("s = Concat<axis=1>(a, b)", "Concat", "Concat", "QLinearConcat"),
        ("s = Sigmoid(a)", "Sigmoid", "Sigmoid", "QLinearSigmoid"),
        ("t = Add(a, b) s = Relu(t)", "t", "Add", "QLinearAdd"),
        ("s = Relu(a)", "Relu", "Relu", "QLinearRelu"),
    ],
)
def test_it_computes_in_float(
    between: str, exclude: str, float_op: str, integer_op: str, tmp_path: Path
) -> None:
    model = network(between, 16 if "Concat" in between else 8)
    feeds = [{"x": rng.normal(size=(1, 3, 16, 16)).astype(np.float32)} for _ in range(4)]
    whole = kernels(quantised(model, feeds), tmp_path)
    assert float_op not in whole
    part = quantised(model, feeds, f'exclude="{exclude}"')
    found = kernels(part, tmp_path)
    assert found[float_op] == 1
    assert not found[integer_op]
    assert found["QLinearConv"] == whole["QLinearConv"]
    for feed in feeds:
        [reference] = run(model, feed)
        [other] = run(part, feed)
        assert snr(reference, other) > 25


@pytest.mark.parametrize(
    ("between", "float_op", "integer_op"),
    [
        ("s = Add(a, b)", "Add", "QLinearAdd"),
        ("s = Sigmoid(a)", "Sigmoid", "QLinearSigmoid"),
        ("t = Mul(a, b) s = Relu(t)", "Mul", "QLinearMul"),
    ],
)
def test_so_does_what_is_not_included(
    between: str, float_op: str, integer_op: str, tmp_path: Path
) -> None:
    model = network(between)
    feeds = [{"x": rng.normal(size=(1, 3, 16, 16)).astype(np.float32)} for _ in range(4)]
    part = quantised(model, feeds, "include=Conv")
    found = kernels(part, tmp_path)
    assert (found[float_op], found[integer_op]) == (1, 0)
    assert found["QLinearConv"] == (2 if "b" not in between else 3)
    for feed in feeds:
        assert snr(run(model, feed)[0], run(part, feed)[0]) > 25


@pytest.mark.parametrize("between", ["s = Relu(a)", "s = MaxPool<kernel_shape=[2,2]>(a)"])
def test_what_only_limits_or_moves_values_need_not_be_included(
    between: str, tmp_path: Path
) -> None:
    feeds = [{"x": rng.normal(size=(1, 3, 16, 16)).astype(np.float32)} for _ in range(4)]
    part = quantised(network(between), feeds, "include=Conv")
    assert "Sum" not in {node.op_type for node in part.graph.node}
    assert "Sum" not in kernels(part, tmp_path)


def test_nothing_is_added_where_no_integer_kernel_could_come_of_it() -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]>
        g (float[N,5,8] x) => (float[N,5,8] y) { p = MatMul(x, w) s = Add(p, b) y = MatMul(s, v) }"""
    shapes = {"w": (8, 8), "b": (8,), "v": (8, 8)}
    model = parse(text, **{n: rng.normal(size=s).astype(np.float32) for n, s in shapes.items()})
    feeds = [{"x": rng.normal(size=(2, 5, 8)).astype(np.float32)}]
    after = quantised(model, feeds, 'exclude="Add"')
    assert "Sum" not in {node.op_type for node in after.graph.node}


def quantised(
    model: onnx.ModelProto, feeds: list[dict[str, np.ndarray]], options: str = ""
) -> onnx.ModelProto:
    """With 7 bits, which no processor's products of integers saturate at."""
    return checked(quantise(model, feeds, f"bits=7,{options}" if options else "bits=7"))
