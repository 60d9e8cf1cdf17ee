"""Rotary embeddings that an attention with a cache applies by itself, out of tables with a row for each position.

The formula has cosines and sines for the new tokens only. Where their angles are ``position * frequency`` and the
positions count on from the cache, the tables are the same waves for the positions 0, 1, … up to the last.
"""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from onnxopt.analysis.dims import Dim
from onnxopt.rewrite import Builder, Declined, Match
from onnxopt.rewrite.matcher import Matcher

from ..fuse._rotary import ROTATION, Wave, rebuilt, takes_halves, wave_of
from ._causal import run_of

WIDTH = 16
"""What the width of a head must be a multiple of."""
_LARGEST = 1 << 16


@dataclass(frozen=True)
class Rotated:
    """Queries and keys before they are rotated, and by what.

    Attributes:
        queries: ``[batch, heads, sequence, width]``.
        keys: The same, with the heads of keys.
        cosine: Half of each row, ``[1 or batch, sequence, width / 2]``.
        sine: The same.
        frequencies: What positions are multiplied by, ``width / 2`` numbers.
    """

    queries: ir.Value
    keys: ir.Value
    cosine: Wave
    sine: Wave
    frequencies: ir.Value


def rotated(m: Match, queries: ir.Value, keys: ir.Value, past: Dim) -> Rotated | None:
    """Reads the rotation of queries and keys; None where it is not proven to be the operator's.

    Args:
        m: The match.
        queries: The rotated queries.
        keys: The rotated keys, of the new tokens alone.
        past: How many tokens the cache held, and so the position of the first new one.
    """
    width, length = m.shape(queries)[3], m.shape(queries)[2]
    if not isinstance(width, int) or width % WIDTH:
        return None
    found = [_rotation(m, value, width // 2) for value in (queries, keys)]
    first, second = found
    if first is None or second is None:
        return None
    if any(first.value(name) is not second.value(name) for name in ("cos", "sin")):
        return None
    try:
        cosine, sine = (wave_of(first, first.value(name)) for name in ("cos", "sin"))
        frequencies = _frequencies(m, cosine.angles, past, length, width // 2)
    except Declined:
        return None
    if frequencies is None or sine.angles is not cosine.angles:
        return None
    return Rotated(first.value("x"), second.value("x"), cosine, sine, frequencies)


def _rotation(m: Match, value: ir.Value, half: int) -> Match | None:
    node = value.producer()
    if node is None or node.op_type != "Add":
        return None
    for bindings in Matcher(m.facts).match(ROTATION, node):
        found = Match(node, bindings, m.facts, m.target)
        if takes_halves(found, half) and m.facts.shape(found.value("x")) == m.facts.shape(value):
            return found
    return None


def _frequencies(m: Match, angles: ir.Value, past: Dim, length: Dim, half: int) -> ir.Value | None:
    """Returns what positions were multiplied by, where they count on from the cache."""
    node = angles.producer()
    if node is None or node.op_type != "Mul" or node.domain != "":
        return None
    first, second = node.inputs[0], node.inputs[1]
    for factor, positions in ((first, second), (second, first)):
        if factor is None or positions is None or m.facts.const_tensor(factor) is None:
            continue
        shape = m.facts.static_shape(factor)
        if shape is None or shape[-1:] != (half,) or any(dim != 1 for dim in shape[:-1]):
            return None
        cast = positions.producer()
        if cast is None or cast.op_type != "Cast" or cast.domain != "" or cast.inputs[0] is None:
            return None
        run = run_of(m, cast.inputs[0])
        fits = run is not None and run.axis in (-2, None) and m.rank(positions) == 3
        return (
            factor
            if fits and run is not None and (run.start, run.length) == (past, length)
            else None
        )
    return None


def build_tables(
    m: Match, build: Builder, found: Rotated, total: ir.Value
) -> tuple[ir.Value, ir.Value]:
    """Builds the tables of cosines and sines, ``[total, width / 2]``.

    Args:
        m: The match.
        build: Makes the nodes.
        found: The rotation.
        total: How many rows, an int64 scalar.
    """
    dtype = m.dtype(found.frequencies)
    counted = build.op("Range", build.ints("zero", 0), total, build.ints("one", 1))
    column = build.op("Reshape", counted, build.ints("column", [-1, 1]))
    numbers = m.const(found.frequencies, _LARGEST).reshape(-1)
    positions = build.op("Cast", column, to=dtype.value)
    angles = build.op("Mul", positions, build.const("frequencies", numbers, dtype))
    cosine, sine = (rebuilt(build, Wave(angles, w.steps)) for w in (found.cosine, found.sine))
    return cosine, sine
