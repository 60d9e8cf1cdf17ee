"""What is meant to compute in integers, as the passes that quantise note it in the model itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxopt.errors import ModelError

if TYPE_CHECKING:
    import onnx_ir as ir

INTEGER = "onnxopt.integer"
"""Metadata of nodes that are meant to compute in integers: ``static``, ``dynamic`` or ``weight-only``."""


def wanted_of(model: ir.Model) -> dict[str, str]:
    """Find the nodes that are meant to compute in integers.

    Args:
        model: a quantised model; subgraphs are looked through as well.

    Returns:
        Operator by the node's name, in the graph's order.

    Raises:
        ModelError: such a node has no name, or the same as another.
    """
    found: dict[str, str] = {}
    for node in model.graph.all_nodes():
        if INTEGER not in node.metadata_props:
            continue
        if not node.name:
            raise ModelError(
                f"a {node.op_type} that makes {node.outputs[0].name!r} has no name, so the runtime's"
                " graph does not tell what became of it: name it"
            )
        if node.name in found:
            raise ModelError(
                f"two nodes are called {node.name!r}, so the runtime's graph does not tell what"
                " became of either: rename one"
            )
        found[node.name] = node.op_type
    return found
