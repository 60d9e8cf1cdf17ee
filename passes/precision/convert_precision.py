"""Computes in float16 or bfloat16 what may be computed so.

Weights are rounded once, conversions stand at the borders only, and what would overflow or lose its meaning
stays in single precision: what the user names, what the target's file lists, what the operators' schemas do
not allow, what constants are too large for, what stands beside quantisation. Functions of the model
stay as they are, since other models may share their names.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from onnxopt.pipeline.base import Context, Pass
from onnxopt.rewrite.addresses import Addresses
from onnxopt.rewrite.scopes import differentiates

from ._account import report
from ._apply import Conversion
from ._counterparts import RULE
from ._operands import SINGLE, signature, spelt
from ._plan import make_plan
from ._request import Request, asked_for, chosen, short_type, words


@dataclass(frozen=True)
class ConvertPrecision(Pass):
    """Converts computations in single precision to a shorter type.

    Attributes:
        to: The type: ``float16`` or ``bfloat16``.
        keep: Nodes (by name, or by a result's, or ``loop/body/node``) and operators that stay in single precision,
            ``;`` between.
        io: ``same`` to keep the types of the model's inputs and outputs, ``converted`` to change all that are
            float32, or the names of those to change, ``;`` between.

    Example: y = MatMul(x, w) -> y = Cast(MatMul(Cast<to=FLOAT16>(x), w rounded))
    """

    name: ClassVar[str] = RULE
    summary: ClassVar[str] = "Compute in float16 or bfloat16 what may be computed so."
    exact: ClassVar[bool] = False
    to: str = "float16"
    keep: str = ""
    io: str = "same"

    @property
    def working_type(self) -> str:
        """The type in which results are computed from then on."""
        return self.to

    def run(self, context: Context) -> int:
        """Converts the main graph and the bodies in it.

        Raises:
            UsageError: The type is none to convert to, or a name to keep or to convert does not exist.
        """
        model, to = context.model, short_type(self.to)
        graphs = [g for g in context.editor.scopes.graphs() if _is_own(context, g)]
        addresses = Addresses(model)
        request = Request(
            to,
            asked_for(words(self.keep), addresses),
            context.target.keep.get(self.to, frozenset()),
            dict(context.target.reasons),
            chosen(model.graph, self.io),
        )
        refusal = _refusal(model, to)
        if refusal:
            context.stats.note(f"{RULE}: {refusal}")
            return 0
        plan = make_plan(context.facts, graphs, request)
        report(context.stats, plan, addresses)
        if not (plan.pays or plan.converted) or not context.gate.admits(
            RULE, model.graph.name or ""
        ):
            return 0
        context.gate.record(RULE, model.graph.name or "")
        Conversion(context, graphs, plan).run()
        context.refresh()
        return max(len(plan.short), 1)


def _is_own(context: Context, graph: ir.Graph) -> bool:
    return context.editor.scopes.of(graph).function is None


def _refusal(model: ir.Model, to: ir.DataType) -> str:
    """Why there is nothing to convert, or ''."""
    if differentiates(model):
        return "the model differentiates itself, so that its nodes must stay as they are"
    if "" not in model.opset_imports and "ai.onnx" not in model.opset_imports:
        return "the model does not import the operator set that has the conversion"
    version = model.opset_imports.get("", model.opset_imports.get("ai.onnx", 0))
    cast = signature("", "Cast", version)
    if cast is None or f"tensor({spelt(to)})" not in cast.allowed["T2"]:
        return f"opset {version} has no conversion to {spelt(to)}; convert the model to a newer one"
    held: Counter[ir.DataType] = Counter()
    for graph in model.graphs():
        for value in graph.initializers.values():
            if value.const_value is not None:
                held[value.const_value.dtype] += int(value.const_value.size)
    if held[to] > held[SINGLE]:
        return f"nothing to convert, the model computes in {spelt(to)} already"
    return ""
