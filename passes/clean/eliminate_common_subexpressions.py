"""Equal computations, done once.

Nodes are keyed by operator, attributes and inputs. A node whose key was seen before, in its own graph
or earlier in a graph around it, is replaced by the first. One walk, one look-up a node.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import ClassVar

import onnx_ir as ir

from onnxopt.analysis.effects import is_deterministic
from onnxopt.pipeline.base import Context, Pass
from onnxopt.rewrite.editor import Rewrite
from onnxopt.rewrite.pattern import COMMUTATIVE
from onnxopt.rewrite.scopes import subgraphs
from onnxopt.rewrite.uses import use_count

from .._attributes import attribute_key, is_default
from .._names import ambiguous_names

_MORE_COMMUTATIVE = COMMUTATIVE | {"Max", "Mean", "Min", "Sum"}


@dataclass(frozen=True)
class EliminateCommonSubexpressions(Pass):
    """Merges nodes that compute the same; never random ones, nor those with subgraphs.

    A graph output keeps its name. Where two graph outputs are equal, both nodes stay.

    Example: a = Relu(x), b = Relu(x), Add(a, b) -> a = Relu(x), Add(a, a)
    """

    name: ClassVar[str] = "eliminate-common-subexpressions"
    summary: ClassVar[str] = "Compute equal expressions once."

    def run(self, context: Context) -> int:
        """Walks the main graph and every function."""
        walk = _Walk(context, ambiguous_names(context.editor.scopes))
        walk.graph(context.model.graph, None)
        for function in context.model.functions.values():
            walk.graph(function.graph, None)
        return walk.merged


@dataclass
class _Seen:
    """The nodes seen so far in a graph, and in those around it."""

    around: _Seen | None
    nodes: dict[Hashable, ir.Node] = field(default_factory=dict)

    def find(self, key: Hashable) -> tuple[ir.Node | None, bool]:
        """Returns the earlier node with a key, and whether it lies in the same graph."""
        level: _Seen | None = self
        while level is not None:
            if key in level.nodes:
                return level.nodes[key], level is self
            level = level.around
        return None, False


class _Walk:
    def __init__(self, context: Context, ambiguous: frozenset[str]) -> None:
        self._context = context
        self._ambiguous = ambiguous
        self.merged = 0

    def graph(self, graph: ir.Graph, around: _Seen | None) -> None:
        """Merges within one graph and the graphs inside of it."""
        seen = _Seen(around)
        for node in list(graph):
            inner = list(subgraphs(node))
            for body in inner:
                self.graph(body, seen)
            if not inner and node.outputs and is_deterministic(node, self._context.model):
                self._visit(node, seen)

    def _visit(self, node: ir.Node, seen: _Seen) -> None:
        key = self._key(node)
        earlier, same_graph = seen.find(key)
        if earlier is None or not self._serves(earlier, node, same_graph):
            seen.nodes[key] = node
            return
        pairs = list(zip(node.outputs, earlier.outputs, strict=True))
        replaced = [(o, n) for o, n in pairs if use_count(o) or o.is_graph_output()]
        rewrite = Rewrite(EliminateCommonSubexpressions.name, node, replaced, [node])
        self.merged += int(self._context.editor.commit(rewrite) is not None)

    def _key(self, node: ir.Node) -> Hashable:
        # The values themselves, not their ids: a key must keep its values alive.
        inputs = list(node.inputs)
        while inputs and inputs[-1] is None:
            inputs.pop()
        if node.domain == "" and node.op_type in _MORE_COMMUTATIVE:
            inputs.sort(key=id)
        version = self._context.facts.opset(node, node.domain)
        attributes = tuple(
            (name, attribute_key(attr))
            for name, attr in sorted(node.attributes.items())
            if not is_default(node, attr, version)
        )
        return (*node.op_identifier(), tuple(inputs), attributes, len(node.outputs))

    def _serves(self, earlier: ir.Node, node: ir.Node, same_graph: bool) -> bool:
        """Whether an earlier node's outputs can stand for all that are used of a later one's."""
        for old, new in zip(node.outputs, earlier.outputs, strict=True):
            used = use_count(old) > 0 or old.is_graph_output()
            if used and not new.name:
                return False
            if not same_graph and (new.name in self._ambiguous or old.is_graph_output()):
                return False
            if old.is_graph_output() and new.is_graph_output():
                return False
        return True
