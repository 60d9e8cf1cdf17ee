"""Which nodes compute the same again from the same inputs."""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite.scopes import subgraphs

_STANDARD = frozenset({"", "ai.onnx.ml"})
_RANDOM = frozenset(
    {
        "Bernoulli",
        "Multinomial",
        "RandomNormal",
        "RandomNormalLike",
        "RandomUniform",
        "RandomUniformLike",
    }
)


def is_deterministic(node: ir.Node, model: ir.Model) -> bool:
    """Tells whether a node gives the same outputs whenever it gets the same inputs.

    Operators of unknown domains are taken to be random, functions of the model are looked into.

    Args:
        node: The node.
        model: The model it lies in, for its functions.
    """
    key = node.op_identifier()
    if key in model.functions:
        return all(is_deterministic(inner, model) for inner in model.functions[key])
    if node.domain not in _STANDARD or node.op_type in _RANDOM or _trains(node):
        return False
    return all(is_deterministic(inner, model) for graph in subgraphs(node) for inner in graph)


def _trains(node: ir.Node) -> bool:
    """Whether a node may be in training mode, where Dropout is random."""
    if node.op_type == "Dropout":
        return len(node.inputs) > 2 and node.inputs[2] is not None
    mode = node.attributes.get("training_mode")
    return mode is not None and (mode.is_ref() or bool(mode.value))
