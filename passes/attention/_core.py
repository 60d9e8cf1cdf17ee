"""Scaled dot-product attention, read off its formula: ``softmax(s q k^T + mask) v`` over ``[batch, heads, sequence, width]``,
or over ``[batch * heads, sequence, width]``.

Exporters differ in where they scale (the scores, the queries, or queries and keys) and in whether they guard
against rows that are masked entirely (``softmax`` of nothing but ``-inf`` is NaN, which they replace by zero). Both
torch exporters, eager and sdpa, end in one of the spellings below once scales are merged and transposes moved.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from onnxopt.analysis.dims import Dim
from onnxopt.rewrite import Const, Declined, Match, Var, one_of, op

from .._forms import normalize, perm_of
from ..fuse._near import ACTIVATION_TYPES

_PRODUCT = op.MatMul("queries", "keys", bind="product")
_SCALED = one_of(op.Mul(_PRODUCT, Const("factor")), op.Div(_PRODUCT, Const("divisor")), _PRODUCT)
_SCORES = one_of(op.Add(_SCALED, Var("mask")), _SCALED)
_WEIGHTS = op.Softmax(_SCORES, bind="softmax")
CONTEXT = op.MatMul(
    one_of(_WEIGHTS, op.Where(op.IsNaN(_WEIGHTS), 0.0, _WEIGHTS, bind="guard")),
    "values",
    bind="context",
)
"""The pattern: from queries, transposed keys, values and mask to what attention gives."""


@dataclass(frozen=True)
class Core:
    """One attention, all of whose values are of rank 4; or of rank 3, with one axis for batch and heads.

    Attributes:
        queries: ``[batch, heads, sequence, width]``, not scaled.
        keys: Transposed, ``[batch, heads, width, total]``, not scaled.
        values: ``[batch, heads, total, value width]``.
        mask: What is added to the scores; None for nothing.
        scale: What the products of queries and keys are multiplied by.
        guarded: Whether rows that are masked entirely give zeros rather than NaN.
    """

    queries: ir.Value
    keys: ir.Value
    values: ir.Value
    mask: ir.Value | None
    scale: float
    guarded: bool


def core(m: Match, rank: int = 4) -> Core:
    """Reads the attention that `CONTEXT` matched.

    Args:
        m: The match.
        rank: That of queries, keys and values, 4 or 3.

    Raises:
        Declined: It is not over the last axis, a scale is not one number, or the shapes are not those of attention.
    """
    queries, keys, values = m.value("queries"), m.value("keys"), m.value("values")
    if m.dtype(queries) not in ACTIVATION_TYPES:
        raise Declined("attention is in single or half precision")
    if {m.rank(v) for v in (queries, keys, values)} != {rank}:
        raise Declined(f"queries, keys and values are not all of rank {rank}")
    if normalize(int(m.attr("softmax", "axis")), rank) != rank - 1:
        raise Declined("the softmax is not over the last axis")
    scale = _number(m, "factor") / _number(m, "divisor")
    queries, before = _unscaled(m, queries)
    keys, also = _unscaled(m, keys)
    mask = m.maybe("mask")
    if mask is not None:
        _require_mask(m, mask)
        mask = None if _everywhere(m, mask) == 0.0 else mask
    found = Core(queries, keys, values, mask, scale * before * also, m.has("guard"))
    _require_shapes(m, found)
    return found


def heads_of(m: Match, value: ir.Value) -> int:
    """Returns the number of heads of a value of rank 4, or declines where it is not known."""
    return known(m.shape(value)[1], "the number of heads")


def known(dim: Dim, what: str) -> int:
    """Returns a dim that is a number.

    Raises:
        Declined: It is not known.
    """
    if not isinstance(dim, int):
        raise Declined(f"{what} is not known")
    return dim


def may_mask_rows(m: Match, mask: ir.Value | None) -> bool:
    """Tells whether a mask may hold rows of nothing but ``-inf``.

    It cannot where it is made of finite numbers; nor can there be such rows without a mask.
    """
    if mask is None:
        return False
    constant = m.facts.const_tensor(mask)
    if constant is not None:
        return not bool(np.isfinite(m.const(mask)).any(axis=-1).all())
    node = mask.producer()
    if node is None or node.op_type != "Where" or node.domain != "":
        return True
    numbers = [None if v is None else m.facts.const(v, 1 << 12) for v in node.inputs[1:]]
    return not all(n is not None and bool(np.isfinite(n).all()) for n in numbers)


def _everywhere(m: Match, value: ir.Value) -> float | None:
    """Returns the one number that a value holds everywhere, where that is plain; None where it is not.

    Exporters write masks that let everything through as selections by a condition that is true everywhere.
    """
    if m.facts.const_tensor(value) is not None:
        return m.uniform(value)
    node = value.producer()
    if node is None or node.domain != "" or node.inputs[0] is None:
        return None
    if node.op_type == "Expand":
        return _everywhere(m, node.inputs[0])
    if node.op_type == "Where" and node.inputs[1] is not None and node.inputs[2] is not None:
        condition = _everywhere(m, node.inputs[0])
        if condition is not None:
            return _everywhere(m, node.inputs[1] if condition else node.inputs[2])
    return None


def _number(m: Match, name: str) -> float:
    """The one number of a constant, 1 where there is none."""
    if not m.has(name):
        return 1.0
    array = m.const(name)
    if array.size != 1 or array.ndim > 4:
        raise Declined("the scale is not one number")
    number = float(array.reshape(-1)[0])
    if number == 0.0 or not math.isfinite(number):
        raise Declined("the scale is zero or not finite")
    return number


def _unscaled(m: Match, value: ir.Value) -> tuple[ir.Value, float]:
    """Takes a scaling by one number off queries or keys."""
    node = value.producer()
    if node is None or node.domain != "" or node.op_type not in ("Mul", "Div"):
        return value, 1.0
    data, constant = node.inputs[0], node.inputs[1]
    if data is None or constant is None or m.facts.const_tensor(constant) is None:
        return value, 1.0
    array = m.const(constant)
    number = float(array.reshape(-1)[0]) if array.size == 1 and array.ndim <= 4 else 0.0
    if number == 0.0 or not math.isfinite(number):
        return value, 1.0
    return data, number if node.op_type == "Mul" else 1.0 / number


def _require_mask(m: Match, mask: ir.Value) -> None:
    scores = m.shape(m.node("product").outputs[0])
    shape = m.shape(mask)
    if len(shape) > len(scores):
        raise Declined("the mask raises the rank of the scores")
    aligned = zip(shape, scores[len(scores) - len(shape) :], strict=True)
    if any(a not in (1, b) for a, b in aligned):
        raise Declined("the mask is not proven to broadcast to the scores")


def _require_shapes(m: Match, found: Core) -> None:
    queries, keys, values = (m.shape(v) for v in (found.queries, found.keys, found.values))
    if queries[:-2] != keys[:-2] or queries[:-2] != values[:-2]:
        raise Declined("batch and heads of queries, keys and values are not proven to agree")
    if queries[-1] != keys[-2] or keys[-1] != values[-2]:
        raise Declined("width or length of queries, keys and values are not proven to agree")


def transposed_of(m: Match, value: ir.Value) -> tuple[ir.Value, list[int]] | None:
    """Returns what a ``Transpose`` made a value of, and its permutation; None where none did."""
    node = value.producer()
    if node is None or node.op_type != "Transpose" or node.domain != "" or node.inputs[0] is None:
        return None
    return node.inputs[0], perm_of(m, node)
