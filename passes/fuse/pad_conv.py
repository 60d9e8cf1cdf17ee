"""Takes the zeros of a ``Pad`` into the padding of the ``Conv`` after it."""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Match, Skip, Var, op, rule

from ._pads import own_pads, spatial_padding

_PAD = op.Pad("x", ..., bind="pad", shared=True)


@rule(op.Conv(_PAD, Var("w"), Var("b", optional=True), bind="conv"))
def fuse_pad_conv(m: Match, build: Builder) -> ir.Value | Skip:
    """Take the zeros of a ``Pad`` into the padding of the ``Conv`` after it.

    Declines for other modes and values, for cropping, for padding of the batch or the channels, and
    where the convolution chooses its padding itself.

    Example: Conv(Pad(x, [0,0,1,1,0,0,1,1]), w) -> Conv<pads=[1,1,1,1]>(x, w)
    """
    node = m.node("conv")
    rank = m.rank("w")
    padding = spatial_padding(m, m.node("pad"), rank)
    if padding.value != 0.0:
        return Skip("the padding is not zero")
    pads = padding.joined(own_pads(m, node, rank - 2))
    inputs = [m.value("x"), m.value("w"), m.maybe("b")]
    return build.like(node, *inputs, auto_pad=None, pads=pads)
