"""Constants of a node, replaced in place by scaled ones that are computed when the model is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import onnx_ir as ir

from onnxopt.pipeline.base import Array, Context
from onnxopt.rewrite.provenance import record
from onnxopt.rewrite.scopes import owner


def replace_constant(
    context: Context,
    rule: str,
    node: ir.Node,
    index: int,
    hint: str,
    shape: Sequence[int],
    compute: Callable[[], Array],
) -> None:
    """Lets a node read another float32 constant; others that read the old one keep it.

    Args:
        context: The model and the services.
        rule: Who does it.
        node: A node of a graph (not of a function).
        index: Which operand.
        hint: What it is, for its name.
        shape: The new constant's shape.
        compute: Gives its numbers.
    """
    build = context.editor.builder(node)
    value = build.lazy(hint, ir.DataType.FLOAT, shape, compute)
    owner(node).initializers.add(value)
    node.replace_input_with(index, value)
    record(rule, [node], [node])


def admitted(context: Context, rule: str, place: str) -> bool:
    """Asks the gate for a change that is about to be made, and counts it."""
    if not context.gate.admits(rule, place):
        return False
    context.gate.record(rule, place)
    context.stats.fired[rule] += 1
    return True
