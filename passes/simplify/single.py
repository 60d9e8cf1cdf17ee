"""Operators over several values that have but one, or windows of a single element."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from onnxopt.rewrite import Builder, Match, Skip, op, rule

from .._forms import normalize


@rule(op("Sum", "Max", "Min", "Mean", "Concat")("x"), exact=True)
def remove_single_operand(m: Match, build: Builder) -> ir.Value:
    """Remove a sum, extremum, mean or concatenation of one value.

    Example: Concat<axis=1>(x) -> x
    """
    return m.value("x")


@rule(op.Split("x", ...), exact=True)
def remove_split(m: Match, build: Builder) -> ir.Value | Skip:
    """Remove a split into one part.

    Example: Split<axis=0, num_outputs=1>(x) -> x
    """
    if len(m.root.outputs) != 1:
        return Skip("it splits")
    return m.value("x")


@rule(op.Concat(...), exact=True)
def remove_empty_operands(m: Match, build: Builder) -> ir.Value | Skip:
    """Leave out what adds nothing to a concatenation: values of size zero along its axis.

    Example: Concat<axis=0>(float[0,3] e, float[N,3] x, float[M,3] y) -> Concat<axis=0>(x, y)
    """
    kept: list[ir.Value] = []
    for value in m.root.inputs:
        shape = m.facts.shape(value)
        if value is None or shape is None:
            return Skip("the rank of an operand is unknown")
        if shape[normalize(m.attr(m.root, "axis"), len(shape))] != 0:
            kept.append(value)
    if not kept or len(kept) == len(m.root.inputs):
        return Skip("no operand is surely empty, or all are")
    return kept[0] if len(kept) == 1 else build.like(m.root, *kept)


@rule(op("MaxPool", "AveragePool")("x"), exact=False)
def remove_unit_pooling(m: Match, build: Builder) -> Sequence[ir.Value | None] | Skip:
    """Remove pooling over windows of one element with stride 1 and no padding.

    Not called exact, because kernels differ in what they make of NaN and -0.0. Declines where the
    indices of ``MaxPool`` are in use.

    Example: MaxPool<kernel_shape=[1,1]>(x) -> x
    """
    if any(k != 1 for k in m.attr(m.root, "kernel_shape")):
        return Skip("its windows hold several elements")
    if any(s != 1 for s in m.attr(m.root, "strides") or [1]):
        return Skip("its stride drops elements")
    if any(p != 0 for p in m.attr(m.root, "pads") or [0]):
        return Skip("it pads")
    return [m.value("x"), None][: len(m.root.outputs)]


@rule(op("GlobalMaxPool", "GlobalAveragePool")("x"), exact=False)
def remove_global_pooling(m: Match, build: Builder) -> ir.Value | Skip:
    """Remove pooling over all of a space of one element.

    Example: GlobalAveragePool(float[N,8,1,1] x) -> x
    """
    if any(dim != 1 for dim in m.shape("x")[2:]):
        return Skip("the space has several elements, or may")
    return m.value("x")
