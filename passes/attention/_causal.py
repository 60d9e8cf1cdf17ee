"""Causal masks, recognised as what they are: a key is seen from its own position on.

Exporters count the positions of keys, ``0, 1, …``, and those of the new tokens, ``past, past + 1, …``, and let through
where the first is not beyond the second. Positions are compared as symbols, so nothing is assumed of their numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from onnxopt.analysis.dims import Dim
from onnxopt.rewrite import Declined, Match

from ._masks import FLOOR

_KEEPS_ORDER = frozenset({"Identity", "Reshape", "Squeeze", "Unsqueeze"})
_TURNED = {
    "Less": "Greater",
    "LessOrEqual": "GreaterOrEqual",
    "Greater": "Less",
    "GreaterOrEqual": "LessOrEqual",
}
_DENIED = {"Greater": "LessOrEqual", "GreaterOrEqual": "Less"}
_LONGEST_CHAIN = 6


@dataclass(frozen=True)
class Run:
    """Numbers that follow each other.

    Attributes:
        start: The first.
        length: How many there are.
        axis: Along which axis they lie, counted from the end, as in -1; None for a single one.
    """

    start: Dim
    length: Dim
    axis: int | None


def run_of(m: Match, value: ir.Value) -> Run | None:
    """Reads a value that holds numbers that follow each other along one axis; None where it is not proven to.

    Args:
        m: The match.
        value: Integers of any rank, all dims but one of which are 1.
    """
    shape = m.facts.shape(value)
    if shape is None:
        return None
    long = [i - len(shape) for i, dim in enumerate(shape) if dim != 1]
    if len(long) > 1:
        return None
    source: ir.Value | None = value
    for _ in range(_LONGEST_CHAIN):
        if source is None:
            return None
        found = _counted(m, source)
        if found is not None:
            return Run(found[0], found[1], long[0] if long else None)
        node = source.producer()
        if node is None or node.domain != "" or node.op_type not in _KEEPS_ORDER:
            return None
        source = node.inputs[0]
    return None


def _counted(m: Match, value: ir.Value) -> tuple[Dim, Dim] | None:
    """Start and length of numbers of rank one or none that follow each other."""
    content = m.facts.content(value)
    if isinstance(content, tuple):
        follows = bool(content) and all(c == content[0] + i for i, c in enumerate(content))
        return (content[0], len(content)) if follows else None
    if content is not None:
        return content, 1
    shape, node = m.facts.shape(value), value.producer()
    if shape is None or len(shape) != 1 or node is None or node.domain != "":
        return None
    inputs = [v for v in node.inputs if v is not None]
    if node.op_type == "Range" and m.facts.content(inputs[2]) == 1:
        start = m.facts.content(inputs[0])
        return None if start is None or isinstance(start, tuple) else (start, shape[0])
    if node.op_type == "Add":
        for moved, offset in (inputs, inputs[::-1]):
            found, by = _counted(m, moved), _one(m, offset)
            if found is not None and by is not None and found[1] == shape[0]:
                return found[0] + by, found[1]
    return None


def _one(m: Match, value: ir.Value) -> Dim | None:
    """The integer that a value of one element holds."""
    content = m.facts.content(value)
    if isinstance(content, tuple):
        return content[0] if len(content) == 1 else None
    return content


def require_causal(m: Match, mask: ir.Value | None, past: Dim, new: Dim, total: Dim) -> None:
    """Declines unless each new token sees those before it and itself, and no other.

    Args:
        m: The match.
        mask: What is added to the scores ``[batch, heads, new, total]``; None for nothing.
        past: How many tokens the cache held.
        new: How many tokens are new.
        total: The sum of both.

    Raises:
        Declined: It is not proven to be so.
    """
    if mask is None:
        # A single token is the last, and sees everything.
        if new != 1:
            raise Declined("without a mask, tokens see later ones")
        return
    if m.facts.const_tensor(mask) is not None:
        _require_constant(m, mask, past, new, total)
        return
    relation, keys, queries = _comparison(m, mask)
    if keys.axis not in (-1, None) or (keys.start, keys.length) != (0, total):
        raise Declined("the mask does not count the keys from the first")
    limit = queries.start if relation == "LessOrEqual" else queries.start - 1
    if queries.axis not in (-2, None) or (limit, queries.length) != (past, new):
        raise Declined("the mask does not let each token see up to itself")


def _comparison(m: Match, mask: ir.Value) -> tuple[str, Run, Run]:
    """Reads ``keys <= queries`` or ``keys < queries`` out of a mask made of it."""
    condition, lets_through = _condition(m, mask)
    while condition.producer() is not None and _is(condition, "Expand"):
        condition = _input(condition, 0)
    node = condition.producer()
    if node is None or node.domain != "" or node.op_type not in _TURNED:
        raise Declined("the mask is not proven to be causal alone")
    runs = [run_of(m, _input(condition, i)) for i in (0, 1)]
    first, second = runs
    if first is None or second is None:
        raise Declined("the mask does not compare positions that are counted")
    relation = node.op_type
    if first.axis == -2 or second.axis == -1:
        first, second, relation = second, first, _TURNED[relation]
    if not lets_through:
        relation = _DENIED.get(relation, "")
    if relation not in ("Less", "LessOrEqual"):
        raise Declined("the mask lets later tokens through")
    return relation, first, second


def _condition(m: Match, mask: ir.Value) -> tuple[ir.Value, bool]:
    """The condition of ``Where(condition, 0, low)``, and whether it is true for what is let through."""
    while _is(mask, "Expand"):
        mask = _input(mask, 0)
    if not _is(mask, "Where"):
        raise Declined("the mask is not proven to be causal alone")
    numbers = [m.uniform(_input(mask, i)) for i in (1, 2)]
    floor = FLOOR[m.dtype(mask)]
    for lets_through in (True, False):
        seen, hidden = numbers if lets_through else numbers[::-1]
        if seen == 0.0 and hidden is not None and hidden <= floor:
            return _input(mask, 0), lets_through
    raise Declined("the mask holds other numbers than zero and a very low one")


def _require_constant(m: Match, mask: ir.Value, past: Dim, new: Dim, total: Dim) -> None:
    sizes = (past, new, total)
    if not all(isinstance(size, int) for size in sizes):
        raise Declined("the mask is constant, the lengths are not")
    held, rows, columns = (int(size) for size in sizes if isinstance(size, int))
    seen = np.arange(columns) <= np.arange(rows)[:, None] + held
    array = m.const(mask)
    if not np.all(np.where(seen, array == 0.0, array <= FLOOR[m.dtype(mask)])):
        raise Declined("the constant mask is not causal")


def _is(value: ir.Value, op_type: str) -> bool:
    node = value.producer()
    return node is not None and node.domain == "" and node.op_type == op_type


def _input(value: ir.Value, index: int) -> ir.Value:
    node = value.producer()
    found = None if node is None else node.inputs[index]
    if found is None:
        raise Declined("an input of the mask is absent")
    return found
