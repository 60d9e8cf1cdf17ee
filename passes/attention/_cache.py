"""Keys and values of an attention that keeps them: what the cache held, what is new, and what it holds afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import onnx_ir as ir

from onnxopt.analysis.dims import Dim
from onnxopt.rewrite import Declined, Match
from onnxopt.rewrite.uses import has_one_use

from .._forms import normalize


@dataclass(frozen=True)
class Cached:
    """One of keys and values, ``[batch, heads, tokens, width]``.

    Attributes:
        past: What the cache held; None where there is no cache.
        new: What the new tokens add.
        present: Both, one after the other.
    """

    past: ir.Value | None
    new: ir.Value
    present: ir.Value


def cached(m: Match, present: ir.Value, batch: Dim, length: Dim) -> Cached:
    """Reads what keys or values are made of.

    Args:
        m: The match.
        present: All of them, heads not repeated.
        batch: The size of the batch.
        length: The number of new tokens.

    Raises:
        Declined: They are joined otherwise, or sizes are not proven to fit.
    """
    node = present.producer()
    if node is None or node.op_type != "Concat" or node.domain != "":
        if m.shape(present)[2] != length:
            raise Declined("keys or values are not those of the new tokens, nor joined to a cache")
        return Cached(None, present, present)
    past, new = (*node.inputs, None, None)[:2]
    if past is None or new is None or len(node.inputs) != 2:
        raise Declined("the cache is not joined out of two parts")
    if normalize(int(m.attr(node, "axis")), 4) != 2:
        raise Declined("the cache does not grow along the tokens")
    held, added, whole = m.shape(past), m.shape(new), m.shape(present)
    if added != (batch, whole[1], length, whole[3]) or (held[0], *held[1::2]) != (
        batch,
        whole[1],
        whole[3],
    ):
        raise Declined("the sizes of the cache are not proven to fit")
    return Cached(past, new, present)


def way_back(value: ir.Value | None, source: ir.Value) -> list[ir.Node]:
    """Returns the nodes that make ``value`` of ``source``, each read by the next alone.

    Raises:
        Declined: What one of them makes is read by others, who would keep it alive.
    """
    found: list[ir.Node] = []
    while value is not None and value is not source:
        node = value.producer()
        if node is None:
            break
        if not has_one_use(value):
            raise Declined("keys or values are read by others after their heads are repeated")
        found.append(node)
        value = node.inputs[0]
    return found


def early_casts(
    places: Mapping[ir.Node, int], value: ir.Value, inside: set[ir.Node], root: ir.Node
) -> list[ir.Node]:
    """Returns the conversions of keys or values that stand before the attention that will make them.

    Models converted to half precision give their caches out so.

    Args:
        places: Where in the graph its nodes stand.
        value: The keys or values.
        inside: The nodes of the attention.
        root: The last of these.

    Raises:
        Declined: Others read them there, too.
    """
    found = []
    for node in dict.fromkeys(node for node, _ in value.uses()):
        if node in inside or places.get(node, -1) > places[root]:
            continue
        late = (places.get(user, -1) > places[root] for user, _ in node.outputs[0].uses())
        if node.op_type != "Cast" or node.domain != "" or node not in places or not all(late):
            raise Declined("the cache is read by others before the attention is done")
        found.append(node)
    return found
