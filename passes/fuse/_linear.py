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
from onnxopt.rewrite import Declined, Match, op
from onnxopt.rewrite.matcher import Bindings, Matcher

from .._forms import slice_ranges
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


def last_span(facts: Facts, value: ir.Value | None) -> Span | None:
    """Returns the whole last axis of a matrix, None where its size is not known, or the rank is not 2."""
    shape = facts.shape(value)
    if shape is None or len(shape) != 2 or not isinstance(shape[1], int):
        return None
    return Span(0, shape[1])


def through_cut(facts: Facts, value: ir.Value, part: Span) -> tuple[ir.Node, ir.Value, Span] | None:
    """Follows a piece of a matrix cut along its last axis back to the matrix.

    Returns:
        The node that cuts, the matrix and the part of it; None where ``value`` is no such piece.
    """
    node = value.producer()
    if node is None or node.domain != "" or node.op_type not in ("Split", "Slice"):
        return None
    source = node.inputs[0]
    first = (
        _first_of_split(facts, value) if node.op_type == "Split" else _first_of_slice(facts, node)
    )
    if source is None or first is None:
        return None
    return node, source, Span(first + part.first, first + part.last)


def _first_of_split(facts: Facts, value: ir.Value) -> int | None:
    node = value.producer()
    assert node is not None
    pieces = [last_span(facts, v) for v in node.outputs]
    if node.attributes.get_int("axis", 0) not in (1, -1) or None in pieces:
        return None
    return sum(piece.size for piece in pieces[: value.index() or 0] if piece is not None)


def _first_of_slice(facts: Facts, node: ir.Node) -> int | None:
    whole = last_span(facts, node.inputs[0])
    try:
        ranges = slice_ranges(Match(node, Bindings(), facts), node)
    except Declined:
        return None
    if whole is None or len(ranges) != 1 or ranges[0].axis not in (1, -1) or ranges[0].step != 1:
        return None
    return range(whole.size)[ranges[0].start :].start


def read_linear(facts: Facts, value: ir.Value, part: Span) -> Linear:
    """Reads ``value[:, part]``, a matrix of which each row is computed alike.

    What is no product with a constant, and whatever comes after a few dozen nodes, is among the ``others``.
    """
    found = Linear()
    _read(facts, value, part, found)
    return found


def _read(facts: Facts, value: ir.Value, part: Span, found: Linear) -> None:
    cut = through_cut(facts, value, part)
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
    terms = [v for v in node.inputs if v is not None]
    if not all(_is_term(facts, v, node.outputs[0]) for v in terms):
        found.others.append((node.outputs[0], part))
        return
    found.nodes.append(node)
    for term in terms:
        _read_term(facts, term, part, found)


def _is_term(facts: Facts, value: ir.Value, total: ir.Value) -> bool:
    """Whether a value is a constant row as wide as the sum it is added to, or a matrix like the sum."""
    shape, of_total = facts.shape(value), facts.shape(total)
    if shape is None or of_total is None:
        return False
    if facts.const_tensor(value) is None:
        return shape == of_total
    return 1 <= len(shape) <= 2 and shape[-1] == of_total[-1] and all(d == 1 for d in shape[:-1])


def _read_term(facts: Facts, value: ir.Value, part: Span, found: Linear) -> None:
    tensor = facts.const_tensor(value)
    if tensor is None:
        _read(facts, value, part, found)
    else:
        found.shifts.append(Shift(tensor, part))


def _read_product(facts: Facts, node: ir.Node, part: Span, found: Linear) -> None:
    result, source, matrix = node.outputs[0], node.inputs[0], node.inputs[1]
    added = node.inputs[2] if len(node.inputs) > 2 else None
    whole, tensor, shape = (
        last_span(facts, result),
        facts.const_tensor(matrix),
        facts.static_shape(matrix),
    )
    turned = 0 if node.op_type == "MatMul" else node.attributes.get_int("transB", 0)
    plain = node.op_type == "MatMul" or any(True for _ in Matcher(facts).match(_GEMM, node))
    if (
        tensor is None
        or shape is None
        or len(shape) != 2
        or source is None
        or whole is None
        or not plain
        or turned is None
        or not (added is None or _is_term(facts, added, result))
    ):
        found.others.append((result, part))
        return
    found.nodes.append(node)
    if added is not None:
        _read_term(facts, added, part, found)
    for data, columns in _sources(facts, source, Span(0, shape[1 if turned else 0]), found):
        found.products.append((data, Block(tensor, not turned, part, columns)))


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
