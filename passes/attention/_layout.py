"""Queries, keys and values as operators want them: heads joined, ``[batch, sequence, heads * width]``, or apart.

Projections give them joined; exporters then part the heads and move them to the front. Where that is so, the joined
value is at hand and the parting is left out.
"""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Match

from .._forms import build_transpose
from ._core import Core, heads_of, known, transposed_of

TO_FRONT = [0, 2, 1, 3]
"""How heads are moved before the sequence, and back."""
_KEYS_TO_FRONT = [0, 2, 3, 1]


def joined(m: Match, value: ir.Value, perm: list[int]) -> ir.Value | None:
    """Returns the value with joined heads that ``Transpose<perm>(Reshape(...))`` made one with parted heads of.

    Args:
        m: The match.
        value: Heads parted, of rank 4.
        perm: How the heads were moved; from ``[batch, sequence, heads, width]``.

    Returns:
        ``[batch, sequence, heads * width]``; None where it is made otherwise.
    """
    if perm == TO_FRONT and (single := _joined_single(m, value)) is not None:
        return single
    moved = transposed_of(m, value)
    if moved is None or moved[1] != perm:
        return None
    node = moved[0].producer()
    if node is None or node.op_type != "Reshape" or node.domain != "" or node.inputs[0] is None:
        return None
    before, after = m.facts.shape(node.inputs[0]), m.facts.shape(moved[0])
    if before is None or after is None or len(before) != 3 or len(after) != 4:
        return None
    heads, width = after[2], after[3]
    if not isinstance(heads, int) or not isinstance(width, int):
        return None
    return node.inputs[0] if before == (after[0], after[1], heads * width) else None


def _joined_single(m: Match, value: ir.Value) -> ir.Value | None:
    """Of a single token, heads are parted and moved by a mere ``Reshape``."""
    node = value.producer()
    if node is None or node.op_type != "Reshape" or node.domain != "" or node.inputs[0] is None:
        return None
    before, after = m.facts.shape(node.inputs[0]), m.facts.shape(value)
    if before is None or after is None or len(after) != 4 or after[2] != 1:
        return None
    return node.inputs[0] if before == (after[0], 1, after[1] * after[3]) else None


def join(m: Match, build: Builder, value: ir.Value) -> ir.Value:
    """Returns ``[batch, sequence, heads * width]`` of ``[batch, heads, sequence, width]``."""
    found = joined(m, value, TO_FRONT)
    if found is not None:
        return found
    width = known(m.shape(value)[3], "the width of a head")
    size = heads_of(m, value) * width
    moved = build_transpose(build, value, TO_FRONT)
    return build.op("Reshape", moved, build.ints("shape", [0, 0, size]))


def joined_queries(m: Match, found: Core) -> ir.Value | None:
    """Returns queries with joined heads where they are at hand."""
    return joined(m, found.queries, TO_FRONT)


def joined_keys_and_values(m: Match, found: Core) -> tuple[ir.Value, ir.Value] | None:
    """Returns keys and values with joined heads where both are at hand."""
    keys, values = joined(m, found.keys, _KEYS_TO_FRONT), joined(m, found.values, TO_FRONT)
    return None if keys is None or values is None else (keys, values)


def unrepeated(m: Match, value: ir.Value) -> tuple[ir.Value, int]:
    """Takes back the repeating of heads that several heads of queries share.

    ``Reshape(Expand(Unsqueeze(x, 2)))`` repeats each head a number of times, next to each other.

    Args:
        m: The match.
        value: ``[batch, heads, total, width]``.

    Returns:
        What was repeated, ``[batch, heads / times, total, width]``, and how many times; the value itself and 1 where
        it was not.
    """
    chain = [value]
    for op_type in ("Reshape", "Expand", "Unsqueeze"):
        node = chain[-1].producer()
        if node is None or node.domain != "" or node.op_type != op_type or node.inputs[0] is None:
            return value, 1
        chain.append(node.inputs[0])
    shapes = [m.facts.shape(v) for v in chain]
    whole, repeated, lone, source = shapes
    if source is None or len(source) != 4 or repeated is None or len(repeated) != 5:
        return value, 1
    times, heads = repeated[2], source[1]
    if not isinstance(times, int) or not isinstance(heads, int):
        return value, 1
    batch, _, total, width = source
    fits = (
        lone == (batch, heads, 1, total, width)
        and repeated == (batch, heads, times, total, width)
        and whole == (batch, heads * times, total, width)
    )
    return (chain[-1], times) if fits else (value, 1)


def parted_keys(m: Match, build: Builder, found: Core) -> ir.Value:
    """Returns keys as ``[batch, heads, total, width]``, or of rank 3 likewise."""
    rank = m.rank(found.keys)
    turned = [*range(rank - 2), rank - 1, rank - 2]
    moved = transposed_of(m, found.keys)
    if moved is not None:
        # What turns the keys is taken back, or done the other way round.
        source, perm = moved
        return build_transpose(build, source, [perm[i] for i in turned])
    return build_transpose(build, found.keys, turned)
