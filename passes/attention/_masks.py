"""Masks as operators want them, and rows that are masked entirely."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from onnxopt.rewrite import Builder, Declined, Match

from .._forms import build_squeeze, build_unsqueeze

FLOOR = {ir.DataType.FLOAT: -1.0e30, ir.DataType.BFLOAT16: -1.0e30, ir.DataType.FLOAT16: -6.0e4}
"""At or below which a number hides a key: scores are lost in a sum with it."""


def full_mask(m: Match, build: Builder, mask: ir.Value, queries: ir.Value) -> ir.Value:
    """Returns a mask of rank 4 whose last two dims are those of the scores.

    ``MultiHeadAttention`` wants it so, and onnxruntime's ``Attention`` too, although it need only broadcast.

    Args:
        m: The match.
        build: Makes the nodes.
        mask: Broadcasts to the scores.
        queries: ``[batch, sequence, heads * width]`` or ``[batch, heads, sequence, width]``.

    Raises:
        Declined: The mask says nothing of the single keys.
    """
    shape = m.shape(mask)
    scores = m.shape(m.node("product").outputs[0])
    if not shape or shape[-1] != scores[-1]:
        raise Declined("the mask does not tell the keys apart")
    if len(shape) < 4:
        mask = build_unsqueeze(m, build, mask, list(range(4 - len(shape))))
    rows = shape[-2] if len(shape) > 1 else 1
    if rows == scores[-2]:
        return mask
    length = build.op("Shape", queries)
    taken = build.op("Gather", length, build.ints("sequence", [m.rank(queries) - 2]), axis=0)
    one = build.ints("one", [1])
    return build.op("Expand", mask, build.op("Concat", one, one, taken, one, axis=0))


def floored(m: Match, build: Builder, mask: ir.Value) -> ir.Value:
    """Returns a mask without the lowest finite number, which ``Attention`` may take for ``-inf``.

    onnxruntime gives zeros for a row that holds nothing but the lowest number, where the formula gives the mean of all
    values, since the scores are lost in the sum. They are lost in a sum with -1e30, too.
    """
    floor = FLOOR[m.dtype(mask)]
    if m.facts.const_tensor(mask) is not None:
        array = m.const(mask)
        low = np.isfinite(array) & (array < floor)
        return (
            build.const("mask", np.where(low, floor, array), m.dtype(mask)) if low.any() else mask
        )
    node = mask.producer()
    if node is None or node.op_type != "Where" or node.domain != "":
        return build.op("Max", mask, build.const("floor", floor, m.dtype(mask)))
    branches = [v for v in node.inputs[1:] if v is not None]
    raised = [floored(m, build, v) if m.facts.const_tensor(v) is not None else v for v in branches]
    return mask if raised == branches else build.op("Where", node.inputs[0], *raised)


def zero_masked_rows(
    m: Match, build: Builder, mask: ir.Value, made: ir.Value, dtype: ir.DataType
) -> ir.Value:
    """Puts zeros where a row of the mask holds nothing but ``-inf``.

    Args:
        m: The match.
        build: Makes the nodes.
        mask: Broadcasts to ``[batch, 1, sequence, total]``.
        made: What attention gave, ``[batch, sequence, heads * width]`` or
            ``[batch, heads, sequence, width]``.
        dtype: The type of both.

    Raises:
        Declined: The mask differs between heads, or the opset lacks what is needed.
    """
    shape = m.shape(mask)
    if len(shape) < 4:
        mask = build_unsqueeze(m, build, mask, list(range(4 - len(shape))))
    elif shape[1] != 1:
        raise Declined("rows masked entirely differ between heads")
    if m.opset() < 13:
        raise Declined("rows masked entirely need opset 13")
    if m.opset() < 18:
        most = build.op("ReduceMax", mask, axes=[3], keepdims=1)
    else:
        most = build.op("ReduceMax", mask, build.ints("last", [3]), keepdims=1)
    # Not a low number: rows of the lowest finite one are no such rows.
    live = build.op("Greater", most, build.const("nothing", -np.inf, dtype))
    if m.rank(made) == 3:
        live = build_squeeze(m, build, live, [1])
    return build.op("Where", live, made, build.const("zero", 0.0, dtype))
