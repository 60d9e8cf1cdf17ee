"""Shape computations with equal results, done once for the model rather than once a layer.

Two values are equal where the analysis gives them the same symbolic content, however they are
computed: the sequence length read off the tenth layer's activations is that of the model's input.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from onnxopt.pipeline.base import Context, Pass
from onnxopt.rewrite.editor import Rewrite
from onnxopt.rewrite.scopes import subgraphs
from onnxopt.rewrite.uses import use_count

from .._names import ambiguous_names

_Seen = dict[Hashable, ir.Value]


@dataclass(frozen=True)
class ShareShapeArithmetic(Pass):
    """Replaces a small integer value by an earlier one that is provably equal.

    Example: Gather(Shape(h), 1) with dim(h, 1) = dim(x, 1) -> Gather(Shape(x), 1), computed before
    """

    name: ClassVar[str] = "share-shape-arithmetic"
    summary: ClassVar[str] = "Compute equal dims once for the whole model."

    def run(self, context: Context) -> int:
        """Walks the main graph and every function; a subgraph sees what comes before it outside."""
        walk = _Walk(context, ambiguous_names(context.editor.scopes))
        walk.graph(context.model.graph, [])
        for function in context.model.functions.values():
            walk.graph(function.graph, [])
        return walk.shared


class _Walk:
    def __init__(self, context: Context, ambiguous: frozenset[str]) -> None:
        self._context = context
        self._ambiguous = ambiguous
        self.shared = 0

    def graph(self, graph: ir.Graph, around: list[_Seen]) -> None:
        """Shares within a graph, given what the graphs around it have computed so far."""
        seen: _Seen = {}
        levels = [seen, *around]
        for node in list(graph):
            for body in subgraphs(node):
                self.graph(body, levels)
            used = [v for v in node.outputs if use_count(v) or v.is_graph_output()]
            if len(used) == 1 and node.op_type != "Constant":
                self._visit(node, used[0], levels)

    def _visit(self, node: ir.Node, value: ir.Value, levels: list[_Seen]) -> None:
        key = self._key(value)
        if key is None:
            return
        earlier = next((level[key] for level in levels if _stands(level.get(key))), None)
        if earlier is None:
            levels[0][key] = value
            return
        if not self._serves(earlier, value):
            return
        rewrite = Rewrite(ShareShapeArithmetic.name, node, [(value, earlier)], [node])
        self.shared += int(self._context.editor.commit(rewrite) is not None)

    def _key(self, value: ir.Value) -> Hashable:
        """Returns what a value holds; None where that is unknown, or known numbers only."""
        content = self._context.facts.content(value)
        if content is None:
            return None
        items = content if isinstance(content, tuple) else (content,)
        if all(isinstance(item, int) for item in items):
            return None
        return (self._context.facts.dtype(value), content)

    def _serves(self, earlier: ir.Value, value: ir.Value) -> bool:
        if earlier.graph is not value.graph and earlier.name in self._ambiguous:
            return False
        return not value.is_graph_output()


def _stands(value: ir.Value | None) -> bool:
    """Whether a value is still computed: what made it may have gone once nothing read it."""
    if value is None:
        return False
    node = value.producer()
    return node is None or node.graph is not None
