"""Chains of operators that only change the shape: one of them is enough.

``Reshape``, ``Flatten``, ``Squeeze``, ``Unsqueeze``, and those ``Transpose`` that move nothing but axes of size 1, keep
the elements in their order. So does any chain of them, which the last shape alone describes.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from onnxopt.analysis.dims import Dim, DimExpr, exact_divide, is_nonnegative
from onnxopt.rewrite import Builder, Declined, Match, Skip, op, rule
from onnxopt.rewrite.uses import has_one_use

from .._forms import (
    build_squeeze,
    build_unsqueeze,
    input_of,
    nonnegative_axes,
    perm_of,
    reshape_target,
    same_shape,
)
from .._kinds import UNARY_ELEMENTWISE

_MOVERS = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose")


@rule(op(*_MOVERS)(op(*_MOVERS)("x", ..., bind="inner", shared=True), ...), exact=True)
def merge_reshapes(m: Match, build: Builder) -> ir.Value | Skip:
    """Merge two operators that only change the shape into one, or none.

    Declines for a ``Transpose`` that moves more than axes of size 1, where the last shape is not expressible by known dims, one ``-1`` and
    copies (``0``) of the first shape's dims, and where the first operator stays for others and the second would
    have to become a ``Reshape``.

    Example: Reshape(Unsqueeze(x, [1]), [2,-1]) -> Reshape(x, [2,-1])
    """
    inner, x = m.node("inner"), m.value("x")
    if inner.op_type == m.root.op_type == "Transpose":
        return Skip("transposes have a rule of their own")
    if not (keeps_order(m, inner) and keeps_order(m, m.root)):
        return Skip("a transpose moves elements")
    return moved(m, build, m.root, inner, x)


@rule(
    op(*_MOVERS)(op(*UNARY_ELEMENTWISE)(op(*_MOVERS)("x", ..., bind="inner"), bind="middle"), ...),
    exact=True,
)
def merge_reshapes_around_unary(m: Match, build: Builder) -> ir.Value | Skip:
    """Merge the changes of shape before and after an elementwise operator of one input.

    Declines where the two would not merge if they followed one another.

    Example: Reshape(Relu(Reshape(float[2,3] x, [6])), [2,3]) -> Relu(x)
    """
    inner, x = m.node("inner"), m.value("x")
    if inner.op_type == m.root.op_type == "Transpose":
        return Skip("transposes have a rule of their own")
    if not (keeps_order(m, inner) and keeps_order(m, m.root)):
        return Skip("a transpose moves elements")
    shaped = moved(m, build, m.root, inner, x)
    return shaped if isinstance(shaped, Skip) else build.like(m.node("middle"), shaped)


def keeps_order(m: Match, node: ir.Node) -> bool:
    """Tells whether a node that may be a ``Transpose`` keeps the elements in their order."""
    if node.op_type != "Transpose":
        return True
    data = node.inputs[0]
    shape = None if data is None else m.facts.shape(data)
    if shape is None:
        return False
    kept = [axis for axis in perm_of(m, node) if shape[axis] != 1]
    return kept == sorted(kept)


def moved(m: Match, build: Builder, outer: ir.Node, inner: ir.Node, x: ir.Value) -> ir.Value | Skip:
    """Builds ``x`` in the shape that ``outer`` gives it after ``inner``."""
    if same_shape(m, x, outer.outputs[0]) or _undoes(m, outer, inner):
        return x
    if outer.op_type == "Reshape" and _stands_alone(m, outer, inner, x):
        return build.like(outer, x, outer.inputs[1])
    if outer.op_type == inner.op_type == "Squeeze":
        return build_squeeze(m, build, x, _joined_squeeze(m, outer, inner))
    if outer.op_type == inner.op_type == "Unsqueeze":
        return build_unsqueeze(m, build, x, _joined_unsqueeze(m, outer, inner))
    if outer.op_type != "Reshape" and not has_one_use(inner.outputs[0]):
        return Skip("the first operator stays for others")
    target = reshape_target(m.shape(x), m.shape(outer.outputs[0]))
    if target is None:
        return Skip("the last shape is not expressible")
    return build.op("Reshape", x, build.ints("shape", target))


def _stands_alone(m: Match, reshape: ir.Node, before: ir.Node, x: ir.Value) -> bool:
    """Whether the target of a ``Reshape`` of ``before`` means the same for ``x``, with as many elements."""
    if m.attr(reshape, "allowzero", 0):
        return True
    given = input_of(reshape, 1)
    target = None if given is None else m.facts.content(given)
    if not isinstance(target, tuple):
        return False
    if any(dim == 0 if isinstance(dim, int) else not is_nonnegative(dim) for dim in target):
        # A zero, and an element nothing is known of might be one, copies a dim of the input.
        return False
    # So does a size that is zero at run time, which works where what it copies is zero as well.
    copied, ours = m.facts.shape(before.outputs[0]), m.facts.shape(x)
    return all(
        _vanishes(ours, axis, dim) or (copied is not None and not _vanishes(copied, axis, dim))
        for axis, dim in enumerate(target)
        if isinstance(dim, DimExpr)
    )


def _vanishes(shape: Sequence[Dim] | None, axis: int, dim: DimExpr) -> bool:
    """Whether a dim of a shape is surely zero where ``dim`` is."""
    if shape is None or axis >= len(shape):
        return False
    return shape[axis] == 0 or exact_divide(shape[axis], dim) is not None


def _undoes(m: Match, outer: ir.Node, inner: ir.Node) -> bool:
    """Whether one of the two removes exactly the axes that the other adds."""
    if {outer.op_type, inner.op_type} != {"Squeeze", "Unsqueeze"}:
        return False
    try:
        return nonnegative_axes(m, outer) == nonnegative_axes(m, inner)
    except Declined:
        return False


def _joined_squeeze(m: Match, outer: ir.Node, inner: ir.Node) -> list[int]:
    """The axes that two ``Squeeze`` remove together, in terms of the first one's input."""
    first, second = nonnegative_axes(m, inner), nonnegative_axes(m, outer)
    left = _others(first, 1 + max(second, default=0))
    return sorted([*first, *(left[axis] for axis in second)])


def _joined_unsqueeze(m: Match, outer: ir.Node, inner: ir.Node) -> list[int]:
    """The axes that two ``Unsqueeze`` add together, in terms of the last one's output."""
    first, second = nonnegative_axes(m, inner), nonnegative_axes(m, outer)
    left = _others(second, 1 + max(first, default=0))
    return sorted([*second, *(left[axis] for axis in first)])


def _others(taken: Sequence[int], count: int) -> list[int]:
    """The first ``count`` axes that are not in ``taken``."""
    gone = set(taken)
    return [axis for axis in range(count + len(gone)) if axis not in gone][:count]
