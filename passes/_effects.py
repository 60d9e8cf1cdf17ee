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


_NEVER_FOLDED = frozenset(
    {
        # Already a constant.
        "Constant",
        # Folding these would undo quantisation.
        "DequantizeLinear",
        "DynamicQuantizeLinear",
        "QuantizeLinear",
        # Optionals have no constant form, and little to gain.
        "Optional",
        "OptionalGetElement",
        "OptionalHasElement",
    }
)


def is_foldable(node: ir.Node, model: ir.Model) -> bool:
    """Tells whether a node whose inputs are all constants may be replaced by what it computes.

    Random operators, training modes, (de)quantisation, control flow, unknown domains, calls of
    functions, and nodes with attributes that a function's caller sets are not folded.

    Args:
        node: The node.
        model: The model it lies in.
    """
    if node.domain not in _STANDARD or node.op_type in _NEVER_FOLDED:
        return False
    if node.op_identifier() in model.functions or next(subgraphs(node), None) is not None:
        return False
    if any(attr.is_ref() for attr in node.attributes.values()):
        return False
    return is_deterministic(node, model)
