"""The data of several steps as one sequence, ``[steps, batch, inputs]``.

Exports of loops take one step after the other out of what was a sequence to begin with. Where the steps are those of all
positions in order, the sequence is that again, at most transposed; else the data are stacked.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from onnxopt.analysis.facts import Facts
from onnxopt.rewrite import Builder


def sequence_of(facts: Facts, build: Builder, data: Sequence[ir.Value]) -> ir.Value:
    """Builds the sequence of matrices ``[batch, inputs]``, at opset 13 or later."""
    origins = [_origin(facts, value) for value in data]
    source, axis = origins[0][:2] if origins[0] else (None, 0)
    shape = facts.shape(source)
    whole = [(source, axis, place) for place in range(len(data))]
    if source is not None and shape is not None and shape[axis] == len(data) and origins == whole:
        return source if axis == 0 else build.op("Transpose", source, perm=[1, 0, 2])
    front = build.ints("front", [0])
    return build.op("Concat", *(build.op("Unsqueeze", v, front) for v in data), axis=0)


def _origin(facts: Facts, value: ir.Value) -> tuple[ir.Value, int, int] | None:
    """Returns what a matrix was taken out of, along which of its first two axes, and where."""
    node = value.producer()
    if node is None or node.op_type != "Gather" or node.domain != "":
        return None
    source, index = node.inputs
    axis = node.attributes.get_int("axis", 0)
    shape, place = facts.shape(source), facts.content(index)
    if source is None or shape is None or axis is None or len(shape) != 3 or axis not in (0, 1):
        return None
    size = shape[axis]
    if not isinstance(place, int) or not isinstance(size, int):
        return None
    return source, axis, place % size if -size <= place < size else place
