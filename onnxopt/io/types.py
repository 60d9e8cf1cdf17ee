"""Types and shapes between protobuf and the IR, in both directions and without loss."""

from __future__ import annotations

import onnx
import onnx_ir as ir

from onnxopt.io.carry import VerbatimType
from onnxopt.io.text import checked, optional

_Dimension = onnx.TensorShapeProto.Dimension

# A dictionary is several times as fast as calling the enumeration.
DATA_TYPES = {int(member): member for member in ir.DataType}


class TypeDecoder:
    """Decodes types; equal shapes and dimension names are shared, which is most of them.

    Shapes come out frozen: whoever changes one makes a copy first.
    """

    def __init__(self) -> None:
        self._tensors: dict[bytes, tuple[ir.DataType, str | None, ir.Shape | None]] = {}
        self._symbols: dict[str, ir.SymbolicDim] = {}

    def decode(self, proto: onnx.TypeProto) -> tuple[ir.TypeProtocol | None, ir.Shape | None]:
        """Decode a type and the shape of its innermost tensor.

        Args:
            proto: The type; may be empty.

        Returns:
            The type, None when the file gives none, and the shape, None when it gives none.

        Raises:
            ValueError: If the element type is not one of ONNX's.
        """
        key = proto.SerializeToString()
        known = self._tensors.get(key)
        if known is not None:
            # Types, unlike shapes, are not frozen: each value gets one of its own.
            return ir.TensorType(known[0], denotation=known[1]), known[2]
        kind = proto.WhichOneof("value")
        if kind == "tensor_type" or kind == "sparse_tensor_type":
            type_, shape = self._tensor(proto, kind)
            if isinstance(type_, ir.TensorType):
                self._tensors[key] = type_.dtype, type_.denotation, shape
            return type_, shape
        if kind == "sequence_type" or kind == "optional_type":
            inner, shape = self.decode(getattr(proto, kind).elem_type)
            if inner is None or isinstance(inner, VerbatimType):
                return self._verbatim(proto), None
            wrap = ir.SequenceType if kind == "sequence_type" else ir.OptionalType
            return wrap(inner, denotation=optional(proto.denotation)), shape
        if kind is None and not proto.denotation:
            return None, None
        return self._verbatim(proto), None

    def _tensor(
        self, proto: onnx.TypeProto, kind: str
    ) -> tuple[ir.TypeProtocol | None, ir.Shape | None]:
        tensor = proto.tensor_type if kind == "tensor_type" else proto.sparse_tensor_type
        if not tensor.HasField("elem_type"):
            return self._verbatim(proto), None
        shape = self.shape(tensor.shape) if tensor.HasField("shape") else None
        wrap = ir.TensorType if kind == "tensor_type" else ir.SparseTensorType
        dtype = DATA_TYPES.get(tensor.elem_type)
        if dtype is None:
            raise ValueError(f"element type {tensor.elem_type} is not one of ONNX's")
        return wrap(dtype, denotation=optional(proto.denotation)), shape

    def _verbatim(self, proto: onnx.TypeProto) -> VerbatimType:
        return VerbatimType(proto.SerializeToString(), optional(proto.denotation))

    def shape(self, proto: onnx.TensorShapeProto) -> ir.Shape:
        """Decode a shape."""
        dims = [self._dim(dim) for dim in proto.dim]
        denotations = [optional(dim.denotation) for dim in proto.dim]
        return ir.Shape(dims, denotations=denotations, frozen=True)

    def _dim(self, proto: _Dimension) -> int | ir.SymbolicDim:
        if proto.HasField("dim_value"):
            return int(proto.dim_value)
        name = checked(proto.dim_param)
        if not name:
            return ir.SymbolicDim(None)
        symbol = self._symbols.get(name)
        if symbol is None:
            symbol = self._symbols[name] = ir.SymbolicDim(name)
        return symbol


class TypeEncoder:
    """Encodes types, each distinct one once; for use while the model does not change."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, int], tuple[onnx.TypeProto, object]] = {}

    def encode(
        self, proto: onnx.TypeProto, type_: ir.TypeProtocol, shape: ir.ShapeProtocol | None
    ) -> None:
        """Fill in a type, as ``encode_type`` does."""
        if type(type_) is not ir.TensorType or type_.denotation:
            encode_type(proto, type_, shape)
            return
        # Equal shapes are mostly one object; the entry holds on to it, so its id stays taken.
        key = (type_.dtype, id(shape))
        known = self._known.get(key)
        if known is None:
            encode_type(proto, type_, shape)
            copy = onnx.TypeProto()
            copy.CopyFrom(proto)
            self._known[key] = copy, shape
        else:
            proto.CopyFrom(known[0])


def encode_type(
    proto: onnx.TypeProto, type_: ir.TypeProtocol | None, shape: ir.ShapeProtocol | None
) -> None:
    """Fill in a type; the shape goes to the innermost tensor.

    Args:
        proto: An empty type.
        type_: The type; nothing is written for None, as a shape alone has no place.
        shape: The shape, or None when unknown.

    Raises:
        TypeError: If the IR holds a type that ONNX does not have.
    """
    if type_ is None:
        return
    if isinstance(type_, VerbatimType):
        proto.MergeFromString(type_.encoded)
        return
    if type_.denotation:
        proto.denotation = type_.denotation
    if isinstance(type_, ir.TensorType):
        proto.tensor_type.elem_type = type_.dtype.value
        if shape is not None:
            encode_shape(proto.tensor_type.shape, shape)
    elif isinstance(type_, ir.SparseTensorType):
        proto.sparse_tensor_type.elem_type = type_.dtype.value
        if shape is not None:
            encode_shape(proto.sparse_tensor_type.shape, shape)
    elif isinstance(type_, ir.SequenceType):
        encode_type(proto.sequence_type.elem_type, type_.elem_type, shape)
    elif isinstance(type_, ir.OptionalType):
        encode_type(proto.optional_type.elem_type, type_.elem_type, shape)
    else:
        raise TypeError(f"type {type_!r} has no ONNX form")


def encode_shape(proto: onnx.TensorShapeProto, shape: ir.ShapeProtocol) -> None:
    """Fill in a shape, which then exists even when it has no dimension."""
    proto.SetInParent()
    for index, dim in enumerate(shape):
        target = proto.dim.add()
        if isinstance(dim, int):
            target.dim_value = dim
        elif dim.value is not None:
            target.dim_param = str(dim.value)
        denotation = shape.get_denotation(index)
        if denotation:
            target.denotation = denotation
