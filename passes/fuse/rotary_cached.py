"""``RotaryEmbedding`` out of its formula with cosines and sines looked up in constant tables.

The tables hold whole rows, whose halves are equal, and are gathered by the position of each token. The operator wants
one half. It could gather by itself, but refuses the negative positions that ``Gather`` counts from the end; looked up
outside, the rows are shared by all layers, too. Source: https://onnx.ai/onnx/operators/onnx__RotaryEmbedding.html.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from onnxopt.rewrite import Builder, Const, Declined, Match, Op, Skip, op, rule

from .._forms import nonnegative_axes
from ._channels import dims
from ._near import ACTIVATION_TYPES
from ._rotary import ROTATED, takes_halves

_LARGEST_TABLE = 1 << 28


def _looked_up(name: str) -> Op:
    rows = op.Gather(Const(f"{name}_table"), f"{name}_ids", bind=f"{name}_rows", shared=True)
    return op.Unsqueeze(rows, ..., bind=f"{name}_wide", shared=True)


def _half(m: Match, build: Builder, name: str, width: int) -> ir.Value:
    """Builds the rows of half a table.

    Raises:
        Declined: The halves differ, or the table is not looked up for each token and spread over the heads.
    """
    tensor = m.tensor(f"{name}_table")
    shape = tuple(dims(tensor))
    if len(shape) != 2 or shape[1] != width or m.attr(f"{name}_rows", "axis", 0) not in (0, -2):
        raise Declined("the table is not one of rows by position")
    if nonnegative_axes(m, m.node(f"{name}_wide")) != [1]:
        raise Declined("the rows are not spread over the heads")
    table, half = m.const(f"{name}_table", _LARGEST_TABLE), width // 2
    if not np.array_equal(table[:, :half], table[:, half:]):
        raise Declined("the halves of cosine or sine are not equal")
    kept = build.lazy(name, tensor.dtype, (shape[0], half), lambda: tensor.numpy()[:, :half])
    return build.op("Gather", kept, m.value(f"{name}_ids"), axis=0)


@rule(op.Add(op.Mul("x", _looked_up("cos")), op.Mul(ROTATED, _looked_up("sin"))))
def fuse_cached_rotary_embedding(m: Match, build: Builder) -> ir.Value | Skip:
    """Fuse the rotation of halves by cosines and sines of a table into ``RotaryEmbedding``.

    Declines before opset 23, unless the data are ``[batch, heads, sequence, width]`` cut in the middle of a known
    width, unless positions are ``[batch, sequence]``, and unless the halves of each table are equal.

    Example: Add(Mul(x, cos[ids]), Mul(Concat(Neg(x[h:]), x[:h]), sin[ids])) -> RotaryEmbedding(x, cos[ids, :h], sin[ids, :h])
    """
    if m.opset() < 23:
        return Skip("RotaryEmbedding needs opset 23")
    if m.dtype("x") not in ACTIVATION_TYPES:
        return Skip("RotaryEmbedding works in single or half precision")
    shape = m.shape("x")
    width = shape[-1] if len(shape) == 4 else None
    if not isinstance(width, int) or width % 2:
        return Skip("the data are not of the form [batch, heads, sequence, width]")
    if not takes_halves(m, width // 2):
        return Skip("the last axis is not cut in the middle")
    if any(m.shape(f"{name}_ids") != (shape[0], shape[2]) for name in ("cos", "sin")):
        return Skip("the positions are not proven to be of the form [batch, sequence]")
    cosine, sine = (_half(m, build, name, width) for name in ("cos", "sin"))
    return build.op("RotaryEmbedding", m.value("x"), cosine, sine)
