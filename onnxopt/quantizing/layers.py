"""The layers of a model that quantisation concerns: which there are, and what leaving one in float costs."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from ..analysis.cost import node_macs
from ..analysis.dims import evaluate
from ..analysis.facts import Facts
from ..quantization.table import Quantization

_DYNAMIC = frozenset({"MatMul", "Gemm"})


@dataclass(frozen=True)
class Layer:
    """A node with weights.

    Attributes:
        name: What it is called on the command line: its name, or its result's.
        op_type: Its operator.
        macs: Multiply-accumulate operations of a run, symbolic dims counting as 1.
        result: The value that it makes.
    """

    name: str
    op_type: str
    macs: int
    result: str = ""


def layers_of(model: ir.Model, table: Quantization, mode: str) -> list[Layer]:
    """Lists the layers that a mode may quantise.

    Args:
        model: The optimised model.
        table: What the target computes in integers.
        mode: ``static``, ``dynamic`` or ``weight-only``.
    """
    facts = Facts(model)
    kinds = frozenset(table.weighted) if mode == "static" else _DYNAMIC
    found = []
    for node in model.graph.all_nodes():
        if node.op_type not in kinds or node.domain not in ("", "ai.onnx"):
            continue
        weight = node.inputs[1] if len(node.inputs) > 1 else None
        if weight is None or facts.const_tensor(weight) is None:
            continue
        name = node.name or node.outputs[0].name or ""
        if name:
            found.append(Layer(name, node.op_type, _macs(node, facts), node.outputs[0].name or ""))
    return found


def _macs(node: ir.Node, facts: Facts) -> int:
    dim = node_macs(node, facts)
    return 0 if dim is None else max(0, evaluate(dim, {}))
