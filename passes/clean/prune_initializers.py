"""Initializers that nothing reads.

Those that a caller can see stay: graph inputs (overridable) and graph outputs. So do those that
training information or quantisation annotations refer to by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from onnxopt.io.carry import pinned_names
from onnxopt.pipeline.base import Context, Pass
from onnxopt.rewrite.uses import use_count


@dataclass(frozen=True)
class PruneInitializers(Pass):
    """Removes unused initializers from the main graph and from subgraphs.

    Example: an initializer ``w`` that no node reads -> nothing
    """

    name: ClassVar[str] = "prune-initializers"
    summary: ClassVar[str] = "Remove initializers that nothing reads."

    def run(self, context: Context) -> int:
        """Removes them; overridable ones are part of the model's interface and stay."""
        removed = 0
        pinned: frozenset[str] | None = None
        for graph in context.editor.scopes.graphs():
            unused = [v for v in graph.initializers.values() if is_unused(v)]
            if unused and pinned is None:
                pinned = pinned_names(context.model)
            for value in unused:
                if value.name is not None and value.name not in (pinned or ()):
                    graph.initializers.pop(value.name)
                    removed += 1
        return removed


def is_unused(value: ir.Value) -> bool:
    """Tells whether no node reads an initializer and it is no part of its graph's interface."""
    return not (use_count(value) or value.is_graph_output() or value.is_graph_input())
