"""Leaving in float what no sample has shown a value of: tensors that are always empty, or were given up for NaN."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set

import onnx_ir as ir

from onnxopt.quantization.statistics import Statistics

from ._plan import Plan

REASON = "no sample has a usable value of what it reads or makes"
Data = Callable[[ir.Node], Sequence[ir.Value]]


def leave_out(plan: Plan, statistics: Statistics, data: Data) -> list[ir.Node]:
    """Takes values without a range out of a plan, and the nodes that compute with them.

    Args:
        plan: The plan, which is changed.
        statistics: What was seen of its roots.
        data: Gives the operands that a node computes with.

    Returns:
        The nodes taken out.
    """
    unseen = {
        value
        for value, root in plan.tensors.items()
        if (found := statistics.tensors.get(root.name or "")) is not None and not found.count
    }
    return take_out(plan, unseen, REASON, data)


def take_out(plan: Plan, values: Set[ir.Value], reason: str, data: Data) -> list[ir.Node]:
    """Takes values out of a plan, and the nodes that compute with them.

    Args:
        plan: The plan, which is changed.
        values: The values; with each all that share its scale.
        reason: Why.
        data: Gives the operands that a node computes with.

    Returns:
        The nodes taken out.
    """
    if not values:
        return []
    out = [
        node for node in plan.integer if values & {*data(node), *node.outputs, plan.results[node]}
    ]
    for node in out:
        take_node(plan, node, reason)
    for value in values:
        plan.tensors.pop(value, None)
    return out


def take_node(plan: Plan, node: ir.Node, reason: str) -> None:
    """Takes a node out of a plan."""
    del plan.integer[node]
    plan.absorbed.pop(plan.results.pop(node), None)
    plan.sums.pop(node, None)
    plan.reasons[node] = reason
