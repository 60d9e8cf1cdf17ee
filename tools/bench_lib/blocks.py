"""Child process: a graph of any number of nodes, made of transformer-like blocks with small weights.

Each block holds what exporters write: a product with bias, GELU spelled with Erf, a chain of shape
arithmetic per layer, transposes, LayerNormalization spelled out, and a residual. The dims ``batch`` and
``sequence`` are free.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

WIDTH, HEADS = 16, 2
OPSET = 17


class Blocks:
    """A graph under construction; ``count`` is its number of nodes without ``Constant``."""

    def __init__(self, seed: int) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.count = 0
        self._rng = np.random.default_rng(seed)

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Append a node and return the name of its output."""
        name = f"{op}_{len(self.nodes)}"
        node = helper.make_node(op, list(inputs), [f"{name}_out"], name=name, **attributes)
        self.nodes.append(node)
        self.count += op != "Constant"
        return f"{name}_out"

    def constant(self, value: object, dtype: npt.DTypeLike = np.int64) -> str:
        """A ``Constant`` node, as TorchScript's exporter writes for each use."""
        return self.add("Constant", value=numpy_helper.from_array(np.array(value, dtype)))

    def weight(self, *shape: int, scale: float, shift: float = 0.0) -> str:
        """A random initializer."""
        name = f"weight_{len(self.weights)}"
        array = self._rng.standard_normal(shape) * scale + shift
        self.weights.append(numpy_helper.from_array(array.astype(np.float32), name))
        return name

    def block(self, x: str) -> str:
        """One block of 36 nodes, from and to ``[batch, sequence, 16]``."""
        y = self.add("MatMul", x, self.weight(WIDTH, WIDTH, scale=0.3))
        y = self._gelu(self.add("Add", y, self.weight(WIDTH, scale=0.1)))
        y = self.add("Reshape", y, self._shape_of(x, HEADS, WIDTH // HEADS))
        y = self.add("Transpose", y, perm=[0, 2, 1, 3])
        y = self.add("Mul", y, self.constant(0.5, np.float32))
        y = self.add("Transpose", y, perm=[0, 2, 1, 3])
        y = self.add("Reshape", y, self._shape_of(x, WIDTH))
        return self._layer_norm(self.add("Add", x, y))

    def _gelu(self, x: str) -> str:
        erf = self.add("Erf", self.add("Div", x, self.constant(2**0.5, np.float32)))
        y = self.add("Mul", x, self.add("Add", erf, self.constant(1.0, np.float32)))
        return self.add("Mul", y, self.constant(0.5, np.float32))

    def _shape_of(self, x: str, *last: int) -> str:
        """The dims batch and sequence of ``x`` and then ``last``, worked out in the graph."""
        parts = []
        for axis in (0, 1):
            size = self.add("Gather", self.add("Shape", x), self.constant(axis), axis=0)
            parts.append(self.add("Unsqueeze", size, self.constant([0])))
        parts += [self.constant([size]) for size in last]
        return self.add("Concat", *parts, axis=0)

    def _layer_norm(self, x: str) -> str:
        centred = self.add("Sub", x, self.add("ReduceMean", x, axes=[-1]))
        square = self.add("Pow", centred, self.constant(2.0, np.float32))
        variance = self.add("ReduceMean", square, axes=[-1])
        root = self.add("Sqrt", self.add("Add", variance, self.constant(1e-5, np.float32)))
        y = self.add("Mul", self.add("Div", centred, root), self.weight(WIDTH, scale=0.1, shift=1))
        return self.add("Add", y, self.weight(WIDTH, scale=0.1))


def model_of(nodes: int, seed: int = 0) -> onnx.ModelProto:
    """A model of at least ``nodes`` nodes, ``Constant`` not counted, in whole blocks."""
    graph, value = Blocks(seed), "x"
    while graph.count < nodes:
        value = graph.block(value)
    graph.nodes.append(helper.make_node("Identity", [value], ["y"], name="output"))
    dims: list[str | int | None] = ["batch", "sequence", WIDTH]
    return helper.make_model(
        helper.make_graph(
            graph.nodes,
            "blocks",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, dims)],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, dims)],
            graph.weights,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=8,
    )


if __name__ == "__main__":
    onnx.save(model_of(int(sys.argv[1])), Path(sys.argv[2]))
