"""Detached nodes and constants: all that a rule may make. Nothing here touches the graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from onnx_ir.convenience import convert_attributes

from ..analysis.facts import Facts
from .names import Names

Array = np.ndarray[Any, Any]
_LAZY_ABOVE = 1 << 16


class Builder:
    """Makes the nodes and constants of one rewrite, and infers their types as it goes.

    Args:
        facts: Gets the inferred types and shapes of everything built.
        names: Hands out new names.
        prefix: What new names begin with; the root node's name.
        in_function: Whether the rewrite happens in a model function, where constants must be
            ``Constant`` nodes because functions have no initializers.
    """

    def __init__(self, facts: Facts, names: Names, prefix: str, in_function: bool) -> None:
        self._facts = facts
        self._names = names
        self._prefix = prefix
        self._in_function = in_function
        self.nodes: list[ir.Node] = []
        self.constants: list[ir.Value] = []
        self.beside: list[tuple[ir.Value, ir.Value]] = []

    def replace(self, old: ir.Value, new: ir.Value) -> None:
        """Says what stands for an inner value of the match that others read too.

        The new nodes then go to where ``old`` is made, so their inputs must exist there. The pattern of the
        node that makes it must be ``shared``.
        """
        self.beside.append((old, new))

    def op(
        self,
        op_type: str,
        *inputs: ir.Value | None,
        domain: str = "",
        **attributes: Any,
    ) -> ir.Value:
        """Builds a node with one output; attributes that are None are left out."""
        return self.ops(op_type, *inputs, outputs=1, domain=domain, **attributes)[0]

    def ops(
        self,
        op_type: str,
        *inputs: ir.Value | None,
        outputs: int,
        domain: str = "",
        **attributes: Any,
    ) -> Sequence[ir.Value]:
        """Builds a node with several outputs."""
        attrs = convert_attributes({k: v for k, v in attributes.items() if v is not None})
        return self.node(op_type, inputs, attrs, outputs=outputs, domain=domain)

    def like(
        self, node: ir.Node, *inputs: ir.Value | None, outputs: int | None = None, **changes: Any
    ) -> ir.Value:
        """Builds a node with another's type, domain and attributes, and new inputs.

        Args:
            node: The node to take after.
            *inputs: The new node's inputs.
            outputs: The number of outputs; that of ``node`` by default.
            **changes: Attributes to set, or with None to drop.
        """
        kept = [a for name, a in node.attributes.items() if name not in changes]
        changed = convert_attributes({k: v for k, v in changes.items() if v is not None})
        made = self.node(
            node.op_type,
            inputs,
            [*(_copied(a) for a in kept), *changed],
            outputs=outputs or len(node.outputs),
            domain=node.domain,
            overload=node.overload,
            doc_string=node.doc_string,
        )
        for old, new in zip(node.outputs, made, strict=False):
            if old.name == "":
                new.name = ""  # An output that was left out stays so: it need not be computed.
        return made[0]

    def node(
        self,
        op_type: str,
        inputs: Sequence[ir.Value | None],
        attributes: Sequence[ir.Attr],
        *,
        outputs: int,
        domain: str = "",
        overload: str = "",
        doc_string: str | None = None,
    ) -> Sequence[ir.Value]:
        """Builds a node out of ready-made attributes."""
        trimmed = list(inputs)
        while trimmed and trimmed[-1] is None:
            trimmed.pop()
        base = self._names.fresh(f"{self._prefix}/{op_type}")
        values = [ir.Value(name=self._names.fresh(f"{base}_output_{i}")) for i in range(outputs)]
        node = ir.Node(
            domain,
            op_type,
            trimmed,
            attributes,
            overload=overload,
            outputs=values,
            name=base,
            doc_string=doc_string,
        )
        self.nodes.append(node)
        self._facts.infer(node)
        return node.outputs

    def const(
        self, hint: str, array: Array | Sequence[int] | float, dtype: ir.DataType | None = None
    ) -> ir.Value:
        """Builds a constant, rounded once to ``dtype``.

        Args:
            hint: What the constant is, for its name.
            array: The numbers. Computed in float64 if they are weights.
            dtype: The element type to store; that of ``array`` by default.
        """
        data = np.asarray(array)
        if dtype is not None:
            data = data.astype(dtype.numpy())
        # A copy, because a view would keep a larger array (or a mapped file) alive.
        tensor = ir.Tensor(np.array(data, order="C"), dtype=dtype)
        return self.tensor(hint, tensor)

    def ints(self, hint: str, values: Sequence[int] | int) -> ir.Value:
        """Builds an int64 constant: a vector, or a scalar for a plain int."""
        return self.const(hint, np.asarray(values, dtype=np.int64))

    def lazy(
        self,
        hint: str,
        dtype: ir.DataType,
        shape: Sequence[int],
        compute: Callable[[], Array],
    ) -> ir.Value:
        """Builds a constant that is computed when the model is written.

        Small ones are computed at once. ``compute`` must capture tensors, not arrays, so that memory
        stays bounded by the largest tensor while the model is written.

        Args:
            hint: What the constant is, for its name.
            dtype: The element type to store; results are rounded to it once.
            shape: Its shape.
            compute: Returns the numbers, of any numpy type.
        """

        def evaluate() -> ir.TensorProtocol:
            array = np.ascontiguousarray(compute().astype(dtype.numpy(), copy=False))
            if array.shape != tuple(shape):
                raise ValueError(f"{hint}: computed {array.shape}, promised {tuple(shape)}")
            return ir.Tensor(array, dtype=dtype)

        size = int(np.prod(np.asarray(shape, dtype=np.float64))) * dtype.itemsize
        if size <= _LAZY_ABOVE:
            return self.tensor(hint, evaluate())
        return self.tensor(hint, ir.LazyTensor(evaluate, dtype, ir.Shape(shape)))

    def tensor(self, hint: str, tensor: ir.TensorProtocol) -> ir.Value:
        """Builds a constant out of a tensor that exists."""
        name = self._names.fresh(f"{self._prefix}/{hint}")
        if self._in_function:
            attr = ir.AttrTensor("value", tensor)
            return self.node("Constant", [], [attr], outputs=1)[0]
        value = ir.Value(
            name=name,
            type=ir.TensorType(tensor.dtype),
            shape=ir.Shape(tensor.shape.numpy()),
            const_value=tensor,
        )
        tensor.name = name
        self.constants.append(value)
        return value

    def discard(self) -> None:
        """Detaches everything built from the graph's values, for a rewrite that did not happen."""
        for node in self.nodes:
            for index in range(len(node.inputs)):
                node.replace_input_with(index, None)
        self.nodes.clear()
        self.constants.clear()
        self.beside.clear()


def _copied(attr: ir.Attr) -> ir.Attr:
    if attr.is_ref():
        return ir.RefAttr(attr.name, attr.ref_attr_name or "", attr.type, attr.doc_string)
    return ir.Attr(attr.name, attr.type, attr.value, doc_string=attr.doc_string)
