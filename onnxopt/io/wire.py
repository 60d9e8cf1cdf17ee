"""The protobuf wire format, just enough to find large payloads in a file and step over them.

A message is a run of fields: a key (field number and wire type, as a varint) and a payload. Payloads
of wire type 2 carry their length, so a reader can skip any weight without touching its bytes.
Source: https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5

# A key, a length and slack for over-long varints: what must be in view to decode one field header.
_HEADER_BYTES = 24
_SMALLEST_VIEW = 4 << 10
_LARGEST_VIEW = 1 << 20


class WireError(ValueError):
    """The bytes are not a well-formed protobuf message."""


class Window:
    """Reads a file through a small sliding view, so that skipped payloads never enter memory.

    ``pread`` is used rather than ``mmap``: the kernel maps pages around a fault, which would count
    the neighbouring weights as resident.

    Args:
        descriptor: A file descriptor open for reading; not closed here.
        size: Size of the file in bytes.
    """

    def __init__(self, descriptor: int, size: int) -> None:
        self.size = size
        self._descriptor = descriptor
        self._view = b""
        self._base = 0
        self._step = _SMALLEST_VIEW

    def at(self, position: int) -> tuple[bytes, int]:
        """Return a view that holds the field header at ``position``, and the view's offset."""
        end = self._base + len(self._view)
        inside = self._base <= position < end
        if inside and (end == self.size or position + _HEADER_BYTES <= end):
            return self._view, self._base
        # Sequential reading doubles the view; a jump over a payload starts small again.
        self._step = min(2 * self._step, _LARGEST_VIEW) if inside else _SMALLEST_VIEW
        self._view = self.read(position, min(position + self._step, self.size))
        self._base = position
        return self._view, self._base

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes in ``[start, stop)``.

        Raises:
            WireError: If the file ends before ``stop``.
        """
        data = os.pread(self._descriptor, stop - start, start)
        while len(data) < stop - start:
            more = os.pread(self._descriptor, stop - start - len(data), start + len(data))
            if not more:
                raise WireError("the file is shorter than it was a moment ago")
            data += more
        return data


def read_varint(view: bytes, index: int) -> tuple[int, int]:
    """Decode the varint at ``index``; return its value and the index behind it.

    Raises:
        WireError: If it is longer than ten bytes, the limit for 64 bits.
        IndexError: If ``view`` ends inside it.
    """
    value = shift = 0
    while True:
        byte = view[index]
        index += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, index
        shift += 7
        if shift > 63:
            raise WireError("a number is longer than 64 bits")


def put_varint(value: int) -> bytes:
    """Encode a non-negative integer as a varint."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def key(number: int, kind: int) -> bytes:
    """Encode a field key from the field number and wire type."""
    return put_varint(number << 3 | kind)


def length_prefix(number: int, length: int) -> bytes:
    """Encode the header of a length-delimited field with a payload of ``length`` bytes."""
    return key(number, LENGTH) + put_varint(length)


def delimited(number: int, payload: bytes) -> bytes:
    """Encode a whole length-delimited field."""
    return length_prefix(number, len(payload)) + payload


Field = tuple[int, int, int, int, int]


def fields(source: Window, start: int, stop: int) -> Iterator[Field]:
    """Walk the fields of the message in ``[start, stop)``.

    Args:
        source: The file.
        start: Offset of the message's first byte.
        stop: Offset behind its last byte.

    Yields:
        Field number, wire type, offset of the key, offset of the payload, offset behind the payload.
        For a varint the payload is the varint itself.

    Raises:
        WireError: If a field is malformed or reaches beyond ``stop``.
    """
    position = start
    view, base = b"", start
    safe = start - 1
    while position < stop:
        if position > safe:
            view, base = source.at(position)
            at_end = base + len(view) >= source.size
            safe = base + len(view) - (1 if at_end else _HEADER_BYTES)
        try:
            number, kind, payload, end = _field(view, position - base)
        except IndexError:
            raise WireError("it is cut off in the middle of a field") from None
        if base + end > stop:
            raise WireError("a field reaches beyond the end of its message")
        yield number, kind, position, base + payload, base + end
        position = base + end


def _field(view: bytes, index: int) -> tuple[int, int, int, int]:
    """Decode the field header at ``index``: number, wire type, payload and end as indices."""
    head = view[index]
    index += 1
    if head >= 0x80:
        head, index = read_varint(view, index - 1)
    number, kind = head >> 3, head & 7
    if kind == LENGTH:
        length = view[index]
        index += 1
        if length >= 0x80:
            length, index = read_varint(view, index - 1)
        end = index + length
    elif kind == VARINT:
        end = read_varint(view, index)[1]
    elif kind == FIXED32:
        end = index + 4
    elif kind == FIXED64:
        end = index + 8
    else:
        raise WireError(f"wire type {kind} is not used by ONNX")
    if number == 0:
        raise WireError("a field has the number 0")
    return number, kind, index, end
