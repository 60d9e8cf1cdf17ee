"""Attention whose batch and heads lie in one axis, ``[batch * heads, sequence, width]``, as batched products compute it.

Every head of every sequence then is a sequence of its own with a single head, so the operators take it as it is:
``MatMul(Softmax(s q k^T + mask), v)`` of rank 3 is attention of one head. ``torch.nn.MultiheadAttention`` that gives its
weights out is exported so, and attention over the pixels of an image.
"""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Match, Skip, rule

from .._forms import build_unsqueeze
from ..lower._kernels import MICROSOFT, require_kernel
from ._core import CONTEXT, Core, core, may_mask_rows
from ._layout import parted_keys
from ._masks import floored, full_mask, zero_masked_rows


@rule(CONTEXT)
def fuse_flat_attention(m: Match, build: Builder) -> ir.Value | Skip:
    """Fuse attention with one axis for batch and heads into ``Attention`` with a single head.

    Declines before opset 23, for other ranks than 3, and where sizes are not proven to fit.

    Example: MatMul(Softmax(Add(MatMul(q, k), mask)), v) -> Attention(q, k, v, mask)
    """
    if m.opset() < 23:
        return Skip("Attention needs opset 23")
    found = core(m, rank=3)
    mask = None if found.mask is None else floored(m, build, found.mask)
    made = build.op(
        "Attention",
        *_operands(m, build, found),
        *(() if mask is None else (_mask_of_heads(m, build, mask, found),)),
        scale=found.scale,
        q_num_heads=1,
        kv_num_heads=1,
    )
    return _guarded(m, build, found, made)


@rule(CONTEXT)
def lower_flat_attention(m: Match, build: Builder) -> ir.Value | Skip:
    """Fuse attention with one axis for batch and heads into ``MultiHeadAttention`` with a single head.

    Declines from opset 23 on, where ``Attention`` is standard, where the target lacks the operator, for other ranks
    than 3, and where sizes are not proven to fit.

    Example: MatMul(Softmax(Add(MatMul(q, k), mask)), v) -> com.microsoft.MultiHeadAttention(q, k, v, , , mask)
    """
    if m.opset() >= 23:
        return Skip("Attention is standard from opset 23 on")
    found = core(m, rank=3)
    require_kernel(m, "MultiHeadAttention", m.dtype(found.queries))
    made = build.op(
        "MultiHeadAttention",
        *_operands(m, build, found),
        None,
        None,
        None if found.mask is None else _mask_of_heads(m, build, found.mask, found),
        domain=MICROSOFT,
        num_heads=1,
        scale=found.scale,
    )
    return _guarded(m, build, found, made)


def _operands(m: Match, build: Builder, found: Core) -> tuple[ir.Value, ir.Value, ir.Value]:
    return found.queries, parted_keys(m, build, found), found.values


def _mask_of_heads(m: Match, build: Builder, mask: ir.Value, found: Core) -> ir.Value:
    """The mask with an axis for the single head."""
    return full_mask(m, build, _with_head(m, build, mask), found.queries)


def _with_head(m: Match, build: Builder, mask: ir.Value) -> ir.Value:
    return build_unsqueeze(m, build, mask, [1]) if m.rank(mask) == 3 else mask


def _guarded(m: Match, build: Builder, found: Core, made: ir.Value) -> ir.Value:
    """Restores zeros for rows masked entirely."""
    if found.mask is None or not found.guarded or not may_mask_rows(m, found.mask):
        return made
    mask = _with_head(m, build, found.mask)
    return zero_masked_rows(m, build, mask, made, m.dtype(found.queries))
