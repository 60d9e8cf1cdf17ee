"""onnxruntime's ``RotaryEmbedding`` for neighbouring columns, before opset 23.

The operator looks cosine and sine up in tables, by position. Where all sequences share their positions, the rows of the
formula are the tables and positions count from 0, which is written as a single number. Source:
https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.RotaryEmbedding.
"""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Match, Skip, rule

from .._forms import build_transpose
from ..fuse._interleaved import (
    BY_COLUMNS,
    BY_TURNING,
    build_data,
    build_result,
    build_rows,
    interleaved,
)
from ..lower._kernels import MICROSOFT, require_kernel
from ._layout import TO_FRONT, joined
from .rotary import counted_rows


@rule(BY_TURNING, BY_COLUMNS)
def lower_interleaved_rotary_embedding(m: Match, build: Builder) -> ir.Value | Skip:
    """Fuse the rotation of neighbouring columns by cosine and sine into onnxruntime's ``RotaryEmbedding``.

    Declines from opset 23 on, where the operator is standard, where the target lacks it, and where
    ``fuse-interleaved-rotary-embedding`` would.

    Example: Add(Mul(x, cos), Mul(Reshape(Concat(Neg(x[1::2]), x[::2])), sin)) ->
        RotaryEmbedding<interleaved=1>(x, 0, cos[::2], sin[::2])
    """
    if m.opset() >= 23:
        return Skip("RotaryEmbedding is standard from opset 23 on")
    found = interleaved(m)
    require_kernel(m, "RotaryEmbedding", m.dtype("cos"))
    heads, width = found.heads, found.width
    rows = [build_rows(m, build, found, wave) for wave in found.waves]
    shared = found.batch == 1
    positions = build.ints("offset", [0]) if shared else counted_rows(build, rows[0])
    tables = [build.op("Reshape", r, build.ints("table", [-1, width // 2])) for r in rows]
    data = build_data(m, build, found)
    together = joined(m, data, TO_FRONT) if found.sequence == 2 else None
    made = build.op(
        "RotaryEmbedding",
        data if together is None else together,
        positions,
        *tables,
        domain=MICROSOFT,
        interleaved=1,
        num_heads=heads,
    )
    if together is None:
        return build_result(build, found, made)
    # Before the heads are parted, so that an attention that joins them again finds them joined.
    parted = build.op("Reshape", made, build.ints("parted", [0, 0, heads, width]))
    return build_transpose(build, parted, TO_FRONT)
