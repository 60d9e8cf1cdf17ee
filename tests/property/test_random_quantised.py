"""Random graphs of layers, quantised with fixed scales: valid, loadable, alike however they are run, and like the float model.

Drawn are chains with branches: layers whose weights are shared, biases, rectifiers and limits, pooling, residuals, joined and
moved values, inner values that are outputs. The same ones are drawn each time; set ONNXOPT_EXAMPLES to draw that many new ones.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from onnxopt.io import from_proto, to_proto
from onnxopt.pipeline.manager import Manager, Settings
from onnxopt.quantization.statistics import Statistics
from onnxopt.quantization.wants import Wants
from onnxopt.runtime.cpu import weight_bits
from onnxopt.runtime.providers import CPU
from onnxopt.targets.load import load_target

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]
EXAMPLES = int(os.environ.get("ONNXOPT_EXAMPLES", "60"))
BATCH = 3
LEVELS = onnxruntime.GraphOptimizationLevel
TIDY = "prune-initializers, deduplicate-initializers, remove-dead-nodes"


@dataclass
class Graph:
    """A graph being drawn: values of float32, by name with their shapes; the first axis is the batch."""

    draw: st.DrawFn
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: dict[str, Array] = field(default_factory=dict)
    values: dict[str, Shape] = field(default_factory=dict)

    def pick(self, *ranks: int) -> tuple[str, Shape] | None:
        """A value of one of some ranks, a late one more often than not."""
        there = [item for item in self.values.items() if len(item[1]) in ranks]
        if not there or self.draw(st.booleans()):
            return next(reversed(there), None)
        found: tuple[str, Shape] = self.draw(st.sampled_from(there))
        return found

    def node(self, op: str, inputs: Sequence[str], shape: Shape, **attributes: Any) -> None:
        out = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [out], f"n{len(self.nodes)}", **attributes))
        self.values[out] = shape

    def constant(self, *shape: int, spread: float = 1.0) -> str:
        """Normal numbers; the same tensor as one before where its shape is drawn again, half of the time."""
        alike = [name for name, array in self.weights.items() if array.shape == shape]
        reused = self.draw(st.booleans()) if alike else False
        if reused:
            shared: str = self.draw(st.sampled_from(alike))
            return shared
        name = f"w{len(self.weights)}"
        rng = np.random.default_rng(len(self.weights) + 1)
        self.weights[name] = (rng.normal(size=shape) * spread).astype(np.float32)
        return name

    def integers(self, *numbers: int) -> str:
        name = f"w{len(self.weights)}"
        self.weights[name] = np.array(numbers, np.int64)
        return name


def conv(g: Graph) -> None:
    found = g.pick(4)
    if found is None or found[1][2] < 3 or found[1][3] < 3:
        return
    x, (n, c, h, w) = found
    size, pad = g.draw(st.sampled_from([(1, 0), (3, 1), (3, 0)]))
    group = g.draw(st.sampled_from([1, 1, c]))
    out = c if group == c else g.draw(st.sampled_from([4, 8]))
    depth = c // group
    inputs = [x, g.constant(out, depth, size, size, spread=1 / math.sqrt(depth * size * size))]
    if g.draw(st.booleans()):
        inputs.append(g.constant(out))
    smaller = size - 1 - 2 * pad
    shape = (n, out, h - smaller, w - smaller)
    g.node("Conv", inputs, shape, pads=[pad] * 4, group=group)


def matmul(g: Graph) -> None:
    found = g.pick(2, 3)
    if found is None:
        return
    x, shape = found
    width = g.draw(st.sampled_from([4, 8]))
    g.node(
        "MatMul",
        [x, g.constant(shape[-1], width, spread=1 / math.sqrt(shape[-1]))],
        (*shape[:-1], width),
    )
    if g.draw(st.booleans()):
        pair = [next(reversed(g.values)), g.constant(width)]
        g.node("Add", pair if g.draw(st.booleans()) else pair[::-1], (*shape[:-1], width))


def gemm(g: Graph) -> None:
    found = g.pick(2)
    if found is None:
        return
    x, (n, k) = found
    width, turned = g.draw(st.sampled_from([4, 8])), g.draw(st.booleans())
    shape = (width, k) if turned else (k, width)
    inputs = [x, g.constant(*shape, spread=1 / math.sqrt(k))]
    if g.draw(st.booleans()):
        inputs.append(g.constant(width))
    alpha = g.draw(st.sampled_from([1.0, 0.5]))
    g.node("Gemm", inputs, (n, width), transB=int(turned), alpha=alpha)


def activation(g: Graph) -> None:
    found = g.pick(2, 3, 4)
    if found is None:
        return
    x, shape = found
    kind = g.draw(st.sampled_from(["Relu", "Relu", "Clip", "LeakyRelu", "Sigmoid"]))
    inputs = [x]
    if kind == "Clip":
        for limit in g.draw(st.sampled_from([(0.0, 6.0), (-1.0, 1.5), (0.0, 0.5)])):
            name = f"w{len(g.weights)}"
            g.weights[name] = np.array(limit, np.float32)
            inputs.append(name)
    g.node(kind, inputs, shape)


def joined(g: Graph) -> None:
    found = g.pick(2, 3, 4)
    if found is None:
        return
    x, shape = found
    other = g.draw(st.sampled_from([name for name, s in g.values.items() if s == shape]))
    kind = g.draw(st.sampled_from(["Add", "Add", "Mul", "Concat"]))
    if kind == "Concat":
        g.node("Concat", [x, other], (shape[0], 2 * shape[1], *shape[2:]), axis=1)
    else:
        g.node(kind, [x, other], shape)


def pool(g: Graph) -> None:
    found = g.pick(4)
    if found is None or min(found[1][2:]) < 2:
        return
    x, (n, c, h, w) = found
    kind = g.draw(st.sampled_from(["MaxPool", "AveragePool", "GlobalAveragePool"]))
    if kind == "GlobalAveragePool":
        g.node(kind, [x], (n, c, 1, 1))
    else:
        g.node(kind, [x], (n, c, h // 2, w // 2), kernel_shape=[2, 2], strides=[2, 2])


def moved(g: Graph) -> None:
    found = g.pick(2, 3, 4)
    if found is None:
        return
    x, shape = found
    n, rest = shape[0], math.prod(shape[1:])
    kind = g.draw(st.sampled_from(["Transpose", "Flatten", "Reshape"]))
    if kind == "Transpose" and len(shape) > 2:
        order = [0, *g.draw(st.permutations(range(1, len(shape))))]
        g.node("Transpose", [x], tuple(shape[i] for i in order), perm=order)
    elif kind == "Flatten":
        g.node("Flatten", [x], (n, rest))
    elif kind == "Reshape" and len(shape) > 2:
        g.node("Reshape", [x, g.integers(0, shape[1], -1)], (n, shape[1], rest // shape[1]))


STEPS: list[Callable[[Graph], None]] = [conv, conv, matmul, gemm, activation, joined, pool, moved]


@st.composite
def models(draw: st.DrawFn) -> onnx.ModelProto:
    g = Graph(draw, values={"x": draw(st.sampled_from([(BATCH, 4, 6, 6), (BATCH, 5, 8)]))})
    first = conv if len(g.values["x"]) == 4 else matmul
    for step in [first, *draw(st.lists(st.sampled_from(STEPS), min_size=2, max_size=8))]:
        step(g)
    inner = [name for name in g.values if name != "x"]
    chosen = {inner[-1], *draw(st.lists(st.sampled_from(inner), max_size=1))}

    def info(name: str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, 1, ["N", *g.values[name][1:]])

    graph = helper.make_graph(
        g.nodes,
        "g",
        [info("x")],
        [info(name) for name in inner if name in chosen],
        [numpy_helper.from_array(array, name) for name, array in g.weights.items()],
    )
    opset = draw(st.sampled_from([13, 17, 21]))
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8 if opset < 21 else 10
    )


def values(proto: onnx.ModelProto, x: Array, level: Any, names: Sequence[str] = ()) -> list[Array]:
    """A model's outputs, or other values of it."""
    if names:
        seen = onnx.ModelProto()
        seen.CopyFrom(proto)
        had = {out.name for out in proto.graph.output}
        seen.graph.output.extend(
            helper.make_empty_tensor_value_info(n) for n in names if n not in had
        )
        proto = seen
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = level
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options)
    return list(session.run(list(names) or None, {"x": x}))


def observing(x: Array) -> Callable[[ir.Model, Mapping[str, Wants]], Statistics]:
    """Gathers statistics from one sample, in this process."""

    def observe(model: ir.Model, wants: Mapping[str, Wants]) -> Statistics:
        inner = [name for name in wants if name != "x"]
        found = dict(
            zip(inner, values(to_proto(model), x, LEVELS.ORT_DISABLE_ALL, inner), strict=True)
            if inner
            else ()
        )
        statistics = Statistics("drawn", wants)
        for name in wants:
            statistics.update(name, x if name == "x" else found[name])
        return statistics

    return observe


def quantised(
    proto: onnx.ModelProto, x: Array, target: str, options: Sequence[str]
) -> onnx.ModelProto:
    bits = weight_bits(CPU)
    given = [*options, *([f"bits={bits}"] if bits < 8 and 'weights="u8"' not in options else [])]
    passes = f"O2, prequantize, quantize{{{','.join(given)}}}, {TIDY}"
    chosen = Settings(target=load_target(target), observe=observing(x))
    outcome = Manager(chosen).run(lambda: from_proto(proto), passes)
    assert not outcome.failures, outcome.failures
    return to_proto(outcome.model)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="ONNXOPT_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
)
@given(
    proto=models(),
    target=st.sampled_from(["ort-cpu", "generic"]),
    options=st.lists(
        st.sampled_from(
            ['weights="u8"', 'activations="s8"', 'granularity="tensor"', "symmetric=true", "bias_correct=true"]
        ),
        unique=True,
        max_size=2,
    ),
)  # fmt: skip
def test_drawn_graphs_in_integers(proto: onnx.ModelProto, target: str, options: list[str]) -> None:
    onnx.checker.check_model(proto, full_check=True)
    shape = [d.dim_value or BATCH for d in proto.graph.input[0].type.tensor_type.shape.dim]
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    after = quantised(proto, x, target, options)
    onnx.checker.check_model(after, full_check=True)
    kinds = {node.op_type for node in after.graph.node}
    assert "QuantizeLinear" in kinds or not kinds & {"Conv", "Gemm", "MatMul"}
    assert list(after.graph.output) == list(proto.graph.output)
    wanted = values(proto, x, LEVELS.ORT_DISABLE_ALL)
    fused = values(after, x, LEVELS.ORT_ENABLE_ALL)
    apart = values(after, x, LEVELS.ORT_DISABLE_ALL)
    for out, want, one, other in zip(proto.graph.output, wanted, fused, apart, strict=True):
        size = float(np.abs(want).max()) + 1e-6
        assert float(np.abs(one - other).max()) <= 0.06 * size, f"{out.name}: levels differ"
        assert float(np.sqrt(np.mean((one - want) ** 2))) <= 0.1 * size, f"{out.name}: unlike float"
