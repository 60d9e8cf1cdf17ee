"""Small models and samples for quantising from end to end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

Array = np.ndarray[Any, Any]
node = helper.make_node


def weights(*shape: int, seed: int = 1, spread: float = 0.25) -> Array:
    return (np.random.default_rng(seed).normal(size=shape) * spread).astype(np.float32)


def model(
    nodes: list[onnx.NodeProto],
    constants: dict[str, Array],
    inputs: dict[str, list[int | str]],
    outputs: dict[str, list[int | str]],
    opset: int = 17,
    ir_version: int = 8,
) -> onnx.ModelProto:
    def infos(shapes: dict[str, list[int | str]]) -> list[onnx.ValueInfoProto]:
        return [helper.make_tensor_value_info(n, 1, shape) for n, shape in shapes.items()]

    tensors = [numpy_helper.from_array(np.asarray(a), name) for name, a in constants.items()]
    graph = helper.make_graph(nodes, "g", infos(inputs), infos(outputs), tensors)
    imports = [helper.make_opsetid("", opset)]
    proto: onnx.ModelProto = helper.make_model(graph, opset_imports=imports, ir_version=ir_version)
    onnx.checker.check_model(proto, full_check=True)
    return proto


def network(opset: int = 17) -> onnx.ModelProto:
    """Two convolutions, a rectifier, a mean, a product; ``x`` has 3 channels of any size."""
    nodes = [
        node("Conv", ["x", "w1", "b1"], ["c1"], "conv1", pads=[1] * 4),
        node("Relu", ["c1"], ["r1"], "relu1"),
        node("Conv", ["r1", "w2"], ["c2"], "conv2"),
        node("GlobalAveragePool", ["c2"], ["m"], "mean"),
        node("Flatten", ["m"], ["f"], "flat"),
        node("Gemm", ["f", "w3", "b3"], ["y"], "gemm"),
    ]
    constants = {
        "w1": weights(8, 3, 3, 3),
        "b1": weights(8),
        "w2": weights(8, 8, 3, 3, seed=2),
        "w3": weights(8, 5, seed=4, spread=1.0),
        "b3": weights(5, seed=5),
    }
    return model(nodes, constants, {"x": ["N", 3, "H", "W"]}, {"y": ["N", 5]}, opset)


def write(folder: Path, proto: onnx.ModelProto, name: str = "model.onnx") -> Path:
    path = folder / name
    onnx.save(proto, path)
    return path


def images(count: int = 16, size: int = 12, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=(count, 3, size, size)).astype(np.float32)


def left_behind(folder: Path, *expected: str) -> set[str]:
    """Files in a folder besides those expected."""
    return {str(p.relative_to(folder)) for p in folder.rglob("*")} - set(expected)
