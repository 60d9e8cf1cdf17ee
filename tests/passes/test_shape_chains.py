"""Per-layer shape arithmetic collapses, for the whole model, under dynamic dims."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .support import op_types, optimise, result, same

LAYERS = 220


def layered(layers: int) -> onnx.ModelProto:
    """A model on ``[b, s, 16]`` whose layers each work their two reshape targets out again."""
    constants = {"i0": 0, "i1": 1, "i2": 2, "axis": [0], "heads": [4]}
    tensors = [numpy_helper.from_array(np.array(v, np.int64), k) for k, v in constants.items()]
    nodes = []
    current = "x"
    for layer in range(layers):
        nodes += _layer(f"l{layer}_", current)
        current = f"l{layer}_out"
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "layers",
        [info("x", TensorProto.FLOAT, ["b", "s", 16])],
        [info(current, TensorProto.FLOAT, ["b", "s", 16])],
        tensors,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _layer(prefix: str, source: str) -> list[onnx.NodeProto]:
    nodes = []

    def add(op_type: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(op_type, inputs, [prefix + output], **attributes))
        return prefix + output

    for name, index in (("b", "i0"), ("s", "i1"), ("h", "i2")):
        shape = add("Shape", [source], f"shape_{name}")
        dim = add("Gather", [shape, index], name)
        add("Unsqueeze", [dim, "axis"], f"{name}_1")
        add("Unsqueeze", [dim, "axis"], f"{name}_2")
    split = add("Concat", [f"{prefix}b_1", f"{prefix}s_1", "heads", "heads"], "split", axis=0)
    parts = add("Reshape", [source, split], "parts")
    moved = add("Transpose", [parts], "moved", perm=[0, 2, 1, 3])
    normal = add("Softmax", [moved], "normal", axis=-1)
    back = add("Transpose", [normal], "back", perm=[0, 2, 1, 3])
    joined = add("Concat", [f"{prefix}{n}_2" for n in "bsh"], "joined", axis=0)
    flat = add("Reshape", [back, joined], "flat")
    add("Add", [flat, source], "out")
    return nodes


def test_hundreds_of_layers_keep_one_node_for_each_reshape() -> None:
    model = layered(LAYERS)
    assert len(model.graph.node) == LAYERS * 20
    outcome = optimise(
        model,
        "share-shape-arithmetic, fold, remove-dead-nodes, deduplicate-initializers, prune-initializers",
    )
    after = result(outcome)
    kept = {"Reshape": 2, "Transpose": 2, "Softmax": 1, "Add": 1}
    assert op_types(after.graph) == {op: n * LAYERS for op, n in kept.items()}
    assert len(after.graph.initializer) == 2, "one target for each kind of reshape"


def test_the_collapsed_model_computes_the_same_at_several_sizes() -> None:
    model = layered(4)
    after = result(optimise(model, "O1"))
    assert "Shape" not in op_types(after.graph)
    rng = np.random.default_rng(5)
    for batch, length in ((1, 1), (2, 7), (5, 3)):
        same(model, after, {"x": rng.normal(size=(batch, length, 16)).astype(np.float32) * 4})
