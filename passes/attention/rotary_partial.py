"""onnxruntime's ``RotaryEmbedding`` of the first columns, joined with the others, becomes one of all.

Source: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.RotaryEmbedding.
"""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Match, ms, rule

from ..fuse.rotary_partial import partial_rotations, widened


@rule(*partial_rotations(ms))
def lower_partial_rotary_embedding(m: Match, build: Builder) -> ir.Value:
    """Fuse the joining of rotated columns with those left alone into onnxruntime's ``RotaryEmbedding``.

    Declines where ``fuse-partial-rotary-embedding`` would.

    Example: Concat(RotaryEmbedding(x[:r], rows, cos, sin), x[r:]) ->
        RotaryEmbedding<rotary_embedding_dim=r>(x, rows, cos, sin)
    """
    return widened(m, build)
