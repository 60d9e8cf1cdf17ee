"""Projections: columns of the product of a value with a constant matrix, and biases added to them.

Queries, keys and values come out of products of their own, or out of one product that is split or sliced along its last
axis afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from onnxopt.rewrite import Declined, Match

from .._forms import SliceRange, input_of, normalize, slice_ranges
from ..fuse._channels import Array, dims

_BIAS_BYTES = 1 << 20


@dataclass(frozen=True)
class Projection:
    """``source @ matrix[:, start:stop] + bias``.

    Attributes:
        source: What is projected.
        weight: The matrix, a constant.
        matrix: Its tensor, ``[inner, columns]``.
        start: The first of its columns.
        stop: The one after the last of them.
        bias: float64, one number for each of those columns.
        nodes: What computes the projection, the product last.
    """

    source: ir.Value
    weight: ir.Value
    matrix: ir.TensorProtocol
    start: int
    stop: int
    bias: Array
    nodes: tuple[ir.Node, ...]

    @property
    def columns(self) -> int:
        """The number of columns."""
        return self.stop - self.start


@dataclass
class _Walk:
    """The way back from a projection to its product.

    Attributes:
        m: The match.
        value: How far it has come.
        start: The first column of the projection within ``value``.
        columns: How many columns it has.
        bias: float64, what was added on the way.
        nodes: The nodes passed.
    """

    m: Match
    value: ir.Value
    start: int
    columns: int
    bias: Array
    nodes: list[ir.Node]

    def step(self, node: ir.Node) -> None:
        """Goes back over one node."""
        if node.op_type == "Split":
            self._split(node)
        elif node.op_type == "Slice":
            self._slice(node)
        else:
            self._add(node)
        self.nodes.append(node)

    def _split(self, node: ir.Node) -> None:
        _require_last_axis(self.m, self.value, int(self.m.attr(node, "axis", 0)))
        before = node.outputs[: list(node.outputs).index(self.value)]
        self.start += sum(_width(self.m, output) for output in before)
        self.value = _input(node, 0)

    def _slice(self, node: ir.Node) -> None:
        found = slice_ranges(self.m, node)
        if len(found) != 1 or found[0].step != 1:
            raise Declined("a projection is sliced along several axes, or with steps")
        _require_last_axis(self.m, self.value, found[0].axis)
        source = _input(node, 0)
        self.start += _first(found[0], _width(self.m, source))
        self.value = source

    def _add(self, node: ir.Node) -> None:
        operands = [_input(node, 0), _input(node, 1)]
        constant = [self.m.facts.const_tensor(v) is not None for v in operands]
        if sum(constant) != 1:
            raise Declined("what is added to a projection is not a constant")
        bias = self.m.const(operands[constant.index(True)], _BIAS_BYTES)
        width = _width(self.m, self.value)
        if bias.shape not in ((width,), (1,), ()):
            raise Declined("what is added to a projection is no bias of its columns")
        spread = np.broadcast_to(bias.astype(np.float64), (width,))
        self.bias = self.bias + spread[self.start : self.start + self.columns]
        self.value = operands[constant.index(False)]


def projection(m: Match, value: ir.Value) -> Projection:
    """Reads a value as a projection.

    Args:
        m: The match.
        value: ``[batch, sequence, columns]``.

    Raises:
        Declined: It is none.
    """
    columns = _width(m, value)
    walk = _Walk(m, value, 0, columns, np.zeros(columns), [])
    node = value.producer()
    while node is not None and node.domain == "" and node.op_type in ("Split", "Slice", "Add"):
        walk.step(node)
        node = walk.value.producer()
    if node is None or node.domain != "" or node.op_type != "MatMul":
        raise Declined("queries, keys and values are not all products with a matrix")
    weight = _input(node, 1)
    matrix = m.facts.const_tensor(weight)
    if matrix is None or len(matrix.shape) != 2:
        raise Declined("what is multiplied by is not a constant matrix")
    return Projection(
        source=_input(node, 0),
        weight=weight,
        matrix=matrix,
        start=walk.start,
        stop=walk.start + columns,
        bias=walk.bias,
        nodes=(*walk.nodes, node),
    )


def is_whole(parts: list[Projection]) -> bool:
    """Tells whether projections are the columns of one matrix, all of them and in their order."""
    starts = [0, *(p.stop for p in parts)]
    in_order = all(p.start == start for p, start in zip(parts, starts, strict=False))
    alone = all(p.weight is parts[0].weight for p in parts)
    return alone and in_order and starts[-1] == dims(parts[0].matrix)[1]


def _require_last_axis(m: Match, value: ir.Value, axis: int) -> None:
    rank = m.rank(value)
    if normalize(axis, rank) != rank - 1:
        raise Declined("a projection is cut along another axis than its last")


def _width(m: Match, value: ir.Value) -> int:
    shape = m.shape(value)
    width = shape[-1] if shape else None
    if not isinstance(width, int):
        raise Declined("the width of a projection is not known")
    return width


def _first(found: SliceRange, width: int) -> int:
    start = found.start + width if found.start < 0 else found.start
    return min(max(start, 0), width)


def _input(node: ir.Node, index: int) -> ir.Value:
    value = input_of(node, index)
    if value is None:
        raise Declined(f"an input of {node.op_type} is absent")
    return value
