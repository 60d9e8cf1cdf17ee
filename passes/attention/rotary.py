"""onnxruntime's ``RotaryEmbedding``: halves of the last axis rotated by cosine and sine, before opset 23.

The operator looks cosine and sine up in tables, by position. Where the formula computes them for each position of each
sequence, these are the tables, and the positions count their rows. Source:
https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.RotaryEmbedding.
"""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Match, Skip, rule

from .._forms import build_transpose
from ..fuse._rotary import ROTATION, Wave, rebuilt, rotation
from ..lower._kernels import MICROSOFT, require_kernel
from ._core import known
from ._layout import TO_FRONT, joined


@rule(ROTATION)
def lower_rotary_embedding(m: Match, build: Builder) -> ir.Value | Skip:
    """Fuse the rotation of halves by cosine and sine into onnxruntime's ``RotaryEmbedding``.

    Declines from opset 23 on, where the operator is standard, where the target lacks it, and where
    ``fuse-rotary-embedding`` would.

    Example: Add(Mul(x, cos), Mul(Concat(Neg(x[h:]), x[:h]), sin)) -> RotaryEmbedding(x, rows, cos[:h], sin[:h])
    """
    if m.opset() >= 23:
        return Skip("RotaryEmbedding is standard from opset 23 on")
    cosine, sine = rotation(m)
    x = m.value("x")
    require_kernel(m, "RotaryEmbedding", m.dtype(x))
    heads = known(m.shape(x)[1], "the number of heads")
    width = known(m.shape(x)[3], "the width of a head")
    rows = counted_rows(build, cosine.angles)
    tables = [_table(build, wave, width // 2) for wave in (cosine, sine)]
    together = joined(m, x, TO_FRONT)
    if together is None:
        return build.op("RotaryEmbedding", x, rows, *tables, domain=MICROSOFT)
    # Before the heads are parted, so that an attention that joins them again finds them joined.
    made = build.op("RotaryEmbedding", together, rows, *tables, domain=MICROSOFT)
    parted = build.op("Reshape", made, build.ints("parted", [0, 0, heads, width]))
    return build_transpose(build, parted, TO_FRONT)


def _table(build: Builder, wave: Wave, half: int) -> ir.Value:
    """Cosine or sine, one row for each position of each sequence."""
    return build.op("Reshape", rebuilt(build, wave), build.ints("table", [-1, half]))


def counted_rows(build: Builder, angles: ir.Value) -> ir.Value:
    """Counts the rows of the tables, ``[batch, sequence]`` for angles ``[batch, sequence, width / 2]``."""
    shape = build.op("Shape", angles)
    size = build.op(
        "Slice", shape, build.ints("start", [0]), build.ints("end", [2]), build.ints("axes", [0])
    )
    zero, one = build.ints("zero", 0), build.ints("one", 1)
    rows = build.op("ReduceProd", size, keepdims=0)
    return build.op("Reshape", build.op("Range", zero, rows, one), size)
