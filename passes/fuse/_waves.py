"""Cosines and sines whose columns come in equal pairs, taken back to one of each pair.

Repeated columns come from angles, cosines or sines that were doubled side by side, or from constant tables. What is left of
them is known by its rows alone, in order; axes of size 1 are not told apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from onnxopt.analysis.dims import Dim
from onnxopt.rewrite import Builder, Declined, Match

from .._forms import normalize

_LONGEST_CHAIN = 12
_LARGEST_TABLE = 1 << 28
_FUNCTIONS = frozenset({"Cast", "Cos", "Sin"})
_RESHAPING = frozenset({"Flatten", "Reshape", "Squeeze", "Unsqueeze"})


@dataclass(frozen=True)
class Wave:
    """Rows of cosines or sines, half as wide as what they rotate.

    Attributes:
        source: What they are computed of: as wide as the wave, or a constant table of twice the width.
        steps: The nodes from there on, in order; they work on each column alike.
        table: Whether every second column of the source is left out.
    """

    source: ir.Value
    steps: tuple[ir.Node, ...] = ()
    table: bool = False

    def build(self, m: Match, build: Builder, half: int) -> ir.Value:
        """Computes it, ``[…, half]``; the axes before may differ from those of what it was read off."""
        value = self.source
        if self.table:
            tensor = m.tensor(value)
            shape = (*(int(d) for d in tensor.shape.numpy()[:-1]), half)
            value = build.lazy("rows", tensor.dtype, shape, lambda: tensor.numpy()[..., ::2])
        for step in self.steps:
            value = build.like(step, value, *step.inputs[1:])
        return value


def unpaired(m: Match, value: ir.Value) -> Wave:
    """Follows a cosine or sine back to one of each pair of columns.

    Raises:
        Declined: Its columns are not proven to come in equal pairs.
    """
    width = m.shape(value)[-1]
    steps: list[ir.Node] = []
    for _ in range(_LONGEST_CHAIN):
        if m.facts.const_tensor(value) is not None:
            return _table(m, value, steps)
        node = value.producer()
        if node is None or node.domain != "" or not node.inputs or node.inputs[0] is None:
            break
        single = _doubled(m, node, width)
        if single is not None:
            return Wave(single, tuple(reversed(steps)))
        if node.op_type in _FUNCTIONS or _is_scaling(m, node):
            steps.append(node)
        elif _takes_rows(m, node):
            steps.append(node)
            return _table(m, node.inputs[0], steps)
        elif node.op_type not in _RESHAPING or m.shape(node.inputs[0])[-1:] != (width,):
            break
        value = node.inputs[0]
    raise Declined("the columns of cosine or sine are not proven to come in equal pairs")


def settled_shape(m: Match, value: ir.Value) -> tuple[Dim, ...]:
    """Returns the shape of a cosine or sine, with as many rows as are asked for where the first of a table are cut out.

    A table may have fewer, but then they do not fit the data: nothing of two rows or more broadcasts to more.
    """
    shape, at = m.shape(value), value
    for _ in range(_LONGEST_CHAIN):
        node = at.producer()
        if node is None or node.domain != "" or not node.inputs or node.inputs[0] is None:
            return shape
        if node.op_type == "Slice":
            cut, wanted = m.shape(at)[0], _first_rows(m, node)
            return shape if wanted is None else tuple(wanted if d == cut else d for d in shape)
        if node.op_type not in (*_FUNCTIONS, *_RESHAPING, "Concat", "Expand", "Tile"):
            return shape
        at = node.inputs[0]
    return shape


def _first_rows(m: Match, node: ir.Node) -> Dim | None:
    """Returns how many of the first rows a ``Slice`` asks for, of a matrix that has two or more."""
    source = node.inputs[0]
    shape = m.facts.shape(source)
    bounds = [m.facts.content(v) for v in node.inputs[1:]]
    if shape is None or len(shape) != 2 or not isinstance(shape[0], int) or shape[0] < 2:
        return None
    if len(bounds) < 3 or bounds[0] != (0,) or bounds[2] != (0,) or bounds[3:] not in ([], [(1,)]):
        return None
    end = bounds[1]
    return end[0] if isinstance(end, tuple) and len(end) == 1 else None


def _table(m: Match, value: ir.Value, steps: list[ir.Node]) -> Wave:
    table = m.const(value, _LARGEST_TABLE)
    if not np.array_equal(table[..., ::2], table[..., 1::2]):
        raise Declined("the columns of cosine or sine do not come in equal pairs")
    return Wave(value, tuple(reversed(steps)), table=True)


def _is_scaling(m: Match, node: ir.Node) -> bool:
    if node.op_type not in ("Mul", "Div") or node.inputs[1] is None:
        return False
    tensor = m.facts.const_tensor(node.inputs[1])
    return tensor is not None and len(tensor.shape) == 0


def _takes_rows(m: Match, node: ir.Node) -> bool:
    """Whether a node looks up or cuts out rows of a constant matrix."""
    source = node.inputs[0]
    if m.facts.const_tensor(source) is None or source is None or m.rank(source) != 2:
        return False
    if node.op_type == "Gather":
        return normalize(int(m.attr(node, "axis", 0)), 2) == 0
    if node.op_type != "Slice":
        return False
    axes = node.inputs[3] if len(node.inputs) > 3 else None
    return axes is not None and [normalize(axis, 2) for axis in m.ints(axes)] == [0]


def _doubled(m: Match, node: ir.Node, width: object) -> ir.Value | None:
    """Returns what a node lays out twice, column by column, ``[…, width / 2, 1]``."""
    pairs = node.inputs[0]
    shape = m.facts.shape(pairs)
    if node.op_type not in ("Flatten", "Reshape") or pairs is None or shape is None:
        return None
    half = shape[-2] if len(shape) > 1 else None
    if shape[-1] != 2 or not isinstance(half, int) or 2 * half != width:
        return None
    doubling = pairs.producer()
    if doubling is None or doubling.domain != "":
        return None
    single, single_shape = doubling.inputs[0], m.facts.shape(doubling.inputs[0])
    if single is None or single_shape != (*shape[:-1], 1):
        return None
    if doubling.op_type == "Concat":
        return single if list(doubling.inputs) == [single, single] else None
    return single if doubling.op_type in ("Expand", "Tile") else None
