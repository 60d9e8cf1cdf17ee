"""Reading the ``.pb`` files of onnx's test sets: a tensor, a sequence or an optional each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from onnxopt.errors import UsageError
from onnxopt.runtime.facts import InputSpec


def read(path: Path, spec: InputSpec) -> tuple[str, Any]:
    """Read one value.

    Args:
        path: the file.
        spec: the input it is for, which decides how the bytes are read.

    Returns:
        The name stored in the file ('' if none), and the value.

    Raises:
        UsageError: the file does not hold such a value.
    """
    import onnx

    classes = {
        "tensor": onnx.TensorProto,
        "sequence": onnx.SequenceProto,
        "optional": onnx.OptionalProto,
        "optional-sequence": onnx.OptionalProto,
    }
    proto = classes[spec.kind]()
    try:
        proto.ParseFromString(path.read_bytes())
        return proto.name, _value(proto)
    except Exception as error:  # protobuf, onnx-ir and numpy each raise their own
        why = " ".join(str(error).split())
        raise UsageError(f"{path}: not a {spec.kind} for input {spec.name!r}: {why}") from error


def _value(proto: Any) -> Any:
    import onnx

    if isinstance(proto, onnx.TensorProto):
        return _array(proto)
    if isinstance(proto, onnx.SequenceProto):
        return [_value(item) for item in (proto.tensor_values or proto.sequence_values)]
    kind = onnx.OptionalProto
    if proto.elem_type == kind.TENSOR:
        return _array(proto.tensor_value)
    return _value(proto.sequence_value) if proto.elem_type == kind.SEQUENCE else None


def _array(proto: Any) -> np.ndarray:
    import onnx
    import onnx_ir as ir

    if proto.data_type == onnx.TensorProto.STRING:
        words = [item.decode("utf-8", "surrogateescape") for item in proto.string_data]
        return np.array(words, dtype=object).reshape(tuple(proto.dims))
    return np.asarray(ir.serde.deserialize_tensor(proto).numpy())
