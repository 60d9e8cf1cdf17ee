"""Child process: a model of many gigabytes, its external data written as a stream.

A chain of products of 4096 by 4096, all weights different. Every fourth is followed by a scale per
channel that can be folded into its weight, so that an optimiser has large weights to compute and not
only to copy.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

WIDTH = 4096
LAYER_BYTES = WIDTH * WIDTH * 4
OPSET = 17


def write_model(path: Path, layers: int) -> None:
    """Write a model of ``layers`` layers to ``path``, and its data beside it."""
    rng = np.random.default_rng(0)
    location = path.name + ".data"
    _stream_weights(path.with_name(location), layers, rng)
    nodes: list[onnx.NodeProto] = []
    weights: list[onnx.TensorProto] = []
    value = "x"
    for i in range(layers):
        weights.append(_external(f"w{i}", location, i * LAYER_BYTES))
        steps = [("MatMul", f"w{i}")]
        for op, mean in (("Mul", 1.0), ("Add", 0.0))[i % 4 != 0 :]:
            vector = rng.normal(mean, 0.1, WIDTH).astype(np.float32)
            weights.append(numpy_helper.from_array(vector, f"{op}{i}_vector"))
            steps.append((op, f"{op}{i}_vector"))
        for op, weight in [*steps, ("Tanh", "")]:
            inputs = [value, weight] if weight else [value]
            nodes.append(helper.make_node(op, inputs, [f"{op}{i}"], name=f"{op}{i}"))
            value = f"{op}{i}"
    dims: list[str | int | None] = ["batch", WIDTH]
    graph = helper.make_graph(
        nodes,
        "huge",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, dims)],
        [helper.make_tensor_value_info(value, TensorProto.FLOAT, dims)],
        weights,
    )
    imports = [helper.make_opsetid("", OPSET)]
    onnx.save(helper.make_model(graph, opset_imports=imports, ir_version=8), path)


def _stream_weights(path: Path, layers: int, rng: np.random.Generator) -> None:
    """One random matrix, turned on by a different number of elements for each layer."""
    matrix = rng.standard_normal(WIDTH * WIDTH, dtype=np.float32) / np.float32(WIDTH**0.5)
    with path.open("wb") as stream:
        for i in range(layers):
            cut = 4099 * i % matrix.size
            matrix[cut:].tofile(stream)
            matrix[:cut].tofile(stream)


def _external(name: str, location: str, offset: int) -> onnx.TensorProto:
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[WIDTH, WIDTH])
    tensor.data_location = TensorProto.EXTERNAL
    entries = {"location": location, "offset": str(offset), "length": str(LAYER_BYTES)}
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


if __name__ == "__main__":
    write_model(Path(sys.argv[1]), int(sys.argv[2]))
