"""Serialised messages with holes: bytes in order, where large tensors are named instead of copied.

Since the length of a tensor is known without reading it, the lengths of all enclosing messages are
too, and a file can be written front to back.
"""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from onnxopt.io import wire


@dataclass(frozen=True, slots=True)
class Payload:
    """The bytes of a tensor, to be written in this place.

    Attributes:
        tensor: The tensor.
        length: Number of bytes.
    """

    tensor: ir.TensorProtocol
    length: int


class Rope:
    """A message under construction.

    Attributes:
        parts: Bytes and payloads, in file order.
        length: Their total length in bytes.
    """

    __slots__ = ("length", "parts")

    def __init__(self) -> None:
        self.parts: list[bytes | Payload] = []
        self.length = 0

    def add(self, data: bytes) -> None:
        """Append bytes: whole fields."""
        if data:
            self.parts.append(data)
            self.length += len(data)

    def payload(self, number: int, tensor: ir.TensorProtocol, length: int) -> None:
        """Append a length-delimited field that holds a tensor's bytes."""
        self.add(wire.length_prefix(number, length))
        self.parts.append(Payload(tensor, length))
        self.length += length

    def message(self, number: int, child: Rope) -> None:
        """Append a field that holds another message."""
        self.add(wire.length_prefix(number, child.length))
        self.parts.extend(child.parts)
        self.length += child.length
