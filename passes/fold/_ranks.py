"""What ranks values can have: those their producers leave open, and those their consumers accept.

Runtimes differ in what they accept beyond the operators' specifications. Only demands that
onnxruntime enforces as well are listed, so that no run that succeeds there contradicts them.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from onnxopt.analysis.facts import Facts
from onnxopt.rewrite.scopes import subgraphs

from .._forms import input_of
from .._kinds import SAME_SHAPE_AS_FIRST

Ranks = frozenset[int]

_SAME_RANK = frozenset({*SAME_SHAPE_AS_FIRST, "Dropout", "Pad", "Slice", "Transpose"})
_RECURRENT = {0: frozenset({3}), 1: frozenset({3}), 2: frozenset({3}), 5: frozenset({3})}
_DEMANDS: dict[str, dict[int, Ranks]] = {
    "DepthToSpace": {0: frozenset({4})},
    # Specified as a matrix, but onnxruntime takes a vector on the left for a row.
    "Gemm": {0: frozenset({1, 2}), 1: frozenset({2})},
    "GRU": _RECURRENT,
    "LSTM": {**_RECURRENT, 6: frozenset({3})},
    "RNN": _RECURRENT,
    "SpaceToDepth": {0: frozenset({4})},
}


class PossibleRanks:
    """The ranks that values of a model can have, where analysis knows no single one.

    An ``If`` gives what its branches give; operators that keep the rank, or change it by a known
    number, hand that on.

    Args:
        facts: What is known of the model's values.
        graph: The graph to walk, with what lies in it.
    """

    def __init__(self, facts: Facts, graph: ir.Graph) -> None:
        self._facts = facts
        self._open: dict[ir.Value, Ranks] = {}
        self._walk(graph)

    def of(self, value: ir.Value | None) -> Ranks | None:
        """Returns all ranks that a value can have; None where nothing is known."""
        if value is None:
            return None
        rank = self._facts.rank(value)
        return self._open.get(value) if rank is None else frozenset({rank})

    def _walk(self, graph: ir.Graph) -> None:
        for node in graph:
            for inner in subgraphs(node):
                self._walk(inner)
            if node.op_type == "If" and node.domain == "":
                self._merge(node)
                continue
            step = rank_step(node, self._facts)
            before = None if step is None else self.of(node.inputs[0])
            if step is not None and before is not None:
                self._open[node.outputs[0]] = shifted(before, step)

    def _merge(self, node: ir.Node) -> None:
        branches = branches_of(node)
        if branches is None:
            return
        for index, value in enumerate(node.outputs):
            then, other = (self.of(branch.outputs[index]) for branch in branches)
            if then is not None and other is not None:
                self._open[value] = then | other


def branches_of(node: ir.Node) -> tuple[ir.Graph, ir.Graph] | None:
    """Returns the two branches of an ``If``; None where one is missing or lacks outputs."""
    attributes = [node.attributes.get(name) for name in ("then_branch", "else_branch")]
    graphs = [a.as_graph() for a in attributes if a is not None and not a.is_ref()]
    if len(graphs) != 2 or any(len(g.outputs) < len(node.outputs) for g in graphs):
        return None
    return graphs[0], graphs[1]


def shifted(ranks: Ranks, by: int) -> Ranks:
    """Adds a number to each rank; those that come out negative cannot be."""
    return frozenset(rank + by for rank in ranks if rank + by >= 0)


def rank_step(node: ir.Node, facts: Facts) -> int | None:
    """Returns by how much the rank of a node's first output exceeds that of its first input.

    Returns:
        None where the operator does not determine that, in every run in which it succeeds.
    """
    if not _is_standard(node, facts) or not node.inputs or not node.outputs:
        return None
    if node.op_type in _SAME_RANK:
        return 0
    if node.op_type not in ("Squeeze", "Unsqueeze"):
        return None
    axes = _axes(node, facts)
    # -1 and 2 can be one axis; without axes, a Squeeze removes as many as there are dims of 1.
    if not axes or len({axis < 0 for axis in axes}) != 1:
        return None
    count = len(set(axes))
    return count if node.op_type == "Unsqueeze" else -count


def demands(node: ir.Node, facts: Facts) -> Iterator[tuple[ir.Value, Ranks]]:
    """Yields inputs of a node with the ranks they must have, or else the node fails when it runs."""
    if not _is_standard(node, facts):
        return
    for index, ranks in _demanded(node, facts).items():
        value = input_of(node, index)
        if value is not None:
            yield value, ranks


def _demanded(node: ir.Node, facts: Facts) -> dict[int, Ranks]:
    if node.op_type in ("Conv", "ConvTranspose"):
        rank = facts.rank(input_of(node, 1))
        return {} if rank is None else {0: frozenset({rank})}
    if node.op_type == "Transpose":
        perm = _ints(node, "perm")
        return {} if perm is None else {0: frozenset({len(perm)})}
    return _DEMANDS.get(node.op_type, {})


def _is_standard(node: ir.Node, facts: Facts) -> bool:
    return node.domain == "" and node.op_identifier() not in facts.model.functions


def _axes(node: ir.Node, facts: Facts) -> tuple[int, ...] | None:
    given = _ints(node, "axes")
    if given is not None:
        return given
    array = facts.const(input_of(node, 1))
    return None if array is None else tuple(int(axis) for axis in array.reshape(-1))


def _ints(node: ir.Node, name: str) -> tuple[int, ...] | None:
    attr = node.attributes.get(name)
    return None if attr is None or attr.is_ref() else tuple(attr.as_ints())
