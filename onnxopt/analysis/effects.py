"""Which nodes may be computed once: what is random, what gives the same again, what folds.

Every question first asks whether an operator is a standard one: a function of the model with the same domain and
name takes its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx_ir as ir

STANDARD_DOMAINS = frozenset({"", "ai.onnx.ml"})

RANDOM = frozenset(
    {
        "Bernoulli",
        "Multinomial",
        "RandomNormal",
        "RandomNormalLike",
        "RandomUniform",
        "RandomUniformLike",
    }
)

_UNFOLDED = frozenset(
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


def is_function_call(node: ir.Node, model: ir.Model) -> bool:
    """Whether a node calls a function of the model."""
    return bool(model.functions) and node.op_identifier() in model.functions


_GRAPH_TYPES = (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)


def has_subgraphs(node: ir.Node) -> bool:
    """Tells whether an attribute of a node holds a graph."""
    attributes = node.attributes
    if not attributes:
        return False
    return any(a.type in _GRAPH_TYPES and not a.is_ref() for a in attributes.data.values())


def subgraphs(node: ir.Node) -> Iterable[ir.Graph]:
    """Returns the graphs in a node's attributes."""
    # Asked of every node many times over; a tuple costs less than a generator that ends at once.
    return _graphs_in(node.attributes.data.values()) if has_subgraphs(node) else ()


def _graphs_in(attributes: Iterable[ir.Attr]) -> Iterator[ir.Graph]:
    for attr in attributes:
        if attr.is_ref():
            continue
        if attr.type == ir.AttributeType.GRAPH:
            yield attr.as_graph()
        elif attr.type == ir.AttributeType.GRAPHS:
            yield from attr.as_graphs()


def is_random(node: ir.Node) -> bool:
    """Whether a standard operator draws random numbers, by its kind or because it may be training."""
    if node.domain in STANDARD_DOMAINS and node.op_type in RANDOM:
        return True
    if node.op_type == "Dropout" and node.domain == "":
        # From opset 12 on an input turns training on; before 7 an attribute turns it off.
        mode = node.inputs[2] if len(node.inputs) > 2 else None
        return mode is not None or ("is_test" in node.attributes and not _flag(node, "is_test"))
    return False


def is_deterministic(node: ir.Node, model: ir.Model) -> bool:
    """Tells whether a node gives equal outputs for equal inputs, bodies and called functions included.

    An operator of an unknown domain may not, and neither may one in training mode.

    Args:
        node: The node.
        model: The model it lies in, for its functions.
    """
    if is_function_call(node, model):
        body = model.functions[node.op_identifier()]
        return all(is_deterministic(inner, model) for inner in body)
    if node.domain not in STANDARD_DOMAINS or is_random(node) or _flag(node, "training_mode"):
        return False
    return all(is_deterministic(inner, model) for graph in subgraphs(node) for inner in graph)


def is_foldable(node: ir.Node, model: ir.Model) -> bool:
    """Tells whether a node whose inputs are all constants may be replaced by what it computes.

    Random operators, training modes, (de)quantisation, control flow, unknown domains, calls of functions, and nodes
    with attributes that a function's caller sets are not folded. The size of the result is for the caller to judge.

    Args:
        node: The node.
        model: The model it lies in.
    """
    if node.domain not in STANDARD_DOMAINS or node.op_type in _UNFOLDED:
        return False
    if is_function_call(node, model) or has_subgraphs(node):
        return False
    if any(attr.is_ref() for attr in node.attributes.values()):
        return False
    return is_deterministic(node, model)


def _flag(node: ir.Node, name: str) -> bool:
    attr = node.attributes.get(name)
    return attr is not None and (attr.is_ref() or bool(attr.value))
