"""Static quantisation of a small model from one sample, and running it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
from onnx import helper, numpy_helper
from onnxopt.passes.quantize._selection import Selection
from onnxopt.passes.quantize.static._notes import Notes
from onnxopt.passes.quantize.static._place import Placement
from onnxopt.passes.quantize.static._plan import Plan, Planner
from onnxopt.passes.quantize.static._scales import Scheme, activation_scales

from onnxopt.io import load, save
from onnxopt.pipeline.base import Context
from onnxopt.quantization.types import qtype
from onnxopt.runtime.cpu import weight_bits
from onnxopt.targets.load import load_target

Array = np.ndarray[Any, Any]


def weights(*shape: int, seed: int = 1) -> Array:
    return (np.random.default_rng(seed).normal(size=shape) / 4).astype(np.float32)


def model(
    nodes: list[onnx.NodeProto],
    constants: dict[str, Array],
    inputs: dict[str, list[int]],
    outputs: dict[str, list[int]],
    opset: int = 17,
) -> onnx.ModelProto:
    def infos(shapes: dict[str, list[int]]) -> list[onnx.ValueInfoProto]:
        return [helper.make_tensor_value_info(n, 1, shape) for n, shape in shapes.items()]

    tensors = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "g", infos(inputs), infos(outputs), tensors)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    onnx.checker.check_model(proto)
    return proto


def feed_of(proto: onnx.ModelProto) -> dict[str, Array]:
    rng = np.random.default_rng(7)
    shapes = {
        i.name: [d.dim_value for d in i.type.tensor_type.shape.dim] for i in proto.graph.input
    }
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def quantise(
    proto: onnx.ModelProto,
    folder: Path,
    activations: str = "u8",
    *,
    symmetric: bool = False,
    ranges: dict[str, tuple[float, float]] | None = None,
) -> Path:
    """Quantises for ort-cpu with the ranges of one sample, or given ones."""
    source, out = folder / "float.onnx", folder / f"{activations}.onnx"
    onnx.save(proto, source)
    loaded: ir.Model = load(source)
    context = Context(loaded, target=load_target("ort-cpu"))
    assert context.target is not None
    assert context.target.quantize is not None
    planner = Planner(context.facts, context.target.quantize, Selection())
    plan = planner.plan(loaded.graph)
    found = {**_ranges(proto, plan), **(ranges or {})}
    # As the product does: kernels of processors without VNNI saturate with all 8 bits.
    weights = qtype("s8").narrowed(weight_bits("CPUExecutionProvider"))
    scheme = Scheme(qtype(activations), weights, True, symmetric)
    scales = activation_scales(context.facts, plan, scheme, lambda v, _: found[v.name or ""])
    notes = Notes(plan, scales, {})
    Placement(context, loaded.graph, planner, plan, scales, scheme, notes).run()
    save(loaded, out)
    return out


def _ranges(proto: onnx.ModelProto, plan: Plan) -> dict[str, tuple[float, float]]:
    observed = onnx.ModelProto()
    observed.CopyFrom(proto)
    feed = feed_of(proto)
    had = {*feed, *(o.name for o in proto.graph.output)}
    names = [value.name or "" for value in plan.roots]
    observed.graph.output.extend(
        helper.make_empty_tensor_value_info(name) for name in names if name not in had
    )
    values = {**run(observed.SerializeToString(), feed), **feed}
    return {name: (float(values[name].min()), float(values[name].max())) for name in names}


def run(source: bytes | Path, feed: dict[str, Array]) -> dict[str, Array]:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    session = ort.InferenceSession(source if isinstance(source, bytes) else str(source), options)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, feed), strict=True))


def snr_db(proto: onnx.ModelProto, quantised: Path) -> float:
    """How close the result is on the sample, over all outputs."""
    feed = feed_of(proto)
    reference, other = run(proto.SerializeToString(), feed), run(quantised, feed)
    signal = sum(float((r**2).sum()) for r in reference.values())
    noise = sum(float(((reference[n] - other[n]) ** 2).sum()) for n in reference)
    return float(10 * np.log10(signal / noise))


def perceptron(opset: int) -> onnx.ModelProto:
    """Two layers of rank 3 with a rectifier between: x [1, 6, 8] to y [1, 6, 4]."""
    node = helper.make_node
    nodes = [
        node("MatMul", ["x", "w1"], ["m1"], "mm1"),
        node("Add", ["m1", "b1"], ["a1"], "add1"),
        node("Relu", ["a1"], ["r1"], "relu1"),
        node("MatMul", ["r1", "w2"], ["m2"], "mm2"),
        node("Add", ["m2", "b2"], ["y"], "add2"),
    ]
    constants = {
        "w1": weights(8, 16),
        "b1": weights(16),
        "w2": weights(16, 4, seed=2),
        "b2": weights(4, seed=3),
    }
    return model(nodes, constants, {"x": [1, 6, 8]}, {"y": [1, 6, 4]}, opset)
