"""The logarithm of a softmax in one operator."""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Match, op, rule


@rule(op.Log(op.Softmax("x", bind="softmax")), exact=False)
def fuse_log_softmax(m: Match, build: Builder) -> ir.Value:
    """Fuse ``Log(Softmax(x))`` into ``LogSoftmax``.

    Both operators mean the same by their axis at every opset. More precise: small
    probabilities do not underflow to zero before the logarithm.

    Example: Log(Softmax<axis=-1>(x)) -> LogSoftmax<axis=-1>(x)
    """
    axis = m.attr("softmax", "axis")
    return build.op("LogSoftmax", m.value("x"), axis=axis)
