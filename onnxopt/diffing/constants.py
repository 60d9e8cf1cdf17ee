"""What happened to ``Constant`` nodes: they hold weights, and are matched by what they hold."""

from __future__ import annotations

from collections import defaultdict

import onnx_ir as ir

from .result import Change
from .side import Side, is_constant_node


def constant_changes(a: Side, b: Side) -> tuple[int, list[Change]]:
    """Compares the ``Constant`` nodes of two models.

    Returns:
        The number of those that both have, and what happened to the others.
    """
    before, after = _nodes(a), _nodes(b)
    stored = _stored(b)
    same = 0
    changes = []
    for number, mine in before.items():
        theirs = after.get(number, [])
        count = min(len(mine), len(theirs))
        same += count
        kind, why = _fate(number in stored, bool(theirs))
        changes += [Change(kind, (a.place(node),), (), (why,)) for node in mine[count:]]
    for number, theirs in after.items():
        new = theirs[len(before.get(number, [])) :]
        changes += [Change("added", (), (b.place(node),)) for node in new]
    return same, changes


def _fate(stored: bool, kept: bool) -> tuple[str, str]:
    if kept:
        return "merged", "another node holds the same"
    if stored:
        return "lifted", "an initializer holds the same"
    return "removed", "nothing reads its value any more"


def _nodes(side: Side) -> dict[int, list[ir.Node]]:
    found: dict[int, list[ir.Node]] = defaultdict(list)
    for node in side.all_nodes():
        if is_constant_node(node):
            tensor = side.constant(node.outputs[0])
            if tensor is not None:
                found[side.contents.of(tensor)].append(node)
    return found


def _stored(side: Side) -> set[int]:
    return {
        side.contents.of(value.const_value)
        for graph in side.model.graphs()
        for value in graph.initializers.values()
        if value.const_value is not None
    }
