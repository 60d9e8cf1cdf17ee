"""``RotaryEmbedding`` out of formulas that rotate neighbouring columns.

Source: https://onnx.ai/onnx/operators/onnx__RotaryEmbedding.html. Where all sequences share their positions, cosine and sine
are spread over the batch, which the operator does not do by itself.
"""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Match, Skip, rule

from ._interleaved import (
    BY_COLUMNS,
    BY_TURNING,
    Interleaved,
    build_data,
    build_result,
    build_rows,
    interleaved,
)


@rule(BY_TURNING, BY_COLUMNS)
def fuse_interleaved_rotary_embedding(m: Match, build: Builder) -> ir.Value | Skip:
    """Fuse the rotation of neighbouring columns by cosine and sine into ``RotaryEmbedding``.

    Declines before opset 23, unless even and odd columns are those of one value of rank 4 and known width, and unless
    cosine and sine differ by sequence and position alone and have each column twice.

    Example: Add(Mul(x, cos), Mul(Reshape(Concat(Neg(x[1::2]), x[::2])), sin)) ->
        RotaryEmbedding<interleaved=1>(x, cos[::2], sin[::2])
    """
    if m.opset() < 23:
        return Skip("RotaryEmbedding needs opset 23")
    found = interleaved(m)
    heads = found.heads if found.sequence == 1 else None
    data = build_data(m, build, found)
    rows = [_spread(build, found, build_rows(m, build, found, wave)) for wave in found.waves]
    made = build.op("RotaryEmbedding", data, *rows, interleaved=1, num_heads=heads)
    return build_result(build, found, made)


def _spread(build: Builder, found: Interleaved, rows: ir.Value) -> ir.Value:
    """Repeats the rows for each sequence."""
    batch = found.dims[0]
    if batch == found.batch:
        return rows
    if isinstance(batch, int):
        return build.op("Expand", rows, build.ints("batch", [batch, 1, 1]))
    size = build.op("Shape", found.source, start=0, end=1)
    return build.op("Expand", rows, build.op("Concat", size, build.ints("ones", [1, 1]), axis=0))
