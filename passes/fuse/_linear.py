"""Sums of products of a few data with constant matrices, read off the nodes that compute them.

The gates of recurrent cells are such sums, in many spellings: one product for all gates, cut afterwards; one for each;
biases within ``Gemm`` or added; the data joined first, so that one matrix holds both weights side by side.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from onnxopt.analysis.facts import Facts
from onnxopt.rewrite.matcher import Matcher
from onnxopt.rewrite.pattern import op

from ._channels import Array

_MOST_NODES = 32
_GEMM = op.Gemm("x", ..., alpha=1.0, beta=1.0, transA=0)


@dataclass(frozen=True)
class Span:
    """Places ``first`` to ``last - 1`` of an axis."""

    first: int
    last: int

    @property
    def size(self) -> int:
        """How many places."""
        return self.last - self.first


@dataclass(frozen=True)
class Block:
    """Part of a constant matrix.

    Attributes:
        tensor: The matrix, ``[outputs, inputs]``, or ``[inputs, outputs]`` where it is ``flipped``.
        flipped: Which of both.
        outputs: The part of the outputs.
        inputs: The part of the inputs.
    """

    tensor: ir.TensorProtocol
    flipped: bool
    outputs: Span
    inputs: Span

    def read(self) -> Array:
        """Reads it, ``[outputs, inputs]``."""
        whole = self.tensor.numpy()
        rows = whole.T if self.flipped else whole
        out, into = self.outputs, self.inputs
        return rows[out.first : out.last, into.first : into.last]


@dataclass(frozen=True)
class Shift:
    """Part of a constant vector that is added.

    Attributes:
        tensor: The vector, with axes of size 1 before it or not.
        part: The part.
    """

    tensor: ir.TensorProtocol
    part: Span

    def read(self) -> Array:
        """Reads it in double precision."""
        row = self.tensor.numpy().reshape(-1)[self.part.first : self.part.last]
        return row.astype(np.float64)


@dataclass
class Linear:
    """A sum of products with constant matrices, of constants, and of what is neither.

    Attributes:
        products: The data and the matrices.
        shifts: The constants.
        others: Values that are neither, with the part of each that is added.
        nodes: The nodes read.
    """

    products: list[tuple[ir.Value, Block]] = field(default_factory=list)
    shifts: list[Shift] = field(default_factory=list)
    others: list[tuple[ir.Value, Span]] = field(default_factory=list)
    nodes: list[ir.Node] = field(default_factory=list)

    def of(self, source: ir.Value) -> Block | None:
        """Returns the matrix that ``source`` is multiplied by, None where there is none, or several."""
        found = [block for value, block in self.products if value is source]
        return found[0] if len(found) == 1 else None


def last_span(facts: Facts, value: ir.Value) -> Span | None:
    """Returns the whole last axis of a matrix, None where its size is not known, or the rank is not 2."""
    shape = facts.shape(value)
    if shape is None or len(shape) != 2 or not isinstance(shape[1], int):
        return None
    return Span(0, shape[1])


def through_split(
    facts: Facts, value: ir.Value, part: Span
) -> tuple[ir.Node, ir.Value, Span] | None:
    """Follows a piece of a matrix cut along its last axis back to the matrix.

    Returns:
        The ``Split``, the matrix and the part of it; None where ``value`` is no such piece.
    """
    node = value.producer()
    if node is None or node.op_type != "Split" or node.domain != "" or node.inputs[0] is None:
        return None
    axis = node.attributes.get_int("axis", 0)
    pieces = [last_span(facts, v) for v in node.outputs]
    if axis not in (1, -1) or None in pieces:
        return None
    before = sum(piece.size for piece in pieces[: value.index() or 0] if piece is not None)
    return node, node.inputs[0], Span(before + part.first, before + part.last)


def read_linear(facts: Facts, value: ir.Value, part: Span) -> Linear:
    """Reads ``value[:, part]``, a matrix of which each row is computed alike.

    What is no product with a constant, and whatever comes after a few dozen nodes, is among the ``others``.
    """
    found = Linear()
    _read(facts, value, part, found)
    return found


def _read(facts: Facts, value: ir.Value, part: Span, found: Linear) -> None:
    cut = through_split(facts, value, part)
    if cut is not None:
        split, value, part = cut
        found.nodes.append(split)
    node = value.producer()
    if node is None or node.domain != "" or len(found.nodes) >= _MOST_NODES:
        found.others.append((value, part))
    elif node.op_type == "Add":
        _read_sum(facts, node, part, found)
    elif node.op_type in ("Gemm", "MatMul"):
        _read_product(facts, node, part, found)
    else:
        found.others.append((value, part))


def _read_sum(facts: Facts, node: ir.Node, part: Span, found: Linear) -> None:
    shape = facts.shape(node.outputs[0])
    terms = [v for v in node.inputs if v is not None]
    shifts = [_shift(facts, v, shape[-1] if shape else None, part) for v in terms]
    constant = [facts.const_tensor(v) is not None for v in terms]
    if any(
        (is_constant and shift is None) or (not is_constant and facts.shape(v) != shape)
        for v, shift, is_constant in zip(terms, shifts, constant, strict=True)
    ):
        found.others.append((node.outputs[0], part))
        return
    found.nodes.append(node)
    for term, shift in zip(terms, shifts, strict=True):
        if shift is not None:
            found.shifts.append(shift)
        else:
            _read(facts, term, part, found)


def _shift(facts: Facts, value: ir.Value, width: object, part: Span) -> Shift | None:
    """Reads a constant row as wide as what it is added to."""
    tensor, shape = facts.const_tensor(value), facts.static_shape(value)
    if tensor is None or not shape or shape[-1] != width or any(d != 1 for d in shape[:-1]):
        return None
    return Shift(tensor, part) if len(shape) <= 2 else None


def _read_product(facts: Facts, node: ir.Node, part: Span, found: Linear) -> None:
    result, source, matrix = node.outputs[0], node.inputs[0], node.inputs[1]
    whole = last_span(facts, result)
    tensor = facts.const_tensor(matrix)
    shape = facts.static_shape(matrix)
    given = node.inputs[2] if len(node.inputs) > 2 else None
    shift = None if whole is None or given is None else _shift(facts, given, whole.size, part)
    plain = node.op_type == "MatMul" or any(True for _ in Matcher(facts).match(_GEMM, node))
    turned = 0 if node.op_type == "MatMul" else node.attributes.get_int("transB", 0)
    if (
        tensor is None
        or shape is None
        or len(shape) != 2
        or source is None
        or whole is None
        or not plain
        or turned is None
        or (given is not None and shift is None)
    ):
        found.others.append((result, part))
        return
    found.nodes.append(node)
    if shift is not None:
        found.shifts.append(shift)
    flipped = not turned
    width = shape[0] if flipped else shape[1]
    for data, columns in _sources(facts, source, Span(0, width), found):
        found.products.append((data, Block(tensor, flipped, part, columns)))


def _sources(
    facts: Facts, source: ir.Value, columns: Span, found: Linear
) -> Iterator[tuple[ir.Value, Span]]:
    """Yields the data that were joined along the last axis, with the columns that each meets."""
    node = source.producer()
    joined = node is not None and node.op_type == "Concat" and node.domain == ""
    if node is None or not joined or node.attributes.get_int("axis") not in (1, -1):
        yield source, columns
        return
    pieces = [(v, last_span(facts, v)) for v in node.inputs if v is not None]
    if any(span is None for _, span in pieces):
        yield source, columns
        return
    found.nodes.append(node)
    place = columns.first
    for value, span in pieces:
        assert span is not None
        yield value, Span(place, place + span.size)
        place += span.size
