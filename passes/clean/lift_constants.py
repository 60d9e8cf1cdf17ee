"""``Constant`` nodes as initializers, so that nothing later needs to know both forms.

Function bodies cannot have initializers and keep their nodes, as do a graph's outputs (a graph must
not return an initializer of its own) and sparse constants.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from onnxopt.analysis.constants import constant_node_tensor
from onnxopt.pipeline.base import Context, Pass
from onnxopt.rewrite.editor import Rewrite


@dataclass(frozen=True)
class LiftConstants(Pass):
    """Turns ``Constant`` nodes of the main graph and of subgraphs into initializers.

    Example: c = Constant<value = 2.0>() -> the initializer c = 2.0
    """

    name: ClassVar[str] = "lift-constants"
    summary: ClassVar[str] = "Turn Constant nodes into initializers."

    def run(self, context: Context) -> int:
        """Lifts every ``Constant`` that can be; the initializer keeps the value's name."""
        lifted = 0
        for graph in context.editor.scopes.graphs():
            if context.editor.scopes.of(graph).function is not None:
                continue
            for node in list(graph):
                lifted += _lift(context, node)
        return lifted


def _lift(context: Context, node: ir.Node) -> int:
    if node.op_type != "Constant" or node.domain != "" or len(node.outputs) != 1:
        return 0
    old = node.outputs[0]
    tensor = constant_node_tensor(node)
    if tensor is None or old.is_graph_output() or not old.name:
        return 0
    new = ir.Value(
        name=old.name,
        type=ir.TensorType(tensor.dtype),
        shape=ir.Shape([int(dim) for dim in tensor.shape.numpy()]),
        doc_string=old.doc_string,
        const_value=tensor,
    )
    tensor.name = old.name
    new.metadata_props.update(old.metadata_props)
    rewrite = Rewrite(LiftConstants.name, node, [(old, new)], [node], constants=[new])
    return int(context.editor.commit(rewrite) is not None)
