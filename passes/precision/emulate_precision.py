"""Rounds as kernels for a shorter type do, on a runtime that has none.

Each operator computes in single precision and its results are rounded, by conversions that stand in the graph. Runtimes
without kernels convert by themselves, but leave out the roundings between operators, so that overflows go
unseen. Conversions, and what only hands values on, stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import onnx_ir as ir

from onnxopt.pipeline.base import Context, Pass
from onnxopt.rewrite import provenance
from onnxopt.rewrite.names import Names
from onnxopt.rewrite.scopes import owner

from ._constants import rounded
from ._kinds import CONTROL
from ._operands import SINGLE, TYPE_ATTRIBUTES
from ._request import short_type

_AS_THEY_ARE = CONTROL | {"Cast", "Constant"}


@dataclass(frozen=True)
class EmulatePrecision(Pass):
    """Computes in single precision what is of a shorter type, and rounds every result to it.

    Attributes:
        of: The shorter type: ``float16`` or ``bfloat16``.

    Example: bfloat16 y = MatMul(a, b) -> y = Cast<to=BFLOAT16>(MatMul(Cast<to=FLOAT>(a), Cast<to=FLOAT>(b)))
    """

    name: ClassVar[str] = "emulate-precision"
    summary: ClassVar[str] = "Compute a shorter type in float32, with the same roundings."
    exact: ClassVar[bool] = False
    of: str = "bfloat16"

    def run(self, context: Context) -> int:
        """Changes every node that reads or makes values of the type.

        Raises:
            UsageError: The type is none that models are converted to.
        """
        scopes = context.editor.scopes
        work = _Work(context, context.editor.names, short_type(self.of))
        graphs = [g for g in scopes.graphs() if scopes.of(g).function is None]
        changed = sum(work.widen(node) for graph in graphs for node in list(graph))
        if changed:
            context.refresh()
        return changed


@dataclass
class _Work:
    context: Context
    names: Names
    short: ir.DataType
    wide: dict[ir.Value, ir.Value] = field(default_factory=dict)

    def widen(self, node: ir.Node) -> int:
        """Puts conversions around a node; returns whether it needed any."""
        if node.domain == "" and node.op_type in _AS_THEY_ARE:
            return 0
        dtype = self.context.facts.dtype
        inputs = [i for i, v in enumerate(node.inputs) if v is not None and dtype(v) == self.short]
        outputs = [v for v in node.outputs if dtype(v) == self.short]
        for index in inputs:
            value = node.inputs[index]
            assert value is not None
            node.replace_input_with(index, self._widened(value, node))
        for value in outputs:
            self._round(value, node)
        if outputs and TYPE_ATTRIBUTES.get(node.op_type) == "value":
            old = node.attributes["value"].as_tensor()
            node.attributes["value"] = ir.AttrTensor("value", rounded(old, SINGLE))
        return int(bool(inputs or outputs))

    def _widened(self, value: ir.Value, reader: ir.Node) -> ir.Value:
        """A value in single precision, converted once for all readers."""
        if value not in self.wide:
            node = self._cast(value, SINGLE)
            maker = value.producer()
            if maker is not None:
                owner(maker).insert_after(maker, node)
            else:
                home = value.graph if isinstance(value.graph, ir.Graph) else owner(reader)
                home.insert_before(home[0], node)
            self.wide[value] = node.outputs[0]
        return self.wide[value]

    def _round(self, value: ir.Value, maker: ir.Node) -> None:
        """Lets a conversion make a value that a node made, which makes it in single precision."""
        graph = owner(maker)
        node = self._cast(value, self.short)
        short = node.outputs[0]
        uses = [(user, index) for user, index in value.uses() if user is not node]
        for user, index in uses:
            user.replace_input_with(index, short)
        for index, output in enumerate(graph.outputs):
            if output is value:
                graph.outputs[index] = short
        graph.insert_after(maker, node)
        value.name, short.name = short.name, value.name
        value.type = ir.TensorType(SINGLE)
        self.context.facts.copy_facts(value, short)

    def _cast(self, value: ir.Value, to: ir.DataType) -> ir.Node:
        result = ir.Value(
            name=self.names.fresh(f"{value.name}_wide"), type=ir.TensorType(to), shape=value.shape
        )
        attribute = ir.AttrInt64("to", int(to))
        name = self.names.fresh(f"{value.name}/Cast")
        node = ir.Node("", "Cast", [value], [attribute], outputs=[result], name=name)
        maker = value.producer()
        if maker is not None:
            provenance.record("emulate-precision", [node], [maker])
        return node
