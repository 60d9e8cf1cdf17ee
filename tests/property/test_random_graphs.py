"""Random graphs, optimised and compared against the runtime.

The graphs are drawn so that optimisations find work: chains of what cancels, constants, repeated
computations, shape arithmetic, branches, several outputs, dims that are symbolic. The same 150 are
drawn each time; set ONNXOPT_EXAMPLES to draw that many new ones.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

import onnxopt

from ..conformance.running import assert_same, run_both

EXAMPLES = int(os.environ.get("ONNXOPT_EXAMPLES", "150"))
OPSETS = (9, 11, 13, 17, 21)
UNARY = (
    "Relu",
    "Neg",
    "Abs",
    "Identity",
    "Sigmoid",
    "Tanh",
    "Floor",
    "Sign",
    "Exp",
    "Sqrt",
    "Softplus",
)
BINARY = ("Add", "Sub", "Mul", "Div", "Max", "Min")
CONSTANTS = (0.0, 1.0, -1.0, 2.0, 0.5, -0.0)


@dataclass
class Graph:
    """A graph being drawn: every value is float32 of shape [N, 3, 4], or that permuted."""

    draw: st.DrawFn
    opset: int
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)
    values: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)

    def name(self) -> str:
        return f"v{len(self.nodes)}"

    def pick(self) -> tuple[str, tuple[Any, ...]]:
        picked: tuple[str, tuple[Any, ...]] = self.draw(st.sampled_from(self.values))
        return picked

    def node(self, op: str, inputs: list[str], shape: tuple[Any, ...], **attributes: Any) -> str:
        out = self.name()
        self.nodes.append(
            helper.make_node(op, inputs, [out], name=f"n{len(self.nodes)}", **attributes)
        )
        self.values.append((out, shape))
        return out

    def helper_node(self, op: str, inputs: list[str], **attributes: Any) -> str:
        out = self.name()
        self.nodes.append(
            helper.make_node(op, inputs, [out], name=f"n{len(self.nodes)}", **attributes)
        )
        return out

    def constant(self, array: np.ndarray) -> str:
        name = f"c{len(self.weights)}_{len(self.nodes)}"
        if self.draw(st.booleans()):
            self.weights.append(numpy_helper.from_array(array, name))
            return name
        out = self.name()
        tensor = numpy_helper.from_array(array)
        self.nodes.append(helper.make_node("Constant", [], [out], value=tensor))
        return out


def unary(g: Graph) -> None:
    x, shape = g.pick()
    g.node(g.draw(st.sampled_from(UNARY)), [x], shape)


def binary(g: Graph) -> None:
    x, shape = g.pick()
    same = [v for v, s in g.values if s == shape]
    g.node(g.draw(st.sampled_from(BINARY)), [x, g.draw(st.sampled_from(same))], shape)


def with_constant(g: Graph) -> None:
    x, shape = g.pick()
    last = shape[-1]
    sizes = [(), (1,), (1, 1, 1)] + ([(last,), (1, last)] if isinstance(last, int) else [])
    size = g.draw(st.sampled_from(sizes))
    if g.draw(st.booleans()):
        array = np.full(size, g.draw(st.sampled_from(CONSTANTS)), np.float32)
    else:
        array = np.random.default_rng(len(g.nodes)).normal(size=size).astype(np.float32)
    pair = [x, g.constant(array)]
    if g.draw(st.booleans()):
        pair.reverse()
    g.node(g.draw(st.sampled_from(BINARY)), pair, shape)


def transpose(g: Graph) -> None:
    x, shape = g.pick()
    order = g.draw(st.permutations(range(3)))
    g.node("Transpose", [x], tuple(shape[i] for i in order), perm=list(order))


def reshape_chain(g: Graph) -> None:
    """Flattens and restores, through shape arithmetic as exporters write it."""
    x, shape = g.pick()
    whole = g.helper_node("Shape", [x])
    minus = g.constant(np.array([-1], np.int64))
    flat = g.helper_node("Reshape", [x, minus])
    if g.draw(st.booleans()):
        flat = g.helper_node("Relu", [flat])
    g.node("Reshape", [flat, whole], shape)


def shape_pieces(g: Graph) -> None:
    x, shape = g.pick()
    whole = g.helper_node("Shape", [x])
    pieces = []
    for axis in range(3):
        index = g.constant(np.array([axis], np.int64))
        pieces.append(g.helper_node("Gather", [whole, index], axis=0))
    target = g.helper_node("Concat", pieces, axis=0)
    g.node("Reshape", [x, target], shape)


def slice_and_join(g: Graph) -> None:
    x, shape = g.pick()
    axis = g.draw(st.sampled_from([i for i, d in enumerate(shape) if isinstance(d, int)]))
    cut = g.draw(st.integers(0, int(str(shape[axis]))))
    halves = []
    for start, end in ((0, cut), (cut, 1 << 31)):
        if g.opset < 10:
            part = g.helper_node("Slice", [x], starts=[start], ends=[end], axes=[axis])
        else:
            bounds = [g.constant(np.array([v], np.int64)) for v in (start, end, axis)]
            part = g.helper_node("Slice", [x, *bounds])
        halves.append(part)
    g.node("Concat", halves, shape, axis=axis)


def clip(g: Graph) -> None:
    x, shape = g.pick()
    low, high = sorted(g.draw(st.tuples(st.integers(-2, 2), st.integers(-2, 2))))
    if g.opset < 11:
        g.node("Clip", [x], shape, min=float(low), max=float(high))
    else:
        bounds = [g.constant(np.array(v, np.float32)) for v in (low, high)]
        g.node("Clip", [x, *bounds], shape)


def cast_pair(g: Graph) -> None:
    x, shape = g.pick()
    through = g.draw(st.sampled_from([TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.FLOAT]))
    middle = g.helper_node("Cast", [x], to=through)
    g.node("Cast", [middle], shape, to=TensorProto.FLOAT)


def where(g: Graph) -> None:
    x, shape = g.pick()
    condition = g.constant(np.array(g.draw(st.booleans())))
    same = [v for v, s in g.values if s == shape]
    g.node("Where", [condition, x, g.draw(st.sampled_from(same))], shape)


def matmul(g: Graph) -> None:
    x, shape = g.pick()
    if not isinstance(shape[-1], int):
        return
    size = shape[-1]
    rng = np.random.default_rng(len(g.nodes))
    weight = g.constant(rng.normal(size=(size, size)).astype(np.float32))
    product = g.node("MatMul", [x, weight], shape)
    if g.draw(st.booleans()):
        g.node("Add", [product, g.constant(rng.normal(size=size).astype(np.float32))], shape)


STEPS = (
    unary, binary, with_constant, transpose, reshape_chain, shape_pieces, slice_and_join, clip,
    cast_pair, where, matmul,
)  # fmt: skip


@st.composite
def graphs(draw: st.DrawFn) -> onnx.ModelProto:
    g = Graph(draw, draw(st.sampled_from(OPSETS)))
    g.values.append(("x", ("N", 3, 4)))
    for _ in range(draw(st.integers(1, 12))):
        draw(st.sampled_from(STEPS))(g)
    made = [v for v in g.values if v[0] != "x"] or [
        (g.node("Identity", ["x"], ("N", 3, 4)), ("N", 3, 4))
    ]
    outputs = draw(st.lists(st.sampled_from(made), min_size=1, max_size=3, unique=True))
    graph = helper.make_graph(
        g.nodes,
        "random",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 4])],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, list(s)) for n, s in outputs],
        g.weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", g.opset)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=EXAMPLES == 150,
    suppress_health_check=list(HealthCheck),
)
@given(graphs(), st.integers(0, 2**31), st.sampled_from([1, 2]))
def test_random_graph(model: onnx.ModelProto, seed: int, level: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        source, target = Path(name) / "in.onnx", Path(name) / "out.onnx"
        onnx.save(model, source)
        result = onnxopt.optimize(source, target, level=level, validate=False)
        assert not result.failures
        assert not result.stats.errors
        after = onnx.load(target)
    onnx.checker.check_model(after)
    assert list(after.graph.input) == list(model.graph.input)
    assert list(after.graph.output) == list(model.graph.output)
    rng = np.random.default_rng(seed)
    for batch in (1, 2, 5):
        feeds = {"x": (rng.normal(size=(batch, 3, 4)) * 3).astype(np.float32)}
        expected, actual, _ = run_both(model, after, feeds)
        for want, got in zip(expected, actual, strict=True):
            _close(want, got, exact=level == 1)


def _close(want: np.ndarray, got: np.ndarray, *, exact: bool) -> None:
    if exact:
        assert_same(want, got, "output")
        return
    assert got.shape == want.shape
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    finite = np.isfinite(want)
    scale = float(np.abs(want[finite]).max(initial=1.0))
    np.testing.assert_allclose(got[finite], want[finite], rtol=1e-3, atol=1e-4 * scale)
