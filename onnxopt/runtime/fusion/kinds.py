"""Types of values in a graph the runtime saved, as far as they matter here.

The runtime saves hardly any type of what it fused, and no shape inference knows all of its operators. Whether a value holds
8-bit (or 16-bit, or 4-bit) integers follows from what makes it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import onnx_ir as ir

from .kernels import CARRIERS

Kind = Literal["quantised", "float", "other"]

_D = ir.DataType
_QUANTISED = frozenset(
    {_D.INT8, _D.UINT8, _D.INT16, _D.UINT16, _D.INT4, _D.UINT4, _D.FLOAT8E4M3FN, _D.FLOAT8E5M2}
)
_FLOAT = frozenset({_D.FLOAT, _D.FLOAT16, _D.DOUBLE, _D.BFLOAT16})
_OTHER_NAMES = """And ArgMax ArgMin ConvInteger Equal Greater GreaterOrEqual IsInf IsNaN Less LessOrEqual MatMulInteger NonZero
    Not Or Shape Size StringNormalizer Xor"""
_OTHER = frozenset(_OTHER_NAMES.split())
_TO_FLOAT_NAMES = (
    "DequantizeLinear DynamicQuantizeMatMul MatMulIntegerToFloat MatMulNBits QAttention"
)
_TO_FLOAT = frozenset(_TO_FLOAT_NAMES.split())
_DATA = {"Where": 1, "OneHot": 2}
_QGEMM_ZERO_POINT = 8


def kind_of_dtype(dtype: ir.DataType | None) -> Kind:
    """The kind of an element type; floats where it is not known."""
    if dtype in _QUANTISED:
        return "quantised"
    return "float" if dtype is None or dtype in _FLOAT else "other"


class Kinds:
    """The kind of every value.

    Args:
        nodes: all nodes, each after those it reads from.
    """

    def __init__(self, nodes: Iterable[ir.Node]) -> None:
        self._known: dict[ir.Value, Kind] = {}
        for node in nodes:
            kind = self._result(node)
            for index, value in enumerate(node.outputs):
                self._known[value] = self._later(node, kind) if index else kind

    def of(self, value: ir.Value | None) -> Kind:
        """The kind of a value."""
        if value is None:
            return "other"
        if value in self._known:
            return self._known[value]
        if value.const_value is not None:
            return kind_of_dtype(value.const_value.dtype)
        return kind_of_dtype(value.dtype)

    def of_data(self, node: ir.Node) -> Kind:
        """The kind of what a node computes with."""
        index = _DATA.get(node.op_type, 0)
        return self.of(node.inputs[index]) if index < len(node.inputs) else "other"

    def _result(self, node: ir.Node) -> Kind:
        op_type = node.op_type
        if op_type in ("QuantizeLinear", "DynamicQuantizeLinear") or op_type.startswith("QLinear"):
            return "quantised"
        if op_type == "QGemm":
            whole = len(node.inputs) > _QGEMM_ZERO_POINT and node.inputs[_QGEMM_ZERO_POINT]
            return "quantised" if whole is not None and whole is not False else "float"
        if op_type in _TO_FLOAT:
            return "float"
        if op_type in _OTHER:
            return "other"
        if op_type == "Cast":
            return kind_of_dtype(_D(node.attributes.get_int("to", 1)))
        if op_type in ("Constant", "ConstantOfShape"):
            tensor = node.attributes.get_tensor("value", None)
            return "float" if tensor is None else kind_of_dtype(tensor.dtype)
        if not node.inputs:
            return "float"
        found = self.of_data(node)
        return found if found != "quantised" or op_type in CARRIERS else "float"

    def _later(self, node: ir.Node, first: Kind) -> Kind:
        """The kind of results after the first."""
        if node.op_type == "DynamicQuantizeLinear":
            return "float"
        return "other" if node.op_type in ("TopK", "MaxPool", "Unique") else first
