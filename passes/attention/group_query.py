"""Attention with a cache of keys and values as onnxruntime's ``GroupQueryAttention``.

It joins the new keys and values to the cache, rotates queries and keys, shares heads of keys among those of queries, and
masks what is later, in one operator. Of several sequences it takes one new token each, or all tokens of all of them
without a cache; of a single sequence any number. Its CUDA kernel has no padding masks. Source:
https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.GroupQueryAttention.

A pass rather than a rule: the operator gives the grown cache out, too, in place of nodes that stand before its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import onnx_ir as ir

from onnxopt.analysis.dims import Dim
from onnxopt.pipeline.base import Context, Pass
from onnxopt.rewrite import Builder, Declined, Match, Rewrite, op
from onnxopt.rewrite.matcher import Matcher
from onnxopt.rewrite.scopes import owner
from onnxopt.rewrite.uses import read_only_by

from ..fuse._rotary import ROTATION
from ..lower._kernels import MICROSOFT, require_kernel
from ._cache import Cached, cached, early_casts, way_back
from ._causal import require_causal
from ._core import CONTEXT, Core, core, heads_of, known
from ._layout import join, parted_keys, unrepeated
from ._lengths import Lengths, build_lengths
from ._tables import build_tables, rotated
from .fuse import JOINED, finish
from .rotary import lower_rotary_embedding

_OPERATOR = "GroupQueryAttention"
# Of a single token, heads are joined without moving them.
_PATTERNS = (JOINED, op.Reshape(CONTEXT, "shape", bind="joined"))
_WIDTH = 8
# What the kernels on GPUs are written for.
_WIDEST = 256


@dataclass(frozen=True)
class FuseGroupQueryAttention(Pass):
    """Fuses causal attention with a cache into ``GroupQueryAttention``."""

    name: ClassVar[str] = "fuse-group-query-attention"
    summary: ClassVar[str] = "Fuse causal attention and its cache into one operator of onnxruntime."
    exact: ClassVar[bool] = False

    def run(self, context: Context) -> int:
        """Fuses every attention for which the target has the operator; returns how many."""
        if (MICROSOFT, _OPERATOR) not in context.target.kernels:
            return 0
        return sum(_fuse_all(context, g) for g in list(context.editor.scopes.graphs()))


def _fuse_all(context: Context, graph: ir.Graph | ir.Function) -> int:
    lengths: dict[tuple[Dim, ...], Lengths] = {}
    matcher, fused = Matcher(context.facts), 0
    for root in [node for node in graph if node.op_type == "Reshape"]:
        found = (b for p in _PATTERNS for b in matcher.match(p, root))
        bindings = next(found, None) if root.graph is not None else None
        if bindings is None:
            continue
        match = Match(root, bindings, context.facts, context.target)
        build = context.editor.builder(root)
        try:
            rewrite, key, counted = _rewrite(match, build, lengths)
        except Declined as declined:
            build.discard()
            context.stats.decline(FuseGroupQueryAttention.name, root.name or "", str(declined))
            continue
        if context.editor.commit(rewrite) is None:
            build.discard()
            continue
        lengths[key] = counted
        fused += 1
    return fused


def _rewrite(
    m: Match, build: Builder, lengths: dict[tuple[Dim, ...], Lengths]
) -> tuple[Rewrite, tuple[Dim, ...], Lengths]:
    """Builds the operator; returns what replaces what, and the lengths with what they depend on.

    Raises:
        Declined: It cannot stand for the attention.
    """
    _require_own(m)
    found = core(m)
    require_kernel(m, _OPERATOR, m.dtype(found.queries))
    keys, values = _parts(m, build, found)
    past = 0 if keys.past is None else m.shape(keys.past)[2]
    batch, heads, new, width = m.shape(found.queries)
    if not m.has("moved") and m.shape(m.root.outputs[0]) != (batch, 1, heads * width):
        raise Declined("the heads are not joined afterwards")
    require_causal(m, found.mask, past, new, m.shape(keys.present)[2])
    if batch != 1 and new != 1 and keys.past is not None:
        raise Declined("several sequences with a cache and several new tokens each")
    made, counted = _operator(m, build, found, (keys, values), lengths.get((batch, new, past)))
    joined = finish(m, build, replace(found, mask=None), made[0])
    grown = [
        *_grown(m, build, m.node("product").inputs[1], keys, made[1]),
        *_grown(m, build, m.node("context").inputs[1], values, made[2]),
    ]
    concats = [old.producer() for old, _ in grown]
    rewrite = Rewrite(
        FuseGroupQueryAttention.name,
        m.root,
        [(m.root.outputs[0], joined), *grown],
        [*m.nodes(), *(node for node in concats if node is not None)],
        tuple(build.nodes),
        tuple(build.constants),
    )
    return rewrite, (batch, new, past), counted


def _require_own(m: Match) -> None:
    """Declines where others read what the attention computes on its way."""
    nodes = set(m.nodes())
    for node in nodes:
        if owner(node) is not owner(m.root):
            raise Declined("part of the attention lies in another graph")
        inside = node is m.root or all(
            read_only_by(v, nodes) and not v.is_graph_output() for v in node.outputs
        )
        if not inside:
            raise Declined("an inner value has other uses")


def _parts(m: Match, build: Builder, found: Core) -> tuple[Cached, Cached]:
    """Reads keys and values, heads not repeated, and what the cache held of them."""
    keys, times = unrepeated(m, parted_keys(m, build, found))
    values, also = unrepeated(m, found.values)
    if times != also:
        raise Declined("keys and values have different numbers of heads")
    batch, _, new, width = m.shape(found.queries)
    if known(width, "the width of a head") % _WIDTH:
        raise Declined(f"the width of a head is no multiple of {_WIDTH}")
    if known(width, "the width of a head") > _WIDEST:
        raise Declined(f"the width of a head is above {_WIDEST}")
    parts = cached(m, keys, batch, new), cached(m, values, batch, new)
    if m.shape(keys)[3] != width or m.shape(values)[3] != width:
        raise Declined("keys and values have different widths")
    pasts = [None if part.past is None else m.shape(part.past) for part in parts]
    if pasts[0] != pasts[1]:
        raise Declined("keys and values are not proven to have caches of the same size")
    return parts


def _operator(
    m: Match,
    build: Builder,
    found: Core,
    parts: tuple[Cached, Cached],
    counted: Lengths | None,
) -> tuple[Sequence[ir.Value], Lengths]:
    """Builds the operator; returns its outputs, and the lengths it is told."""
    keys, values = parts
    past = 0 if keys.past is None else m.shape(keys.past)[2]
    rotation = rotated(m, found.queries, keys.new, past)
    if rotation is None:
        sources = [_lowered(m, build, v) for v in (found.queries, keys.new)]
    else:
        sources = [rotation.queries, rotation.keys]
    inputs = [join(m, build, value) for value in (*sources, values.new)]
    counted = counted or build_lengths(build, inputs[0], keys.past)
    tables = () if rotation is None else build_tables(m, build, rotation, counted.total)
    made = build.ops(
        _OPERATOR,
        *(*inputs, keys.past, values.past, counted.last, counted.total32, *tables),
        outputs=3,
        domain=MICROSOFT,
        do_rotary=None if rotation is None else 1,
        kv_num_heads=heads_of(m, keys.new),
        num_heads=heads_of(m, found.queries),
        scale=found.scale,
    )
    return made, counted


def _lowered(m: Match, build: Builder, value: ir.Value) -> ir.Value:
    """Rotates by onnxruntime's operator where that can be; else leaves the value as it is."""
    node = value.producer()
    if node is None or node.op_type != "Add":
        return value
    for bindings in Matcher(m.facts).match(ROTATION, node):
        try:
            made = lower_rotary_embedding.function(Match(node, bindings, m.facts, m.target), build)
        except Declined:
            continue
        if isinstance(made, ir.Value):
            return made
    return value


def _grown(
    m: Match, build: Builder, read: ir.Value | None, part: Cached, made: ir.Value
) -> list[tuple[ir.Value, ir.Value]]:
    """What the operator's grown cache stands for: keys or values as they were joined, where the graph has them."""
    node = part.present.producer()
    if node is None or node.graph is None:
        return []
    if any(value is part.present for new in build.nodes for value in new.inputs):
        return []
    inside = {*m.nodes(), *way_back(read, part.present)}
    places = {node: i for i, node in enumerate(owner(m.root))}
    casts = early_casts(places, part.present, inside, m.root)
    return [(part.present, made), *((c.outputs[0], build.like(c, made)) for c in casts)]
