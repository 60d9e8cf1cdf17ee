"""Computes convolutions of one element before images are enlarged, and not after.

``W resize(x) + b = resize(W x + b)``: enlarging weights places, the convolution mixes channels, and the weights of a place add up to
1. Of joined operands, ``W [x, y] = W_x x + W_y y``, those that were enlarged can be taken apart from the others. Decoders of
segmentation networks and the necks of detectors are spelled so: SegFormer's takes four scales of an image, enlarges three of them to
the largest, and mixes all of them there, where that is most expensive.

Declines unless what is saved in products is much more than what the sums cost that take the place of joining.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from onnxopt.analysis.facts import Facts
from onnxopt.pipeline.base import Context, Pass
from onnxopt.rewrite import Builder, Rewrite
from onnxopt.rewrite.editor import where
from onnxopt.rewrite.uses import has_one_use

from ._enlarging import Enlarging, enlarged, enlarging, places
from ._pointwise import Pointwise, pointwise

RULE = "move-conv-before-resize"
_WORTH = 64
"""How many multiply-accumulate operations must be saved for each element that is computed or moved in addition."""
_SIZE = 512


@dataclass(frozen=True)
class Part:
    """One of the operands that a convolution reads joined.

    Attributes:
        value: The operand.
        first: The first of its channels among all.
        channels: Their number.
        enlarging: How it is enlarged; None where it is not, or cannot be moved.
    """

    value: ir.Value
    first: int
    channels: int
    enlarging: Enlarging | None


@dataclass(frozen=True)
class MoveConvBeforeResize(Pass):
    """Computes convolutions of one element before images are enlarged.

    Example: Conv(Concat(Resize(x), y), w) -> Add(Conv(y, w_y), Resize(Conv(x, w_x)))
    """

    name: ClassVar[str] = RULE
    summary: ClassVar[str] = "Compute 1 x 1 convolutions before images are enlarged."
    exact: ClassVar[bool] = False

    def run(self, context: Context) -> int:
        """Moves what is worth it, in every graph.

        Args:
            context: The model and the services.

        Returns:
            The number of convolutions moved.
        """
        moved = 0
        for graph in list(context.editor.scopes.graphs()):
            for node in list(graph):
                found = pointwise(context.facts, node)
                if found is not None and node.graph is not None:
                    moved += _move(context, found)
        return moved


def _move(context: Context, conv: Pointwise) -> int:
    facts = context.facts
    join = _join(conv)
    parts = _parts(facts, conv, join)
    early = [part for part in parts if part.enlarging is not None]
    if not early:
        return 0
    if not _pays(facts, conv, parts):
        context.stats.decline(RULE, where(conv.node), "too little work is saved")
        return 0
    build = context.editor.builder(conv.node)
    result = _built(facts, build, conv, parts)
    resizes = [part.enlarging.node for part in early if part.enlarging is not None]
    rewrite = Rewrite(
        RULE,
        conv.node,
        [(conv.node.outputs[0], result)],
        [conv.node, *([] if join is None else [join]), *resizes],
        tuple(build.nodes),
        tuple(build.constants),
    )
    if context.editor.commit(rewrite) is None:
        build.discard()
        return 0
    return 1


def _join(conv: Pointwise) -> ir.Node | None:
    """The ``Concat`` of channels that a convolution alone reads."""
    node = conv.data.producer()
    if node is None or node.op_type != "Concat" or node.domain not in ("", "ai.onnx"):
        return None
    axis = node.attributes.get_int("axis", 0)
    along = axis in (1, 1 - conv.rank)
    return node if along and has_one_use(conv.data) and len(node.inputs) > 1 else None


def _parts(facts: Facts, conv: Pointwise, join: ir.Node | None) -> list[Part]:
    """The operands, in order; none where channels are not known."""
    parts: list[Part] = []
    first = 0
    for value in [conv.data] if join is None else join.inputs:
        shape = facts.shape(value)
        if value is None or shape is None or len(shape) < 3 or not isinstance(shape[1], int):
            return []
        parts.append(Part(value, first, shape[1], enlarging(facts, value, conv.outputs)))
        first += shape[1]
    return parts if first == conv.inputs else []


def _pays(facts: Facts, conv: Pointwise, parts: Sequence[Part]) -> bool:
    shape = facts.shape(conv.data)
    if shape is None:
        return False
    large = places(shape, _SIZE)
    saved, added = 0.0, 0.0
    for part in parts:
        if part.enlarging is None:
            continue
        saved += large * (1 - 1 / part.enlarging.factor) * part.channels * conv.outputs
        added += large * max(conv.outputs - part.channels, 0)
    plain = any(part.enlarging is None for part in parts)
    early = sum(part.enlarging is not None for part in parts)
    added += large * conv.outputs * (early - 1 + plain)
    return saved > _WORTH * added


def _built(facts: Facts, build: Builder, conv: Pointwise, parts: Sequence[Part]) -> ir.Value:
    """The sum of what is enlarged after it was mixed, and of what is mixed as it is."""
    plain = [part for part in parts if part.enlarging is None]
    bias = conv.bias
    total = None
    for part in parts:
        if part.enlarging is None:
            continue
        mixed = _mixed(build, conv, part.enlarging.data, [part], None if plain else bias)
        bias = bias if plain else None
        large = enlarged(facts, build, part.enlarging, mixed, conv.outputs)
        total = large if total is None else build.op("Add", total, large)
    assert total is not None
    if not plain:
        return total
    values = [part.value for part in plain]
    joined = values[0] if len(values) == 1 else build.op("Concat", *values, axis=1)
    return build.op("Add", _mixed(build, conv, joined, plain, bias), total)


def _mixed(
    build: Builder, conv: Pointwise, data: ir.Value, parts: Sequence[Part], bias: ir.Value | None
) -> ir.Value:
    """The convolution of some of the channels."""
    channels = sum(part.channels for part in parts)
    tensor = conv.weight
    if channels == conv.inputs:
        weight = conv.node.inputs[1]
        assert weight is not None
    else:
        spans = [slice(part.first, part.first + part.channels) for part in parts]
        shape = (conv.outputs, channels, *(1,) * (conv.rank - 2))
        weight = build.lazy(
            "weight",
            tensor.dtype,
            shape,
            lambda: np.concatenate([tensor.numpy()[:, span] for span in spans], axis=1),
        )
    return build.like(conv.node, data, weight, *([] if bias is None else [bias]))
