"""Attention as one operator: ``softmax(s q k^T + mask) v`` with heads joined afterwards.

From opset 23 on that is ONNX's ``Attention``; before, onnxruntime's ``MultiHeadAttention`` where the target has it.
Both multiply, scale, mask and weigh in one pass without moving heads through memory. Sources:
https://onnx.ai/onnx/operators/onnx__Attention.html,
https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.MultiHeadAttention.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx_ir as ir

from onnxopt.rewrite import Builder, Declined, Match, Skip, op, rule

from .._forms import build_transpose
from ..lower._kernels import MICROSOFT, require_kernel
from ._core import CONTEXT, Core, core, heads_of, known, may_mask_rows
from ._layout import TO_FRONT, join, joined_keys_and_values, joined_queries, parted_keys, unrepeated
from ._masks import floored, full_mask, zero_masked_rows

JOINED = op.Reshape(op.Transpose(CONTEXT, perm=[0, 2, 1, 3], bind="moved"), "shape", bind="joined")
"""The pattern: attention, and its heads joined."""
_JOINED_BEHIND = op.Reshape(
    op.Transpose(CONTEXT, perm=[2, 0, 1, 3], bind="moved"), "shape", bind="joined"
)
"""The same where the sequence comes before the batch afterwards."""


@rule(JOINED, _JOINED_BEHIND)
def fuse_attention(m: Match, build: Builder) -> ir.Value | Skip:
    """Fuse scaled dot-product attention into ``Attention``.

    Heads that several heads of queries share are not repeated. Declines before opset 23, for other ranks than 4, for
    what does not join the heads afterwards, and where sizes are not proven to fit.

    Example: Reshape(Transpose(MatMul(Softmax(Add(Mul(MatMul(q, k), s), mask)), v))) -> Attention(q, k, v, mask)
    """
    if m.opset() < 23:
        return Skip("Attention needs opset 23")
    found = core(m)
    heads = heads_of(m, found.queries)
    pair, queries = joined_keys_and_values(m, found), joined_queries(m, found)
    if pair is None or queries is None:
        grouped = _grouped(m, parted_keys(m, build, found), found.values)
        return finish(m, build, found, _attention(m, build, found, [found.queries, *grouped]))
    sizes = {"q_num_heads": heads, "kv_num_heads": heads}
    return finish(m, build, found, _attention(m, build, found, [queries, *pair], **sizes))


def _grouped(m: Match, keys: ir.Value, values: ir.Value) -> tuple[ir.Value, ir.Value]:
    """Keys and values without heads repeated, where both were repeated alike."""
    (few_keys, times), (few_values, also) = unrepeated(m, keys), unrepeated(m, values)
    return (few_keys, few_values) if times == also else (keys, values)


def _attention(
    m: Match,
    build: Builder,
    found: Core,
    inputs: Sequence[ir.Value],
    **attributes: Any,
) -> ir.Value:
    mask: tuple[ir.Value, ...] = ()
    if found.mask is not None:
        mask = (full_mask(m, build, floored(m, build, found.mask), inputs[0]),)
    return build.op("Attention", *inputs, *mask, scale=found.scale, **attributes)


@rule(JOINED, _JOINED_BEHIND)
def lower_attention(m: Match, build: Builder) -> ir.Value | Skip:
    """Fuse scaled dot-product attention into onnxruntime's ``MultiHeadAttention``.

    Declines from opset 23 on, where ``Attention`` is standard, where the target lacks the operator, for other ranks
    than 4, for what does not join the heads afterwards, and where sizes are not proven to fit.

    Example: Reshape(Transpose(MatMul(Softmax(Add(Mul(MatMul(q, k), s), mask)), v))) -> MultiHeadAttention(q, k, v, mask)
    """
    if m.opset() >= 23:
        return Skip("Attention is standard from opset 23 on")
    found = core(m)
    require_kernel(m, "MultiHeadAttention", m.dtype(found.queries))
    heads = heads_of(m, found.queries)
    pair = joined_keys_and_values(m, found)
    keys, values = pair or (parted_keys(m, build, found), found.values)
    queries = join(m, build, found.queries)
    mask = None if found.mask is None else full_mask(m, build, found.mask, queries)
    made = build.op(
        "MultiHeadAttention",
        queries,
        keys,
        values,
        None,
        None,
        mask,
        domain=MICROSOFT,
        num_heads=heads,
        scale=found.scale,
    )
    return finish(m, build, found, made)


def finish(m: Match, build: Builder, found: Core, made: ir.Value) -> ir.Value:
    """Restores zeros for rows masked entirely, joins the heads, and restores the shape asked for."""
    if found.guarded and may_mask_rows(m, found.mask) and found.mask is not None:
        made = zero_masked_rows(m, build, found.mask, made, m.dtype(found.queries))
    if m.rank(made) == 4:
        moved = build.like(m.node("moved"), made)
        return build.like(m.node("joined"), moved, m.value("shape"))
    wanted = m.shape(m.node("joined").outputs[0])
    context = m.shape(m.node("context").outputs[0])
    width = heads_of(m, found.values) * known(context[3], "the width of a head")
    first, second, *_ = m.attr("moved", "perm") if m.has("moved") else TO_FRONT
    made = build_transpose(build, made, [0, 1, 2] if first == 0 else [1, 0, 2])
    if wanted == (context[first], context[second], width):
        return made
    return build.like(m.node("joined"), made, _target(m))


def _target(m: Match) -> ir.Value:
    """The shape asked for, where it means the same for joined heads as for parted ones."""
    if m.attr("joined", "allowzero", 0):
        return m.value("shape")
    if 0 in m.ints("shape")[2:]:
        raise Declined("the shape copies a dim of the parted heads")
    return m.value("shape")
