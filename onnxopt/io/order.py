"""Topological order of nodes: the stable sort of an unsorted graph, and the cycle of one that has none."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence

import onnx
import onnx_ir as ir


def describe(node: ir.Node | onnx.NodeProto) -> str:
    """Name a node for a message: by its name, else by what it produces."""
    if node.name:
        return f"node '{node.name}' ({node.op_type})"
    made = [x.name if isinstance(x, ir.Value) else x for x in _outputs(node)]
    return f"the {node.op_type or 'nameless'} node that makes '{next(filter(None, made), '')}'"


def _outputs(node: ir.Node | onnx.NodeProto) -> Sequence[ir.Value | str]:
    return node.outputs if isinstance(node, ir.Node) else node.output


def subgraphs(node: ir.Node) -> Iterator[ir.Graph]:
    """Yield the graphs that are attributes of a node."""
    for attribute in node.attributes.values():
        if attribute.is_ref():
            continue
        if attribute.type == ir.AttributeType.GRAPH:
            yield attribute.as_graph()
        elif attribute.type == ir.AttributeType.GRAPHS:
            yield from attribute.as_graphs()


def reads(node: ir.Node) -> Iterator[ir.Value]:
    """Yield what a node reads: its inputs, and whatever its subgraphs read, outer values included."""
    for value in node.inputs:
        if value is not None:
            yield value
    for graph in subgraphs(node):
        for inner in graph:
            yield from reads(inner)
        yield from graph.outputs


def sort_nodes(nodes: Sequence[ir.Node]) -> tuple[list[ir.Node], list[ir.Node]]:
    """Sort nodes so that each follows what it reads; nodes already in order stay in order.

    Args:
        nodes: The nodes of one graph.

    Returns:
        The sorted nodes and, if there is no such order, the nodes of one cycle (else an empty list).
    """
    position = {node: index for index, node in enumerate(nodes)}
    needs: list[set[int]] = []
    users: list[list[int]] = [[] for _ in nodes]
    for index, node in enumerate(nodes):
        producers = (value.producer() for value in reads(node))
        makers = {position[maker] for maker in producers if maker is not None and maker in position}
        needs.append(makers)
        for maker in makers:
            users[maker].append(index)
    waiting = [len(makers) for makers in needs]
    ready = [index for index, count in enumerate(waiting) if count == 0]
    done: list[ir.Node] = []
    while ready:
        index = heapq.heappop(ready)
        done.append(nodes[index])
        for user in users[index]:
            waiting[user] -= 1
            if waiting[user] == 0:
                heapq.heappush(ready, user)
    if len(done) == len(nodes):
        return done, []
    return done, [nodes[index] for index in _cycle(needs, waiting)]


def _cycle(needs: list[set[int]], waiting: list[int]) -> list[int]:
    """Follow unmet needs from a stuck node until one repeats."""
    current = next(index for index, count in enumerate(waiting) if count)
    seen: dict[int, int] = {}
    path: list[int] = []
    while current not in seen:
        seen[current] = len(path)
        path.append(current)
        current = next(maker for maker in sorted(needs[current]) if waiting[maker])
    return path[seen[current] :][::-1]


def cycle_message(cycle: Sequence[ir.Node]) -> str:
    """Say which nodes form a cycle."""
    shown = [describe(node) for node in cycle[:4]]
    more = f" and {len(cycle) - 4} more" if len(cycle) > 4 else ""
    return f"its nodes form a cycle: {', '.join(shown)}{more}; export the model again"
