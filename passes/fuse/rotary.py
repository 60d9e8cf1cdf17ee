"""``RotaryEmbedding`` out of its formula, ``x * cos + rotate(x) * sin``.

Source: https://onnx.ai/onnx/operators/onnx__RotaryEmbedding.html.
"""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Match, Skip, rule

from ._rotary import ROTATION, rebuilt, rotation


@rule(ROTATION)
def fuse_rotary_embedding(m: Match, build: Builder) -> ir.Value | Skip:
    """Fuse the rotation of halves by cosine and sine into ``RotaryEmbedding``.

    Declines before opset 23, unless the data are ``[batch, heads, sequence, width]`` cut in the middle of
    a known width, and unless cosine and sine come from doubled angles ``[batch, sequence, width / 2]``.

    Example: Add(Mul(x, cos), Mul(Concat(Neg(x[h:]), x[:h]), sin)) -> RotaryEmbedding(x, cos[:h], sin[:h])
    """
    if m.opset() < 23:
        return Skip("RotaryEmbedding needs opset 23")
    cosine, sine = (rebuilt(build, wave) for wave in rotation(m))
    return build.op("RotaryEmbedding", m.value("x"), cosine, sine)
