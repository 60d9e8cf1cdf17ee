"""The lengths that ``GroupQueryAttention`` is told: of the whole, and of each sequence less one."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from onnxopt.rewrite import Builder

_INT32 = ir.DataType.INT32


@dataclass(frozen=True)
class Lengths:
    """How many tokens there are, those of the cache included.

    Attributes:
        total: Of all sequences, an int64 scalar.
        total32: The same, int32.
        last: Of each sequence less one, int32 ``[batch]``.
    """

    total: ir.Value
    total32: ir.Value
    last: ir.Value


def build_lengths(build: Builder, queries: ir.Value, past: ir.Value | None) -> Lengths:
    """Builds the lengths out of shapes.

    Args:
        build: Makes the nodes.
        queries: ``[batch, sequence, heads * width]``.
        past: What the cache held, ``[batch, heads, past, width]``; None where there is no cache.
    """
    shape = build.op("Shape", queries)
    total = build.op("Gather", shape, build.ints("sequence", 1), axis=0)
    if past is not None:
        held = build.op("Gather", build.op("Shape", past), build.ints("past", 2), axis=0)
        total = build.op("Add", held, total)
    total32 = build.op("Cast", total, to=_INT32.value)
    last = build.op("Sub", total32, build.const("one", 1, _INT32))
    batch = build.op("Gather", shape, build.ints("batch", [0]), axis=0)
    return Lengths(total, total32, build.op("Expand", last, batch))
