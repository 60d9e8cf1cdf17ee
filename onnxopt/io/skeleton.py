"""The skeleton of a model file: the same message, with each large weight replaced by a reference.

The file is walked field by field. A ``TensorProto`` whose payload is large becomes an external-data
reference into the model file itself (location, offset, length); everything else is kept verbatim. The
skeleton is small, so protobuf can parse it whatever the size of the model.
"""

from __future__ import annotations

from onnxopt.io import wire
from onnxopt.io.wire import Window, WireError

# No file can have this name, so it cannot be mistaken for a reference that the model itself makes.
SELF = "\x00self"

# Payloads up to this many bytes stay in the skeleton: a reference would cost about as much.
INLINE_BYTES = 1024

# protobuf's own limit on nested messages.
_MAX_DEPTH = 100

_TENSOR = 0
_MODEL, _GRAPH, _FUNCTION, _NODE, _ATTRIBUTE, _SPARSE = range(1, 7)

# Message kind -> field number -> kind of the child. Field numbers are those of onnx.proto.
_CHILDREN: dict[int, dict[int, int]] = {
    _MODEL: {7: _GRAPH, 25: _FUNCTION},
    _GRAPH: {1: _NODE, 5: _TENSOR, 15: _SPARSE},
    _FUNCTION: {7: _NODE},
    _NODE: {5: _ATTRIBUTE},
    _ATTRIBUTE: {5: _TENSOR, 10: _TENSOR, 6: _GRAPH, 11: _GRAPH, 22: _SPARSE, 23: _SPARSE},
    _SPARSE: {1: _TENSOR, 2: _TENSOR},
}

# TensorProto payloads that are the tensor's little-endian bytes: raw_data, packed float_data and
# packed double_data, with the data types that each may hold (None: all but STRING).
_RAW_DATA, _FLOAT_DATA, _DOUBLE_DATA = 9, 4, 10
_PAYLOAD_TYPES: dict[int, frozenset[int] | None] = {
    _RAW_DATA: None,
    _FLOAT_DATA: frozenset({1, 14}),
    _DOUBLE_DATA: frozenset({11, 15}),
}
_STRING = 8
# dims, data_type, name, doc_string, metadata_props: fields that go with any payload.
_PLAIN_FIELDS = frozenset({1, 2, 8, 12, 16})


class _Pieces:
    """A message under construction: ranges of the file and new bytes, with their total length."""

    def __init__(self) -> None:
        self.parts: list[bytes | tuple[int, int]] = []
        self.length = 0

    def verbatim(self, start: int, stop: int) -> None:
        if stop > start:
            self.parts.append((start, stop))
            self.length += stop - start

    def add(self, data: bytes) -> None:
        self.parts.append(data)
        self.length += len(data)

    def message(self, number: int, child: _Pieces) -> None:
        self.add(wire.length_prefix(number, child.length))
        self.parts.extend(child.parts)
        self.length += child.length


def extract(source: Window) -> bytes:
    """Return the skeleton of the ``ModelProto`` in ``source``.

    Args:
        source: The model file.

    Returns:
        Bytes of a ``ModelProto`` in which large tensors have ``data_location`` EXTERNAL and the
        location ``SELF``, with offset and length in bytes into the file.

    Raises:
        WireError: If the file is not a well-formed protobuf message.
    """
    pieces = _shrink(source, _MODEL, 0, source.size, 0)
    if pieces is None:
        return source.read(0, source.size)
    return b"".join(p if isinstance(p, bytes) else source.read(*p) for p in pieces.parts)


def _shrink(source: Window, kind: int, start: int, stop: int, depth: int) -> _Pieces | None:
    """Shrink one message; None when it has nothing to replace."""
    if depth > _MAX_DEPTH:
        raise WireError(f"its graphs are nested more than {_MAX_DEPTH // 3} deep")
    if kind == _TENSOR:
        return _shrink_tensor(source, start, stop)
    children = _CHILDREN[kind]
    pieces: _Pieces | None = None
    kept = start
    for number, wire_type, at, low, high in wire.fields(source, start, stop):
        child = children.get(number)
        if child is None or high - low <= INLINE_BYTES or wire_type != wire.LENGTH:
            continue
        small = _shrink(source, child, low, high, depth + 1)
        if small is None:
            continue
        pieces = pieces or _Pieces()
        pieces.verbatim(kept, at)
        pieces.message(number, small)
        kept = high
    if pieces is not None:
        pieces.verbatim(kept, stop)
    return pieces


def _shrink_tensor(source: Window, start: int, stop: int) -> _Pieces | None:
    """Replace a tensor's payload by a reference; None when it has to be left to protobuf."""
    payload: wire.Field | None = None
    data_type = 0
    for found in wire.fields(source, start, stop):
        number, wire_type, _, low, high = found
        if number in _PAYLOAD_TYPES and wire_type == wire.LENGTH and payload is None:
            payload = found
        elif number == 2 and wire_type == wire.VARINT:
            data_type = wire.read_varint(source.read(low, high), 0)[0]
        elif number == 14 and source.read(low, high) == b"\x00":
            pass  # data_location DEFAULT, spelt out; the reference's own comes later and wins
        elif number not in _PLAIN_FIELDS:
            # Data in several places, a segment, or already external: not ours to interpret.
            return None
    if payload is None or payload[4] - payload[3] <= INLINE_BYTES:
        return None
    allowed = _PAYLOAD_TYPES[payload[0]]
    if data_type == _STRING or (allowed is not None and data_type not in allowed):
        return None
    pieces = _Pieces()
    pieces.verbatim(start, payload[2])
    pieces.verbatim(payload[4], stop)
    pieces.add(reference(SELF, payload[3], payload[4] - payload[3]))
    return pieces


def reference(location: str, offset: int, length: int) -> bytes:
    """Encode the ``TensorProto`` fields that say where external data lies.

    Args:
        location: File name, relative to the model's folder.
        offset: Offset of the first byte in that file.
        length: Number of bytes.
    """
    out = b""
    for name, value in (("location", location), ("offset", str(offset)), ("length", str(length))):
        entry = wire.delimited(1, name.encode()) + wire.delimited(2, value.encode())
        out += wire.delimited(13, entry)
    return out + wire.key(14, wire.VARINT) + b"\x01"
