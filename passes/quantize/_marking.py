"""Noting in the model which nodes are meant to compute in integers, so that it can be proven later that they do."""

from __future__ import annotations

from collections.abc import Iterable

import onnx_ir as ir

INTEGER = "onnxopt.integer"
"""Metadata of such nodes: ``static`` or ``dynamic``, by how operands are quantised, or ``weight-only``."""
_DYNAMIC = frozenset({"ConvInteger", "DynamicQuantizeLSTM", "MatMulInteger"})


def mark_dynamic(nodes: Iterable[ir.Node]) -> None:
    """Marks new nodes, which have names of their own, that compute in integers."""
    for node in nodes:
        if node.op_type in _DYNAMIC:
            node.metadata_props[INTEGER] = "dynamic"
