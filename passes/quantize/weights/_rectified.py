"""Products before a Relu or Clip, which onnxruntime takes for part of a quantisation of the result.

It then makes no MatMulNBits of DequantizeLinear and product, and computes the weights anew at every run. A Sum of one value, which is
that value, stands between: a copy of the result costs less than the weights. Where the Relu's result is an output of the graph alone,
it is none of a quantisation, and nothing is needed.
"""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.pipeline.base import Context
from onnxopt.rewrite.provenance import record
from onnxopt.rewrite.scopes import owner

RECTIFIERS = frozenset({"Clip", "Relu"})


def set_apart(context: Context, product: ir.Node) -> None:
    """Puts a copy between a product and the Relu or Clip that alone reads it, if there is one."""
    value = product.outputs[0]
    uses = list(value.uses())
    if len(uses) != 1 or value.is_graph_output():
        return
    reader, index = uses[0]
    if index or reader.domain or reader.op_type not in RECTIFIERS or not reader.outputs[0].uses():
        return
    names = context.editor.names
    copy = ir.Node("", "Sum", [value], name=names.fresh(f"{product.name}/Sum"))
    copy.outputs[0].name = names.fresh(f"{value.name}_copy")
    context.facts.copy_facts(value, copy.outputs[0])
    owner(product).insert_after(product, copy)
    reader.replace_input_with(0, copy.outputs[0])
    record("quantize-weights", [copy], [product])
    context.stats.added["Sum"] += 1
