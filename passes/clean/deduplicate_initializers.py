"""Equal initializers, stored once.

Equal means the same type, dims and bytes: 0.0 and -0.0 are kept apart, equal NaNs are not. Candidates
are narrowed down by type and dims, then by a few sampled bytes, and only then compared whole, in
pieces, so that memory stays small and most weights are never read.

What a DequantizeLinear makes a matrix of is left alone: onnxruntime fuses that with a product only if nothing else reads the
integers and scales, and does not load a model whose body has them from outside.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from onnxopt.analysis.constants import constant_of
from onnxopt.io.carry import pinned_names, sparse_tensor
from onnxopt.pipeline.base import Context, Pass
from onnxopt.rewrite.editor import Rewrite
from onnxopt.rewrite.uses import use_count

from .._identity import content_key, kind_key, quick_key
from .._names import ambiguous_names


@dataclass(frozen=True)
class DeduplicateInitializers(Pass):
    """Makes all users of equal initializers read one of them.

    Example: Add(x, w1), Mul(y, w2) with w1 = w2 -> Add(x, w1), Mul(y, w1)
    """

    name: ClassVar[str] = "deduplicate-initializers"
    summary: ClassVar[str] = "Store byte-equal initializers once."

    def run(self, context: Context) -> int:
        """Replaces duplicates, then drops those that nothing reads any more."""
        pinned = pinned_names(context.model)
        ambiguous = ambiguous_names(context.editor.scopes)
        merged = 0
        for equal in _groups(_candidates(context)):
            _hoist(context, equal, ambiguous, pinned)
            for keep, others in _visible(context, equal, ambiguous):
                merged += sum(_merge(context, keep, other, pinned) for other in others)
        return merged


def _candidates(context: Context) -> Iterator[ir.Value]:
    """Constants of all graphs, outer ones first."""
    for graph in context.editor.scopes.graphs():
        for value in graph.initializers.values():
            if value.is_graph_input() or sparse_tensor(value) is not None:
                continue
            if not any(_makes_matrix(user) for user, _ in value.uses()):
                yield value


def _makes_matrix(node: ir.Node) -> bool:
    """Whether a node reads a matrix of integers as real numbers."""
    if node.op_type != "DequantizeLinear" or node.domain != "":
        return False
    held = None if node.inputs[0] is None else constant_of(node.inputs[0])
    return held is not None and len(held.shape) == 2


def _groups(values: Iterable[ir.Value]) -> Iterator[list[ir.Value]]:
    """Splits values into groups of equal ones, of two or more."""
    pending = [list(values)]
    for key in (kind_key, quick_key, content_key):
        pending = [part for group in pending for part in _split(group, key)]
    yield from pending


def _split(
    group: list[ir.Value], key: Callable[[ir.TensorProtocol], Hashable]
) -> list[list[ir.Value]]:
    parts: dict[Hashable, list[ir.Value]] = defaultdict(list)
    for value in group:
        if value.const_value is not None:
            parts[key(value.const_value)].append(value)
    return [part for part in parts.values() if len(part) > 1]


def _hoist(
    context: Context, equal: list[ir.Value], ambiguous: frozenset[str], pinned: frozenset[str]
) -> None:
    """Moves a constant that only sibling subgraphs hold to the graph around them all."""
    scopes = context.editor.scopes
    graphs = {value.graph for value in equal if isinstance(value.graph, ir.Graph)}
    paths = [list(scopes.ancestors(graph))[::-1] for graph in graphs]
    shared = [level[0] for level in zip(*paths, strict=False) if len(set(level)) == 1]
    if len(graphs) < 2 or not shared or shared[-1] in graphs:
        return
    home = shared[-1]
    if scopes.of(home).parent is None and scopes.of(home).function is not None:
        # Functions have no initializers of their own.
        return
    value = next((v for v in equal if not v.is_graph_output() and v.name not in pinned), None)
    if value is None or value.name is None or not isinstance(value.graph, ir.Graph):
        return
    value.graph.initializers.pop(value.name)
    if value.name in ambiguous:
        value.name = context.editor.names.fresh(value.name)
    home.initializers.add(value)
    equal.remove(value)
    equal.insert(0, value)


def _visible(
    context: Context, equal: list[ir.Value], ambiguous: frozenset[str]
) -> Iterator[tuple[ir.Value, list[ir.Value]]]:
    """Pairs each value worth keeping with the equal ones in its graph or inside of that."""
    scopes = context.editor.scopes
    kept: dict[ir.Graph, ir.Value] = {}
    followers: dict[ir.Value, list[ir.Value]] = defaultdict(list)
    for value in sorted(equal, key=lambda v: not v.is_graph_output()):
        graph = value.graph
        assert graph is not None
        for around in scopes.ancestors(graph):
            found = kept.get(around)
            if found is not None and (around is graph or found.name not in ambiguous):
                followers[found].append(value)
                break
        else:
            kept[graph] = value
    yield from followers.items()


def _merge(context: Context, keep: ir.Value, other: ir.Value, pinned: frozenset[str]) -> int:
    if other.is_graph_output() or not use_count(other):
        return 0
    user = next(iter(other.uses())).node
    rewrite = Rewrite(DeduplicateInitializers.name, user, [(other, keep)], [])
    if context.editor.commit(rewrite) is None:
        return 0
    if other.name is not None and other.name not in pinned and other.graph is not None:
        other.graph.initializers.pop(other.name)
    return 1
