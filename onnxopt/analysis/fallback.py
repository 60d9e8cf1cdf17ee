"""Inference through the onnx package's own per-operator functions, for the operators that have none here.

Symbolic dimensions go in as made-up ``dim_param`` names, one for each distinct expression, and are translated back;
names that come back unknown become unknown dimensions.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx_ir as ir

from onnxopt.analysis.context import Context, Fact, Shape
from onnxopt.analysis.dims import Dim, DimExpr, fresh

if TYPE_CHECKING:
    import onnx

_MAX_DATA_BYTES = 4096


@lru_cache(maxsize=1024)
def schema_of(domain: str, op_type: str, version: int) -> onnx.defs.OpSchema | None:
    """The schema of an operator at an opset version; None where there is none."""
    import onnx

    try:
        return onnx.defs.get_schema(op_type, version, domain)
    except onnx.defs.SchemaError:
        return None


def infer_by_schema(context: Context) -> bool:
    """Fills in the outputs of a node by the onnx package.

    Returns:
        Whether the operator has a schema there at all.
    """
    import onnx

    node = context.node
    schema = schema_of(node.domain, node.op_type, context.version)
    if schema is None:
        return False
    proto, types, data, names = _describe(context)
    imports = [onnx.helper.make_opsetid(node.domain, context.version)]
    result = onnx.shape_inference.infer_node_outputs(schema, proto, types, data, None, imports)
    dims = {name: dim for dim, name in names.items()}
    for index, fact in enumerate(context.outs):
        found = result.get(f"o{index}")
        if found is not None:
            _read_type(found, fact, dims)
    return True


def _describe(context: Context) -> tuple[Any, dict[str, Any], dict[str, Any], dict[DimExpr, str]]:
    """The node as a protobuf message with local names, its input types and constants."""
    import onnx

    node = context.node
    proto = onnx.NodeProto(op_type=node.op_type, domain=node.domain)
    proto.output.extend(f"o{index}" for index in range(len(node.outputs)))
    for attr in node.attributes.values():
        proto.attribute.append(ir.serde.serialize_attribute(attr))
    types: dict[str, Any] = {}
    data: dict[str, Any] = {}
    names: dict[DimExpr, str] = {}
    for index, value in enumerate(node.inputs):
        name = "" if value is None else f"i{index}"
        proto.input.append(name)
        if value is None:
            continue
        types[name] = _write_type(context.facts.fact(value), names)
        tensor = _small_tensor(context, index)
        if tensor is not None:
            data[name] = tensor
    return proto, types, data, names


def _small_tensor(context: Context, index: int) -> Any:
    value = context.value(index)
    tensor = context.facts.const_tensor(value)
    if tensor is None:
        content = context.content(index)
        items = content if isinstance(content, tuple) else (content,)
        dtype = context.dtype(index)
        if dtype is None or not all(isinstance(item, int) for item in items):
            return None
        tensor = ir.Tensor(np.asarray(content, dtype.numpy()))
    if tensor.nbytes > _MAX_DATA_BYTES:
        return None
    return ir.serde.serialize_tensor(tensor)


def _write_type(fact: Fact, names: dict[DimExpr, str]) -> Any:
    import onnx

    proto = onnx.TypeProto()
    if fact.container is not None:
        ir.serde.serialize_type_into(proto, fact.container)
        return proto
    if fact.dtype is None:
        return proto
    proto.tensor_type.elem_type = int(fact.dtype)
    if fact.shape is None:
        return proto
    proto.tensor_type.shape.SetInParent()
    for dim in fact.shape:
        if isinstance(dim, int):
            proto.tensor_type.shape.dim.add(dim_value=dim)
        else:
            proto.tensor_type.shape.dim.add(dim_param=names.setdefault(dim, f"d{len(names)}"))
    return proto


def _read_type(proto: Any, fact: Fact, dims: dict[str, DimExpr]) -> None:
    kind = proto.WhichOneof("value")
    if kind is None:
        return
    if kind != "tensor_type":
        fact.container = ir.serde.deserialize_type_proto_for_type(proto)
        return
    tensor = proto.tensor_type
    if tensor.elem_type:
        fact.dtype = ir.DataType(tensor.elem_type)
    if tensor.HasField("shape"):
        fact.shape = _read_shape(tensor.shape, dims)


def _read_shape(proto: Any, dims: dict[str, DimExpr]) -> Shape:
    shape: list[Dim] = []
    for dim in proto.dim:
        if dim.HasField("dim_value") and dim.dim_value >= 0:
            shape.append(dim.dim_value)
        else:
            shape.append(dims.get(dim.dim_param) or fresh())
    return tuple(shape)
