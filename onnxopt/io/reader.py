"""Loading models: from a file without touching its weights, from a protobuf message, or as they are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import onnx
import onnx_ir as ir
from google.protobuf.message import DecodeError, Message  # type: ignore[import-untyped]
from google.protobuf.unknown_fields import UnknownFieldSet  # type: ignore[import-untyped]

from onnxopt.errors import ModelError
from onnxopt.io import carry, skeleton, sniff
from onnxopt.io.decode import decode_model
from onnxopt.io.decode_tensor import TensorDecoder
from onnxopt.io.paths import DataFile, DataFolder
from onnxopt.io.pause import collector_paused
from onnxopt.io.text import printable, shown
from onnxopt.io.wire import Window, WireError


def load(path: str | os.PathLike[str]) -> ir.Model:
    """Load a model file; its weights stay in it.

    The wire format is walked once, large tensors become regions of the file, and only the small rest
    is parsed. External data is checked (it must lie in the model's folder, and fit) but not read. The
    files must not change while the model is in use; a change is noticed and reported.

    Args:
        path: The ``.onnx`` file.

    Returns:
        The model. Unsorted nodes come out sorted.

    Raises:
        ModelError: If the file cannot be read or is not a well-formed model.
    """
    where = os.fspath(path)
    file = DataFile.of(where, where)
    with file.open() as descriptor:
        head = os.pread(descriptor, 512, 0)
        with _reported(where, head):
            data = skeleton.extract(Window(descriptor, file.size))
            proto = _parse(data, where, head)
    del data
    folder = DataFolder(os.path.dirname(where), where)
    return _decode(proto, TensorDecoder(where, file, folder), file, folder)


def from_proto(proto: onnx.ModelProto, base_dir: str | os.PathLike[str] | None = None) -> ir.Model:
    """Convert a protobuf model; its large tensors are shared, not copied.

    Args:
        proto: The model. It is not changed, and must not be while the result is in use.
        base_dir: The folder that its external data is in, if it has any.

    Returns:
        The model.

    Raises:
        ModelError: If the model is not well-formed.
    """
    where = printable(f"model '{proto.graph.name}'")
    folder = DataFolder(os.fspath(base_dir)) if base_dir is not None else None
    _check_complete(proto, where, b"")
    return _decode(proto, TensorDecoder(where, None, folder, keep_protos=True), None, folder)


def from_source(source: str | os.PathLike[str] | onnx.ModelProto | ir.Model) -> ir.Model:
    """Return the model that ``source`` is or leads to.

    Args:
        source: A path, a protobuf model, or an IR model, which is returned as it is.

    Raises:
        ModelError: If it cannot be read or is not a well-formed model.
    """
    if isinstance(source, ir.Model):
        return source
    if isinstance(source, onnx.ModelProto):
        return from_proto(source)
    return load(source)


def _decode(
    proto: onnx.ModelProto,
    tensors: TensorDecoder,
    file: DataFile | None,
    folder: DataFolder | None,
) -> ir.Model:
    with _reported(tensors.where, b""), collector_paused():
        model = decode_model(proto, tensors)
        training = [_with_inline_tensors(info, tensors) for info in proto.training_info]
    carried = carry.ModelCarry(file, folder.used() if folder is not None else (), training)
    carry.attach_model(model.graph, carried)
    return model


@contextmanager
def _reported(where: str, head: bytes) -> Iterator[None]:
    """Turn whatever malformed bytes make protobuf or the IR raise into one clear error."""
    try:
        yield
    except ModelError as error:
        raise shown(error) from error.__cause__
    except RecursionError:
        raise ModelError(f"{where}: its graphs are nested too deeply; flatten the model") from None
    except WireError as error:
        hint = sniff.guess(head)
        raise ModelError(f"{where}: not a readable ONNX model ({error}): {hint}") from None
    except Exception as error:
        cause = printable(" ".join(str(error).split())[:200]) or type(error).__name__
        raise ModelError(f"{where}: the model is damaged: {cause}") from error


def _parse(data: bytes, where: str, head: bytes) -> onnx.ModelProto:
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(data)
    except DecodeError:
        hint = sniff.guess(head)
        raise ModelError(f"{where}: not a readable ONNX model: {hint}") from None
    _check_complete(proto, where, head)
    return proto


def _check_complete(proto: onnx.ModelProto, where: str, head: bytes) -> None:
    """Check what every model has: a graph, an IR version, and only fields that this onnx knows."""
    if not proto.HasField("graph"):
        cause = f"not an ONNX model: {sniff.guess(head)}" if head else "it is empty"
        raise ModelError(f"{where}: {cause}")
    if not proto.HasField("ir_version"):
        raise ModelError(f"{where}: it has no ir_version; it is truncated or not an ONNX model")
    if head:
        _refuse_unknown_fields(proto, where)


def _refuse_unknown_fields(proto: onnx.ModelProto, where: str) -> None:
    """Refuse a model with fields that would be lost, as they are not part of this onnx version."""
    known = onnx.ModelProto()
    known.CopyFrom(proto)
    known.DiscardUnknownFields()
    if known.ByteSize() == proto.ByteSize():
        return
    descriptor, number = _find_unknown(proto) or (proto.DESCRIPTOR, 0)
    if number in descriptor.fields_by_number:
        raise ModelError(
            f"{where}: the model is damaged: field {number} of a {descriptor.name} has a wrong type"
        )
    raise ModelError(
        f"{where}: it has the field {number} in a {descriptor.name}, which onnx {onnx.__version__} does "
        "not know and would lose; update the onnx package"
    )


def _find_unknown(message: Message) -> tuple[Any, int] | None:
    for unknown in UnknownFieldSet(message):
        return message.DESCRIPTOR, unknown.field_number
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for child in value if field.is_repeated else [value]:
            found = _find_unknown(child)
            if found is not None:
                return found
    return None


def _with_inline_tensors(
    info: onnx.TrainingInfoProto, tensors: TensorDecoder
) -> onnx.TrainingInfoProto:
    """Copy training information with its external tensors read in, so that it stands on its own."""
    copy = onnx.TrainingInfoProto()
    copy.CopyFrom(info)
    _inline(copy, tensors)
    return copy


def _inline(message: Message, tensors: TensorDecoder) -> None:
    if isinstance(message, onnx.TensorProto):
        if message.data_location == onnx.TensorProto.EXTERNAL:
            data = tensors.decode(message).tobytes()
            message.ClearField("external_data")
            message.ClearField("data_location")
            message.raw_data = data
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for child in value if field.is_repeated else [value]:
                _inline(child, tensors)
