"""One reading for operators whose parameters moved between attributes and inputs across opsets.

Readers decline (through `Match`) where a parameter is not known; builders write the form that the
opset in force at the match has.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from onnxopt.analysis.dims import Dim
from onnxopt.rewrite import Builder, Declined, Match

INT_MAX = 2**63 - 1
"""An end of ``Slice`` that stands for "up to the end"."""


def input_of(node: ir.Node, index: int) -> ir.Value | None:
    """Returns an input, None where it is left out."""
    return node.inputs[index] if index < len(node.inputs) else None


def normalize(axis: int, rank: int) -> int:
    """Counts an axis from the front.

    Raises:
        Declined: It lies outside of the rank.
    """
    if not -rank <= axis < rank:
        raise Declined(f"axis {axis} lies outside of rank {rank}")
    return axis + rank if axis < 0 else axis


def normalize_all(axes: Iterable[int], rank: int) -> list[int]:
    """Counts axes from the front; the order is kept."""
    return [normalize(axis, rank) for axis in axes]


def raw_axes(m: Match, node: ir.Node) -> list[int] | None:
    """Returns the axes of ``Squeeze``, ``Unsqueeze`` or a reduction as written, None where absent.

    They are an attribute up to opset 12 (17 for reductions but ``ReduceSum``), an input afterwards.
    """
    if "axes" in node.attributes:
        return [int(axis) for axis in m.attr(node, "axes")]
    given = input_of(node, 1)
    return None if given is None else m.ints(given)


def nonnegative_axes(m: Match, node: ir.Node) -> list[int]:
    """Returns the axes of ``Squeeze`` or ``Unsqueeze``, sorted and counted from the front.

    Axes written from the front need no rank; those of ``Squeeze`` that are left out need a static shape.
    """
    axes = raw_axes(m, node)
    if not axes and node.op_type == "Squeeze" and axes is not None:
        raise Declined("runtimes differ in what no axes mean")
    if axes is None:
        shape = m.static_shape(_data(node))
        return [i for i, dim in enumerate(shape) if dim == 1]
    if any(axis < 0 for axis in axes):
        rank = m.rank(_data(node)) + (len(axes) if node.op_type == "Unsqueeze" else 0)
        axes = normalize_all(axes, rank)
    return sorted(axes)


def _data(node: ir.Node) -> ir.Value:
    value = node.inputs[0]
    if value is None:
        raise Declined("the first input is absent")
    return value


def perm_of(m: Match, node: ir.Node) -> list[int]:
    """Returns the permutation of a ``Transpose``; the reversed axes where it is left out."""
    perm = m.attr(node, "perm")
    if perm is not None:
        return [int(axis) for axis in perm]
    return list(range(m.rank(_data(node))))[::-1]


@dataclass(frozen=True)
class SliceRange:
    """What a ``Slice`` takes along one axis, as written."""

    axis: int
    start: int
    end: int
    step: int


def slice_ranges(m: Match, node: ir.Node) -> list[SliceRange]:
    """Returns the ranges of a ``Slice``, with the axis as written: attributes up to opset 9, inputs after."""
    if m.opset(node) < 10:
        starts, ends = m.attr(node, "starts"), m.attr(node, "ends")
        axes = m.attr(node, "axes")
        steps = None
    else:
        given = [input_of(node, i) for i in range(1, 5)]
        if given[0] is None or given[1] is None:
            raise Declined("the bounds of the slice are absent")
        starts, ends = m.ints(given[0]), m.ints(given[1])
        axes = None if given[2] is None else m.ints(given[2])
        steps = None if given[3] is None else m.ints(given[3])
    axes = list(range(len(starts))) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    rows = zip(axes, starts, ends, steps, strict=True)
    return [SliceRange(int(a), int(s), int(e), int(t)) for a, s, e, t in rows]


def build_slice(m: Match, build: Builder, x: ir.Value, ranges: Sequence[SliceRange]) -> ir.Value:
    """Builds a ``Slice`` in the form of the opset in force."""
    starts, ends = [r.start for r in ranges], [r.end for r in ranges]
    axes, steps = [r.axis for r in ranges], [r.step for r in ranges]
    if m.opset() < 10:
        if any(step != 1 for step in steps):
            raise Declined("slices have no steps at this opset")
        return build.op("Slice", x, starts=starts, ends=ends, axes=axes)
    inputs = [build.ints("starts", starts), build.ints("ends", ends), build.ints("axes", axes)]
    if any(step != 1 for step in steps):
        inputs.append(build.ints("steps", steps))
    return build.op("Slice", x, *inputs)


def build_squeeze(m: Match, build: Builder, x: ir.Value, axes: Sequence[int]) -> ir.Value:
    """Builds a ``Squeeze`` in the form of the opset in force."""
    return _with_axes(m, build, "Squeeze", x, axes)


def build_unsqueeze(m: Match, build: Builder, x: ir.Value, axes: Sequence[int]) -> ir.Value:
    """Builds an ``Unsqueeze`` in the form of the opset in force."""
    return _with_axes(m, build, "Unsqueeze", x, axes)


def _with_axes(
    m: Match, build: Builder, op_type: str, x: ir.Value, axes: Sequence[int]
) -> ir.Value:
    if m.opset() < 13:
        return build.op(op_type, x, axes=list(axes))
    return build.op(op_type, x, build.ints("axes", list(axes)))


def build_transpose(build: Builder, x: ir.Value, perm: Sequence[int]) -> ir.Value:
    """Builds a ``Transpose``, or gives ``x`` back where nothing moves."""
    if list(perm) == list(range(len(perm))):
        return x
    return build.op("Transpose", x, perm=list(perm))


def reshape_target(source: Sequence[Dim], target: Sequence[Dim]) -> list[int] | None:
    """Spells the shape ``target`` as the constant of a ``Reshape`` (without ``allowzero``) of ``source``.

    Known dims stand as they are, one other dim may be ``-1``, and dims equal to the one at the same
    place of the source may be ``0``. None where that does not suffice, or where a dim is zero.
    """
    if any(isinstance(dim, int) and dim == 0 for dim in [*source, *target]):
        return None
    open_dims = [i for i, dim in enumerate(target) if not isinstance(dim, int)]
    spelt = [dim if isinstance(dim, int) else 0 for dim in target]
    # A lone -1 works even where that dim is zero at run time; next to a zero dim it does not.
    if len(open_dims) == 1:
        spelt[open_dims[0]] = -1
        return spelt
    rest = [i for i in open_dims if not (i < len(source) and source[i] == target[i])]
    if len(rest) > 1:
        return None
    for i in rest:
        spelt[i] = -1
    return spelt


def same_shape(m: Match, a: ir.Value, b: ir.Value) -> bool:
    """Tells whether two values are proven to have the same shape."""
    first, second = m.facts.shape(a), m.facts.shape(b)
    if first is None or second is None or len(first) != len(second):
        return False
    return all(p == q for p, q in zip(first, second, strict=True))


def broadcasts_into(m: Match, c: ir.Value, x: ir.Value) -> bool:
    """Tells whether an elementwise operation of ``x`` with ``c`` surely has the shape of ``x``."""
    inner = m.facts.shape(c)
    if inner is None:
        return False
    if inner == ():
        return True
    outer = m.facts.shape(x)
    if outer is None or len(inner) > len(outer):
        return False
    aligned = zip(inner, outer[len(outer) - len(inner) :], strict=True)
    return all(p == 1 or p == q for p, q in aligned)
