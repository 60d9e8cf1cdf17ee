"""``RotaryEmbedding`` of the first columns, joined with the others again, becomes one of all with ``rotary_embedding_dim``.

Holds for halves and for neighbouring columns alike. Source: https://onnx.ai/onnx/operators/onnx__RotaryEmbedding.html.
"""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Declined, Match, Op, op, rule
from onnxopt.rewrite.pattern import OpFactory

from .._forms import SliceRange, build_slice, input_of, normalize
from ._columns import Columns, columns_of


def partial_rotations(operators: OpFactory) -> tuple[Op, Op]:
    """Returns the patterns, with heads apart before the sequence, and with heads joined after it."""
    apart = operators.RotaryEmbedding("piece", ..., bind="rotary")
    joined = operators.RotaryEmbedding(op.Reshape("piece", ..., bind="joined"), ..., bind="rotary")
    parted = op.Reshape(joined, ..., bind="parted")
    return op.Concat(apart, "rest", bind="concat"), op.Concat(parted, "rest", bind="concat")


def widened(m: Match, build: Builder) -> ir.Value:
    """Builds the operator on all columns.

    Raises:
        Declined: The pieces are not neighbouring columns of one value, the operator leaves columns alone already, or
            the number of heads is not known.
    """
    rotary, shape = m.node("rotary"), m.shape("piece")
    if len(shape) != 4 or normalize(int(m.attr("concat", "axis")), 4) != 3:
        raise Declined("the columns are not joined along the last of four axes")
    if m.attr(rotary, "rotary_embedding_dim", 0):
        raise Declined("the operator leaves columns alone already")
    first, others = columns_of(m, m.value("piece")), columns_of(m, m.value("rest"))
    if first is None or others is None:
        raise Declined("the width is not known")
    source, count, width = first.source, first.count, first.count + others.count
    after = Columns(source, first.first + count, 1, others.count)
    if first.step != 1 or others != after or m.shape(source)[:3] != shape[:3]:
        raise Declined("the columns are not neighbours of one value")
    joined = m.has("parted")
    if joined:
        _require_heads_kept(m, count)
    heads = shape[2 if joined else 1]
    if not isinstance(heads, int) or (joined and m.shape(m.node("parted").outputs[0]) != shape):
        raise Declined("the number of heads is not known")
    if m.shape(source)[3] != width:
        source = build_slice(m, build, source, [SliceRange(3, first.first, first.first + width, 1)])
    if joined:
        source = build.op("Reshape", source, build.ints("joined", [0, 0, heads * width]))
    made = build.like(
        rotary, source, *rotary.inputs[1:], num_heads=heads, rotary_embedding_dim=count
    )
    if not joined:
        return made
    return build.op("Reshape", made, build.ints("parted", [0, 0, heads, width]))


def _require_heads_kept(m: Match, width: int) -> None:
    """Declines where the operator does not see the heads of the piece, joined, as the heads they are."""
    rotary, (batch, sequence, heads, _) = m.node("rotary"), m.shape("piece")
    if not isinstance(heads, int):
        raise Declined("the number of heads is not known")
    if m.shape(m.node("joined").outputs[0]) != (batch, sequence, heads * width):
        raise Declined("the heads are laid out otherwise")
    # Cosine or sine, for the standard's operator and for onnxruntime's, tell how wide a head is for it.
    table = input_of(rotary, 2)
    if table is None or m.shape(table)[-1:] != (width // 2,):
        raise Declined("the operator parts the heads otherwise")


@rule(*partial_rotations(op))
def fuse_partial_rotary_embedding(m: Match, build: Builder) -> ir.Value:
    """Fuse the joining of rotated columns with those left alone into ``RotaryEmbedding``.

    Declines unless the others come right after the rotated columns in one value of rank 4.

    Example: Concat(RotaryEmbedding(x[:r], cos, sin), x[r:]) ->
        RotaryEmbedding<rotary_embedding_dim=r>(x, cos, sin)
    """
    return widened(m, build)
