"""Embeddings of words, positions and segments, summed and normalised, as ``EmbedLayerNormalization``.

Text encoders begin with ``LayerNormalization(words[ids] + segments[kinds] + positions[places])``. The operator wants ids of
32 bits and reads beyond its tables where ``Gather`` would count from the end, so ids that may be negative are taken modulo
the number of rows, which changes no others. Source:
https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.EmbedLayerNormalization.

On onnxruntime's CPU the kernel is slower than what it stands for, so its target does not list it. That of its CUDA
provider sums half precision in half precision, so its target lists single precision alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir as ir

from onnxopt.analysis.dims import Dim, at_least
from onnxopt.analysis.expr import Opaque, sole_atom
from onnxopt.rewrite import Builder, Declined, Match, Op, Pattern, Skip, op, rule

from .._forms import build_unsqueeze, normalize
from ._kernels import MICROSOFT, require_kernel

_INT32 = ir.DataType.INT32
_LARGEST_IDS = 1 << 20


@dataclass(frozen=True)
class Embedding:
    """Rows of a table.

    Attributes:
        table: ``[rows, width]``.
        rows: How many it has.
        ids: Which rows, ``[batch, sequence]``, ``[1, sequence]`` or ``[sequence]``.
    """

    table: ir.Value
    rows: int
    ids: ir.Value


def _rows(name: str) -> Op:
    return op.Gather(f"{name}_table", f"{name}_ids", bind=name, shared=True)


def _norm(total: Pattern) -> Op:
    return op.LayerNormalization(total, "gamma", "beta", bind="norm")


_TWO = op.Add(_rows("a"), _rows("b"), bind="sum")
_THREE = op.Add(op.Add(_rows("a"), _rows("b")), _rows("c"), bind="sum")


@rule(_norm(_THREE), _norm(_TWO))
def lower_embed_layer_norm(m: Match, build: Builder) -> ir.Value | Skip:
    """Join embeddings, their sum and ``LayerNormalization`` into ``EmbedLayerNormalization``.

    Declines where the target lacks it, unless the last axis alone is normalised, unless rows of tables of known length are
    taken by integers ``[batch, sequence]``, once by ``[1, sequence]`` or ``[sequence]``, as for positions.

    Example: LayerNormalization(Add(Add(Gather(w, ids), Gather(s, kinds)), Gather(p, places)), gamma, beta) -> com.microsoft.EmbedLayerNormalization(ids, kinds, w, p, s, gamma, beta, , places)
    """
    total = m.shape(m.node("sum").outputs[0])
    require_kernel(m, "EmbedLayerNormalization", m.dtype("gamma"))
    if len(total) != 3:
        return Skip("the sum has not three axes")
    if normalize(int(m.attr("norm", "axis", -1)), 3) != 2:
        return Skip("not the last axis alone is normalised")
    if any(m.facts.shape(m.value(name)) != total[-1:] for name in ("gamma", "beta")):
        return Skip("scale or shift is not one number for each element of the last axis")
    found = [_embedding(m, name) for name in ("a", "b", "c") if m.has(name)]
    whole = [e for e in found if m.facts.shape(e.ids) == total[:2]]
    once = [e for e in found if e not in whole]
    if not all(_is_once(m.shape(e.ids), total[1]) for e in once):
        return Skip("the ids are not proven to be those of the tokens")
    if len(once) > 1:
        return Skip("more than one embedding is the same for all sequences")
    places = once[0] if once else whole.pop()
    words, kinds = whole[0], whole[1] if len(whole) > 1 else None
    return build.op(
        "EmbedLayerNormalization",
        _ids(m, build, words),
        None if kinds is None else _ids(m, build, kinds),
        words.table,
        places.table,
        None if kinds is None else kinds.table,
        m.value("gamma"),
        m.value("beta"),
        None,
        _ids(m, build, places),
        domain=MICROSOFT,
        epsilon=float(m.attr("norm", "epsilon", 1e-5)),
        mask_index_type=0,
    )


def _is_once(shape: Sequence[Dim], length: Dim) -> bool:
    """Whether ids are given once for all sequences, one for each token."""
    if len(shape) not in (1, 2) or (len(shape) == 2 and shape[0] != 1):
        return False
    atom = sole_atom(shape[-1])
    if not isinstance(atom, Opaque) or atom.kind != "min":
        return shape[-1] == length
    # As many as there are tokens, cut out of two or more: were there fewer, the sum would fail.
    return length in atom.args and all(a == length or at_least(a, 2) for a in atom.args)


def _embedding(m: Match, name: str) -> Embedding:
    """Reads one lookup.

    Raises:
        Declined: It does not take rows of a table of known length by integers.
    """
    table, ids = m.value(f"{name}_table"), m.value(f"{name}_ids")
    shape = m.shape(table)
    if len(shape) != 2 or normalize(int(m.attr(name, "axis", 0)), 2) != 0:
        raise Declined("what is added are not rows of tables")
    if not isinstance(shape[0], int):
        raise Declined("the number of rows is not known")
    return Embedding(table, shape[0], ids)


def _ids(m: Match, build: Builder, found: Embedding) -> ir.Value:
    """Ids of 32 bits, of rank 2, none of which counts from the end."""
    ids = found.ids
    negative = not _count_from_front(m, ids)
    if m.rank(ids) == 1:
        ids = build_unsqueeze(m, build, ids, [0])
    if m.dtype(ids) != _INT32:
        ids = build.op("Cast", ids, to=_INT32.value)
    if not negative:
        return ids
    return build.op("Mod", ids, build.const("rows", found.rows, _INT32))


def _count_from_front(m: Match, ids: ir.Value) -> bool:
    """Whether ids are proven not to be negative: constants, or parts of them."""
    node = ids.producer()
    if node is not None and node.op_type == "Slice" and node.domain == "":
        return node.inputs[0] is not None and _count_from_front(m, node.inputs[0])
    array = m.facts.const(ids, _LARGEST_IDS)
    return array is not None and bool((array >= 0).all())
