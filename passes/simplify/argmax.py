"""Monotone functions before ``ArgMax``, which do not change which element is largest."""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Match, Skip, op, rule

from .._forms import normalize


@rule(op.ArgMax(op("Softmax", "LogSoftmax")("x", bind="softmax", shared=True)), exact=False)
def skip_softmax_before_argmax(m: Match, build: Builder) -> ir.Value | Skip:
    """Take ``ArgMax`` of the logits: a softmax along the same axis keeps the largest in place.

    Not exact: rounding in the softmax may make a tie of values that differ in the last bits. ``ArgMin`` stays,
    since small probabilities underflow to the same zero; so do other monotone functions, which saturate.
    Declines where the axes differ. Before opset 13 a softmax goes over its axis and all after it, along
    which lines of small probabilities may underflow, so that those axes must be of size 1.

    Example: ArgMax<axis=1>(Softmax<axis=1>(x)) -> ArgMax<axis=1>(x)
    """
    rank = m.rank("x")
    taken = normalize(m.attr(m.root, "axis"), rank)
    first = normalize(m.attr("softmax", "axis"), rank)
    if taken != first:
        return Skip("the softmax goes over another axis")
    if m.opset() < 13 and any(dim != 1 for dim in m.shape("x")[taken + 1 :]):
        return Skip("the softmax goes over several axes, or may")
    return build.like(m.root, m.value("x"))
