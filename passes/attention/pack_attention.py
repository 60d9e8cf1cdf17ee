"""Attention and the projections of its queries, keys and values as onnxruntime's ``Attention``.

``Attention(x, [A B C], [a b c]) = MultiHeadAttention(x A + a, x B + b, x C + c)``. Mask, scores' bias, scale and the causal
flag mean the same for both operators. Source:
https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.Attention.

On CUDA the kernel multiplies once and adds the bias while it moves the heads, where ``MatMul``, ``Add`` and ``Split`` each write
queries, keys and values to memory before ``MultiHeadAttention`` moves them. On the CPU the kernel multiplies head by head, which may
be faster or slower. So this runs where a target's pipeline names it, and at level 3.

A pass rather than a rule of the group: a target may have the operator without wanting it everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from onnxopt.pipeline.base import Context, Pass
from onnxopt.rewrite import Builder, Declined, Match, Rewrite, ms
from onnxopt.rewrite.matcher import Matcher
from onnxopt.rewrite.scopes import owner
from onnxopt.rewrite.uses import read_only_by

from .._forms import input_of
from ..fuse._channels import Array, dims
from ..lower._kernels import MICROSOFT, require_kernel
from ._projections import Projection, is_whole, projection

_OPERATOR = "Attention"
_PATTERN = ms.MultiHeadAttention("queries", "keys", "values", ..., bind="attention")
# Inputs of MultiHeadAttention.
_BIAS, _PADDING, _SCORES_BIAS, _CACHES = 3, 4, 5, range(6, 10)
_CARRIED = ("mask_filter_value", "num_heads", "scale", "unidirectional")


@dataclass(frozen=True)
class PackAttention(Pass):
    """Joins attention and the projections of its queries, keys and values."""

    name: ClassVar[str] = "pack-attention"
    summary: ClassVar[str] = "Join attention and its projections into onnxruntime's Attention."
    exact: ClassVar[bool] = False

    def run(self, context: Context) -> int:
        """Packs every attention for which the target has the operator; returns how many."""
        if (MICROSOFT, _OPERATOR) not in context.target.kernels:
            return 0
        return sum(_pack_all(context, graph) for graph in list(context.editor.scopes.graphs()))


def _pack_all(context: Context, graph: ir.Graph | ir.Function) -> int:
    matcher, packed = Matcher(context.facts), 0
    for root in [node for node in graph if node.op_type == "MultiHeadAttention"]:
        bindings = next(iter(matcher.match(_PATTERN, root)), None)
        if bindings is None:
            continue
        match = Match(root, bindings, context.facts, context.target)
        build = context.editor.builder(root)
        try:
            rewrite = _rewrite(match, build)
        except Declined as declined:
            build.discard()
            context.stats.decline(PackAttention.name, root.name or "", str(declined))
            continue
        if context.editor.commit(rewrite) is None:
            build.discard()
            continue
        packed += 1
    return packed


def _rewrite(m: Match, build: Builder) -> Rewrite:
    """Builds the operator.

    Raises:
        Declined: It cannot stand for the attention.
    """
    node = m.node("attention")
    require_kernel(m, _OPERATOR, m.dtype("queries"))
    if any(input_of(node, i) is not None for i in _CACHES) or len(node.outputs) > 1:
        raise Declined("keys and values are cached")
    if {m.rank(name) for name in ("queries", "keys", "values")} != {3}:
        raise Declined("queries, keys and values are not all of rank 3")
    parts = [projection(m, m.value(name)) for name in ("queries", "keys", "values")]
    _require_one_source(m, parts)
    _require_sizes(m, parts)
    nodes = list(dict.fromkeys(n for p in parts for n in p.nodes))
    _require_own(node, nodes)
    made = build.op(
        _OPERATOR,
        parts[0].source,
        _weights(build, parts, nodes),
        build.const("bias", _bias(m, parts), parts[0].matrix.dtype),
        input_of(node, _PADDING),
        None,
        input_of(node, _SCORES_BIAS),
        domain=MICROSOFT,
        qkv_hidden_sizes=_uneven([p.columns for p in parts]),
        **{name: node.attributes[name].value for name in _CARRIED if name in node.attributes},
    )
    return Rewrite(
        PackAttention.name,
        node,
        [(node.outputs[0], made)],
        [node, *nodes],
        tuple(build.nodes),
        tuple(build.constants),
    )


def _require_one_source(m: Match, parts: Sequence[Projection]) -> None:
    if any(p.source is not parts[0].source for p in parts):
        raise Declined("queries, keys and values are not projected from one value")
    if m.rank(parts[0].source) != 3:
        raise Declined("what is projected is not of rank 3")
    if len({p.matrix.dtype for p in parts}) != 1:
        raise Declined("the matrices differ in type")


def _require_sizes(m: Match, parts: Sequence[Projection]) -> None:
    heads = int(m.attr("attention", "num_heads"))
    queries, keys, values = (p.columns for p in parts)
    if queries != keys:
        raise Declined("queries and keys differ in width")
    if heads < 1 or queries % heads or values % heads:
        raise Declined("the width is not a multiple of the number of heads")


def _require_own(attention: ir.Node, nodes: Sequence[ir.Node]) -> None:
    """Declines where what is packed would have to be computed for others as well."""
    readers = [attention, *nodes]
    for node in nodes:
        if owner(node) is not owner(attention):
            raise Declined("the projections stand in another graph")
        if any(v.is_graph_output() or not read_only_by(v, readers) for v in node.outputs):
            raise Declined("a projection has other readers")


def _weights(build: Builder, parts: list[Projection], nodes: Sequence[ir.Node]) -> ir.Value:
    """``[inner, queries + keys + values]``."""
    if is_whole(parts):
        return parts[0].weight
    if any(p.weight.is_graph_output() or not read_only_by(p.weight, nodes) for p in parts):
        raise Declined("a matrix has other readers")
    columns = [(p.matrix, p.start, p.stop) for p in parts]

    def compute() -> Array:
        return np.concatenate([w.numpy()[:, start:stop] for w, start, stop in columns], axis=1)

    shape = (dims(parts[0].matrix)[0], sum(p.columns for p in parts))
    return build.lazy("weight", parts[0].matrix.dtype, shape, compute)


def _bias(m: Match, parts: Sequence[Projection]) -> Array:
    """float64, one number for each column; zeros where none is added."""
    bias: Array = np.concatenate([p.bias for p in parts])
    further = input_of(m.node("attention"), _BIAS)
    return bias if further is None else bias + m.const(further).astype(np.float64)


def _uneven(sizes: list[int]) -> list[int] | None:
    """The widths of queries, keys and values where they are not the same."""
    return None if len(set(sizes)) == 1 else sizes
