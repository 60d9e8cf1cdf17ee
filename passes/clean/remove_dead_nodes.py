"""Nodes that nothing reads, and functions that nothing calls.

ONNX operators have no side effects, so a node none of whose outputs is read or returned can go,
random ones included.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from onnxopt.pipeline.base import Context, Pass
from onnxopt.rewrite.scopes import subgraphs


@dataclass(frozen=True)
class RemoveDeadNodes(Pass):
    """Removes dead nodes in the main graph, in subgraphs and in functions, and unused functions.

    Example: y = Relu(x), where nobody reads y -> nothing
    """

    name: ClassVar[str] = "remove-dead-nodes"
    summary: ClassVar[str] = "Remove nodes that nothing reads and functions that nothing calls."

    def run(self, context: Context) -> int:
        """Removes from the innermost graphs outwards, later nodes first."""
        removed = 0
        for graph in reversed(context.editor.scopes.graphs()):
            removed += len(context.editor.remove_dead(graph))
        return removed + _remove_functions(context.model)


def _remove_functions(model: ir.Model) -> int:
    """Drops functions no call reaches, and opset imports that only they made necessary."""
    unused = [key for key in model.functions if key not in _reachable(model)]
    for key in unused:
        del model.functions[key]
    needed = _domains(model)
    for domain in {key[0] for key in unused} - needed - {""}:
        model.opset_imports.pop(domain, None)
    return len(unused)


def _reachable(model: ir.Model) -> set[ir.OperatorIdentifier]:
    reached: set[ir.OperatorIdentifier] = set()
    pending: list[ir.Graph | ir.Function] = [model.graph]
    while pending:
        for node in _all_nodes(pending.pop()):
            key = node.op_identifier()
            if key in model.functions and key not in reached:
                reached.add(key)
                pending.append(model.functions[key])
    return reached


def _domains(model: ir.Model) -> set[str]:
    found = {node.domain for node in _all_nodes(model.graph)}
    for function in model.functions.values():
        found.update(node.domain for node in _all_nodes(function))
        found.add(function.domain)
    return found


def _all_nodes(graph: ir.Graph | ir.Function) -> Iterator[ir.Node]:
    for node in graph:
        yield node
        for inner in subgraphs(node):
            yield from _all_nodes(inner)
