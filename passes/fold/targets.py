"""Computed shapes handed to ``Reshape``, ``Expand`` and ``Slice``, made constant under dynamic dims."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from onnxopt.analysis.dims import Dim, is_nonnegative
from onnxopt.rewrite import Builder, Const, Match, Skip, op, rule

_END = 2**63 - 1


@rule(op.Reshape("x", "shape"), exact=True)
def settle_reshape_target(m: Match, build: Builder) -> ir.Value | Skip:
    """Reshape to constant dims: numbers, 0 for a dim taken over, -1 for the one that is left.

    A dim equal to the input's at the same place becomes 0, which copies it whatever it is. One more
    dim may be unknown: since a reshape keeps the number of elements, -1 gives it. The only
    inputs for which that fails are empty ones, where another dim is zero: like the exporters, this
    takes dynamic dims to be at least one. Declines where two dims stay unknown, and where the target
    has zeros of its own under ``allowzero``.

    Example: Reshape(x, [dim(x, 0), dim(x, 1), 4, 4]) -> Reshape(x, [0, 0, 4, 4])
    """
    if m.facts.const_tensor(m.value("shape")) is not None:
        return Skip("the target is constant already")
    wanted = m.facts.elements(m.value("shape"))
    if not isinstance(wanted, tuple):
        return Skip("the number of dims is unknown")
    if m.attr(m.root, "allowzero", 0) and not all(_is_positive(d) for d in wanted):
        return Skip("allowzero gives zeros a meaning of their own")
    target = _target(wanted, m.facts.shape(m.value("x")))
    if target is None:
        return Skip("more than one dim of the target is dynamic")
    shape = build.ints("shape", target)
    if m.opset() >= 14:
        return build.like(m.root, m.value("x"), shape, allowzero=None)
    return build.like(m.root, m.value("x"), shape)


def _is_positive(dim: Dim) -> bool:
    return isinstance(dim, int) and dim > 0


def _target(wanted: Sequence[Dim], given: Sequence[Dim] | None) -> list[int] | None:
    """Returns constant dims that mean the same as ``wanted``, or None."""
    target: list[int] = []
    for index, dim in enumerate(wanted):
        if isinstance(dim, int):
            target.append(dim)
        elif given is not None and index < len(given) and given[index] == dim:
            target.append(0)
        else:
            target.append(-1)
    return target if target.count(-1) <= 1 else None


@rule(op.Expand("x", "shape"), exact=True)
def settle_expand_target(m: Match, build: Builder) -> ir.Value | Skip:
    """Expand to constant dims, where each dynamic one is the input's own.

    Broadcasting to 1 keeps a dim, so a target equal to the input's dim may as well be 1.

    Example: Expand(x, [dim(x, 0), 8, dim(x, 2)]) -> Expand(x, [1, 8, 1])
    """
    if m.facts.const_tensor(m.value("shape")) is not None:
        return Skip("the target is constant already")
    wanted = m.facts.content(m.value("shape"))
    if not isinstance(wanted, tuple):
        return Skip("the target is unknown")
    given = m.shape("x")
    target: list[int] = []
    for place, dim in enumerate(wanted, start=len(given) - len(wanted)):
        if isinstance(dim, int):
            target.append(dim)
        elif place >= 0 and given[place] == dim:
            target.append(1)
        else:
            return Skip("a dynamic dim is not the input's own")
    return build.like(m.root, m.value("x"), build.ints("shape", target))


@rule(op.Slice("x", Const("starts"), "ends", ...), exact=True)
def settle_slice_end(m: Match, build: Builder) -> ir.Value | Skip:
    """Slice to the end, where the computed end is the dim itself.

    The specification clamps ends to the dim, and names the largest integer for an unknown one.
    Declines where an end may lie before the dim's, and for steps that run backwards.

    Example: Slice(x, [0], [dim(x, 1)], [1]) -> Slice(x, [0], [largest], [1])
    """
    if m.facts.const_tensor(m.value("ends")) is not None:
        return Skip("the ends are constant already")
    ends = m.facts.content(m.value("ends"))
    if not isinstance(ends, tuple):
        return Skip("the ends are unknown")
    shape = m.shape("x")
    rest = list(m.root.inputs[3:])
    axes = m.ints(rest[0]) if rest and rest[0] is not None else list(range(len(ends)))
    steps = m.ints(rest[1]) if len(rest) > 1 and rest[1] is not None else [1] * len(ends)
    settled: list[int] = []
    for end, axis, step in zip(ends, axes, steps, strict=True):
        if isinstance(end, int):
            settled.append(end)
        elif step > 0 and is_nonnegative(end - shape[axis]):
            settled.append(_END)
        else:
            return Skip("a dynamic end may lie inside")
    dtype = m.dtype("ends")
    limit = 2**31 - 1 if dtype == ir.DataType.INT32 else _END
    ints = build.const("ends", [min(end, limit) for end in settled], dtype)
    return build.like(m.root, m.value("x"), m.value("starts"), ints, *rest)
