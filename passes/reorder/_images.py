"""Which values are images for certain: those that a convolution or pooling makes or reads.

These fail where an image has no place at all, in onnxruntime at least, which a product does not. So what has as many places as such
an image may become a convolution itself, and what may be empty (a list of boxes) may not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import onnx_ir as ir

ELEMENTWISE = frozenset(
    (
        "Celu", "Elu", "Erf", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish", "Relu", "Selu", "Sigmoid", "Softplus", "Tanh",
    )
)  # fmt: skip
"""Operators on single elements of one value."""
_OVER_IMAGES = frozenset(("AveragePool", "Conv", "ConvTranspose", "MaxPool"))
# What is empty before is empty after these, and the other way round.
_CARRYING = ELEMENTWISE | {"Add", "BatchNormalization", "Mul", "Reshape", "Resize", "Sub"}
_MOST = 24


def becomes_image(value: ir.Value) -> bool:
    """Whether an operator over images reads a value, or what is computed of it element by element."""
    return _leads(value, lambda v: (reader for reader, index in v.uses() if not index), _results)


def comes_of_image(value: ir.Value) -> bool:
    """Whether an operator over images makes a value, or what it is computed of element by element."""
    return _leads(value, _maker, lambda node: node.inputs[:1])


def _leads(
    value: ir.Value,
    nodes_at: Callable[[ir.Value], Iterable[ir.Node]],
    values_after: Callable[[ir.Node], Iterable[ir.Value | None]],
) -> bool:
    ahead, seen = [value], 0
    while ahead and seen < _MOST:
        for node in nodes_at(ahead.pop()):
            seen += 1
            if node.domain not in ("", "ai.onnx") or node.graph is not _graph_of(value):
                continue
            if node.op_type in _OVER_IMAGES:
                return True
            if node.op_type in _CARRYING:
                ahead += [v for v in values_after(node) if v is not None]
    return False


def _graph_of(value: ir.Value) -> object:
    node = value.producer()
    return value.graph if node is None else node.graph


def _maker(value: ir.Value) -> Iterable[ir.Node]:
    node = value.producer()
    return [] if node is None else [node]


def _results(node: ir.Node) -> Iterable[ir.Value]:
    return node.outputs[:1]
