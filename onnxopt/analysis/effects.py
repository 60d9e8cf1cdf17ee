"""Kinds of operators: random, foldable, element-wise, monotone, idempotent, commutative, order-keeping.

All questions that depend on what an operator *means* first ask whether it is a standard one: a function in the model
with the same domain and name takes its place.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from onnxopt.analysis.facts import Facts

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

ELEMENTWISE_UNARY = frozenset(
    {
        *("Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "BitwiseNot", "Cast", "Ceil"),
        *("Celu", "Clip", "Cos", "Cosh", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid"),
        *("HardSwish", "Identity", "IsInf", "IsNaN", "LeakyRelu", "Log", "Mish", "Neg", "Not"),
        *("Reciprocal", "Relu", "Round", "Selu", "Shrink", "Sigmoid", "Sign", "Sin", "Sinh"),
        *("Softplus", "Softsign", "Sqrt", "Swish", "Tan", "Tanh", "ThresholdedRelu"),
    }
)

ELEMENTWISE_BINARY = frozenset(
    {
        *("Add", "And", "BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Div", "Equal"),
        *("Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Mod", "Mul", "Or", "PRelu", "Pow"),
        *("Sub", "Xor"),
    }
)

COMMUTATIVE = frozenset(
    {"Add", "And", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Equal", "Max", "Mean", "Min", "Mul"}
    | {"Or", "Sum", "Xor"}
)

_INCREASING = frozenset({"Exp", "Identity", "Log", "Sqrt"})
"""Strictly increasing wherever they are defined: distinct real inputs give distinct outputs in the same order."""

_NON_DECREASING = _INCREASING | frozenset(
    {
        *("Asinh", "Atan", "Ceil", "Clip", "Erf", "Floor", "HardSigmoid", "Relu", "Round"),
        *("Sigmoid", "Sign", "Sinh", "Softplus", "Softsign", "Tanh"),
    }
)

IDEMPOTENT = frozenset({"Abs", "Ceil", "Clip", "Floor", "Identity", "Relu", "Round", "Sign"})

MOVEMENT = frozenset({"Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"})
"""The output has the elements of the first input in their order, and nothing else."""

_UNFOLDED = frozenset(
    {
        # Already a constant.
        "Constant",
        # Folding these would undo the quantisation of weights.
        "DequantizeLinear",
        "QuantizeLinear",
        # What they give has no form as an initializer.
        "Optional",
        "OptionalGetElement",
        "OptionalHasElement",
    }
)


def standard_op(node: ir.Node, model: ir.Model) -> str | None:
    """The op type of a node of a standard domain that no function of the model shadows, else None."""
    if node.domain not in STANDARD_DOMAINS or is_function_call(node, model):
        return None
    return node.op_type


def is_function_call(node: ir.Node, model: ir.Model) -> bool:
    """Whether a node calls a function of the model."""
    return bool(model.functions) and node.op_identifier() in model.functions


def subgraphs(node: ir.Node) -> Iterator[ir.Graph]:
    """The graphs in a node's attributes."""
    for attr in node.attributes.values():
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


def has_training_mode(node: ir.Node) -> bool:
    """Whether a node runs, or may run, in training mode."""
    return is_random(node) or _flag(node, "training_mode")


def _flag(node: ir.Node, name: str) -> bool:
    attr = node.attributes.get(name)
    return attr is not None and (attr.is_ref() or bool(attr.value))


def is_deterministic(node: ir.Node, model: ir.Model) -> bool:
    """Whether a node gives equal outputs for equal inputs, bodies and called functions included.

    An operator of an unknown domain may not.
    """
    if is_function_call(node, model):
        return all(
            is_deterministic(inner, model) for inner in model.functions[node.op_identifier()]
        )
    if node.domain not in STANDARD_DOMAINS or is_random(node):
        return False
    return all(is_deterministic(inner, model) for graph in subgraphs(node) for inner in graph)


def has_effects(node: ir.Node, model: ir.Model) -> bool:
    """Whether more can depend on a node than its outputs. No standard operator has effects; unknown ones may."""
    if is_function_call(node, model):
        return any(has_effects(inner, model) for inner in model.functions[node.op_identifier()])
    if node.domain not in STANDARD_DOMAINS:
        return True
    return any(has_effects(inner, model) for graph in subgraphs(node) for inner in graph)


def is_foldable(node: ir.Node, facts: Facts) -> bool:
    """Whether a node may be replaced by what it computes once its inputs are constants.

    Random operators, training, (de)quantisation, optionals, unknown domains, calls of functions and references to a
    function's attributes are never folded; control flow only where its bodies read nothing but constants from outside.
    The size of the result is for the caller to judge.
    """
    model = facts.model
    if standard_op(node, model) is None or node.op_type in _UNFOLDED or has_training_mode(node):
        return False
    if any(attr.is_ref() for attr in node.attributes.values()):
        return False
    if not is_deterministic(node, model):
        return False
    return all(
        facts.const_tensor(value) is not None
        for graph in subgraphs(node)
        for value in captured(graph)
    )


def captured(graph: ir.Graph) -> list[ir.Value]:
    """The values that a body reads from the graphs around it, once each."""
    own: set[ir.Graph] = {graph}
    found: dict[ir.Value, None] = {}
    for node in ir.traversal.RecursiveGraphIterator(graph):
        own.update(subgraphs(node))
    for node in ir.traversal.RecursiveGraphIterator(graph):
        for value in node.inputs:
            if value is not None and value.graph not in own:
                found[value] = None
    for inner in own:
        for value in inner.outputs:
            if value.graph not in own:
                found[value] = None
    return list(found)


def is_elementwise_unary(node: ir.Node, model: ir.Model) -> bool:
    """Whether each output element depends on the input element at its place and on constants of the node only."""
    return standard_op(node, model) in ELEMENTWISE_UNARY


def is_elementwise_binary(node: ir.Node, model: ir.Model) -> bool:
    """Whether each output element depends on one element of either input, which broadcast."""
    return standard_op(node, model) in ELEMENTWISE_BINARY


def is_commutative(node: ir.Node, model: ir.Model) -> bool:
    """Whether the order of the inputs makes no difference, to the last bit."""
    return standard_op(node, model) in COMMUTATIVE


def is_monotone_increasing(node: ir.Node, model: ir.Model, *, strictly: bool = False) -> bool:
    """Whether greater inputs give outputs that are greater or equal.

    Args:
        node: The node.
        model: The model it lies in.
        strictly: Ask for greater outputs, in exact arithmetic. Rounding may still make neighbours equal.
    """
    return standard_op(node, model) in (_INCREASING if strictly else _NON_DECREASING)


def is_idempotent(node: ir.Node, model: ir.Model) -> bool:
    """Whether applying a node twice, with the same attributes and constants, is applying it once."""
    return standard_op(node, model) in IDEMPOTENT


def is_movement(node: ir.Node, model: ir.Model) -> bool:
    """Whether the output is the first input with other dimensions: same elements in the same order."""
    return standard_op(node, model) in MOVEMENT
