"""The same value in the other type: a constant rounded once, or one conversion that all readers share."""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.pipeline.base import Context
from onnxopt.rewrite import provenance
from onnxopt.rewrite.scopes import owner

from ._constants import rounded
from ._operands import SINGLE, spelt
from ._plan import Plan

RULE = "convert-precision"
_COPIED = 4096


class Counterparts:
    """Gives each value in the type wanted, making what is missing.

    Args:
        context: The model and the services; its facts must be those from before.
        plan: The decisions.
    """

    def __init__(self, context: Context, plan: Plan) -> None:
        self._facts = context.facts
        self._names = context.editor.names
        self._scopes = context.editor.scopes
        self._plan = plan
        self._made: dict[ir.Value, ir.Value] = {}
        self._constants: dict[ir.Value, ir.TensorProtocol] = {}

    def of(self, value: ir.Value, dtype: ir.DataType) -> ir.Value:
        """A single-precision value of the original model, as one of the type wanted.

        Args:
            value: A value whose type was single precision.
            dtype: Single precision or the shorter type.
        """
        if self._tensor(value) is not None:
            if dtype == SINGLE:
                return value
        elif self._plan.is_short(value) == (dtype != SINGLE):
            return value
        if value not in self._made:
            self._made[value] = self._make(value, dtype)
        return self._made[value]

    def _tensor(self, value: ir.Value) -> ir.TensorProtocol | None:
        """What a constant held at first, which is no longer to be seen once it is rounded in its place."""
        tensor = self._constants.get(value) or self._facts.const_tensor(value)
        if tensor is not None:
            self._constants[value] = tensor
        return tensor

    def _make(self, value: ir.Value, dtype: ir.DataType) -> ir.Value:
        tensor = self._tensor(value)
        if tensor is None:
            return self._cast(value, dtype)
        if not self._is_read_single(value):
            _replace(value, rounded(tensor, dtype))
            return value
        if tensor.nbytes > _COPIED:
            return self._cast(value, dtype)
        return self._copy(value, rounded(tensor, dtype))

    def _is_read_single(self, value: ir.Value) -> bool:
        """Whether something needs a constant as it was."""
        graph = self._home(value)
        if any(self._plan.wants(user, index) == SINGLE for user, index in value.uses()):
            return True
        kinds = [
            self._plan.returned_as(graph, i) for i, v in enumerate(graph.outputs) if v is value
        ]
        return SINGLE in kinds

    def _copy(self, value: ir.Value, tensor: ir.TensorProtocol) -> ir.Value:
        """A second constant, for those who read the shorter type."""
        copy = ir.Value(
            name=self._names.fresh(f"{value.name}_{spelt(tensor.dtype)}"),
            type=ir.TensorType(tensor.dtype),
            shape=ir.Shape(tensor.shape.numpy()),
            const_value=tensor,
        )
        tensor.name = copy.name
        self._home(value).initializers.add(copy)
        return copy

    def _cast(self, value: ir.Value, dtype: ir.DataType) -> ir.Value:
        name = self._names.fresh(f"{value.name}_{spelt(dtype)}")
        result = ir.Value(name=name, type=ir.TensorType(dtype), shape=value.shape)
        node = ir.Node(
            "",
            "Cast",
            [value],
            [ir.AttrInt64("to", int(dtype))],
            outputs=[result],
            name=self._names.fresh(f"{value.name}/Cast"),
        )
        maker, graph = value.producer(), self._home(value)
        if maker is not None:
            provenance.record(RULE, [node], [maker])
            graph.insert_after(maker, node)
        elif len(graph):
            graph.insert_before(graph[0], node)
        else:
            graph.append(node)
        return result

    def _home(self, value: ir.Value) -> ir.Graph:
        """The graph a value belongs to."""
        maker = value.producer()
        if maker is not None:
            return owner(maker)
        graph = value.graph
        assert graph is not None
        return graph.graph if isinstance(graph, ir.Function) else graph


def _replace(value: ir.Value, tensor: ir.TensorProtocol) -> None:
    """Lets a constant hold another tensor."""
    value.type = ir.TensorType(tensor.dtype)
    maker = value.producer()
    if maker is None:
        tensor.name = value.name
        value.const_value = tensor
        return
    maker.attributes.clear()
    maker.attributes["value"] = ir.AttrTensor("value", tensor)
