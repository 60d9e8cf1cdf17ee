"""From a layer to the next, where scales of channels pass what lies between.

They pass an operator f with f(c x) = c f(x) for every c > 0 that works within channels. What adds another value, saturates
or mixes channels does not let them pass.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import onnx_ir as ir

from onnxopt.analysis.facts import Facts
from onnxopt.rewrite.scopes import owner
from onnxopt.rewrite.uses import use_count

from ..static._scales import limits_of
from ._bounds import limits_known, never_reaches
from ._layers import STANDARD, Layer

_ELEMENTWISE = frozenset({"Identity", "LeakyRelu", "PRelu", "Relu"})
_POOLS = frozenset({"AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool"})
_FLATTENS = frozenset({"Flatten", "Reshape", "Squeeze"})


@dataclass(frozen=True)
class Link:
    """The way from a layer to the one after it.

    Attributes:
        reader: The layer after.
        spread: How many of its consecutive inputs belong to one channel.
        clips: ``Clip`` nodes on the way that are proven to be ``Relu``.
    """

    reader: ir.Node
    spread: int = 1
    clips: tuple[ir.Node, ...] = ()


def find_link(facts: Facts, layer: Layer, layers: Mapping[ir.Node, Layer | str]) -> Link | str:
    """Follows the result of a layer to the next one, or says what is in the way.

    Args:
        facts: Shapes and constants.
        layer: Where to start.
        layers: All layers of the graph, or why they cannot be scaled.
    """
    if layer.obstacle:
        return layer.obstacle
    value, spread = layer.node.outputs[0], 1
    clips: list[ir.Node] = []
    while True:
        reader = _only_reader(value, owner(layer.node))
        if isinstance(reader, str):
            return reader
        if reader in layers:
            return _arrived(layer, reader, layers[reader], Link(reader, spread, tuple(clips)))
        if reader.op_type in _FLATTENS:
            factor = _flattened(facts, value, reader.outputs[0])
            if factor is None or spread != 1:
                return f"{reader.op_type} after it may mix channels"
            spread = factor
        elif reader.op_type == "Clip":
            problem, inactive = _clip(facts, layer, reader, value)
            if problem:
                return problem
            clips.extend([reader] if inactive else [])
        elif reader.op_type not in _ELEMENTWISE and reader.op_type not in _POOLS:
            return f"{reader.op_type} after it does not let scales of channels pass"
        value = reader.outputs[0]


def _only_reader(value: ir.Value, graph: ir.Graph) -> ir.Node | str:
    """The node that reads a value as its data, and nothing else does."""
    if value.is_graph_output():
        return "its result is an output of the graph"
    if use_count(value) != 1:
        return "its result is read more than once" if use_count(value) else "nothing reads it"
    reader, index = next(iter(value.uses()))
    if owner(reader) is not graph:
        return "its result is read inside of a body"
    if index != 0 or reader.domain not in STANDARD:
        return f"{reader.op_type} after it does not let scales of channels pass"
    return reader


def _arrived(layer: Layer, node: ir.Node, reader: Layer | str, link: Link) -> Link | str:
    if isinstance(reader, str):
        return f"{node.op_type} after it cannot be scaled: {reader}"
    if layer.outputs * link.spread != reader.inputs or (link.spread > 1 and reader.groups > 1):
        return "the channels of the layer after it are not its own"
    return link


def _flattened(facts: Facts, before: ir.Value, after: ir.Value) -> int | None:
    """How many consecutive features belong to a channel, where [N, C, ...] becomes [N, C * ...]."""
    was, now = facts.shape(before), facts.shape(after)
    if was is None or now is None or len(was) < 2 or len(now) != 2 or was[0] != now[0]:
        return None
    spatial = [d for d in was[2:] if isinstance(d, int)]
    if len(spatial) != len(was) - 2 or not isinstance(was[1], int):
        return None
    factor = math.prod(spatial)
    return factor if now[1] == was[1] * factor and factor > 0 else None


def _clip(facts: Facts, layer: Layer, node: ir.Node, value: ir.Value) -> tuple[str, bool]:
    """Why a ``Clip`` is in the way, or ''; and whether it must become a ``Relu``."""
    if not limits_known(facts, node):
        return "the bounds of Clip after it are not constant", False
    low, high = limits_of(facts, node)
    if low not in (0.0, -math.inf):
        return "Clip after it bounds values from below by other than 0", False
    if high == math.inf or high >= 3.4e38:
        return "", False
    if low == 0.0 and value is layer.node.outputs[0] and never_reaches(facts, layer, high):
        return "", True
    return f"Clip after it bounds values by {high:g}, which they may reach", False
