"""``Resize`` that treats all channels alike and makes images larger.

Every place of the result is a sum of places of the operand, weighted by numbers that depend on places alone and add up to 1:
so it commutes with what mixes channels, a bias included.
"""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from onnxopt.analysis.dims import Dim, evaluate, free_symbols, product
from onnxopt.analysis.facts import Facts
from onnxopt.rewrite import Builder
from onnxopt.rewrite.uses import has_one_use

_SIZES = (96, 512)
"""What stands for symbolic dims when work is compared."""
_LEAST = 2.0


@dataclass(frozen=True)
class Enlarging:
    """A ``Resize``.

    Attributes:
        node: The node.
        data: What it enlarges.
        factor: How many places of the result there are for each of the operand, at the least.
    """

    node: ir.Node
    data: ir.Value
    factor: float


def enlarging(facts: Facts, value: ir.Value, channels: int) -> Enlarging | None:
    """Reads what enlarges images, if it can be computed after a map of its channels to ``channels`` others.

    Args:
        facts: Shapes and constants.
        value: The result, which nothing else reads.
        channels: How many channels there are afterwards.
    """
    node = value.producer()
    if node is None or node.op_type != "Resize" or node.domain not in ("", "ai.onnx"):
        return None
    data = node.inputs[0]
    if data is None or not has_one_use(value) or not (_even(node) and _stretches(node)):
        return None
    before, after = facts.shape(data), facts.shape(value)
    if before is None or after is None or len(before) != len(after) or len(before) < 3:
        return None
    if before[:2] != after[:2] or not _fits(facts, node, before[1], channels):
        return None
    if not free_symbols(product(after[2:])) <= free_symbols(product(before[2:])):
        return None  # how large the result is depends on what nothing is known of
    factor = min(places(after, size) / max(places(before, size), 1) for size in _SIZES)
    return Enlarging(node, data, factor) if factor >= _LEAST else None


def places(shape: tuple[Dim, ...], size: int) -> int:
    """How many places an image [N, C, …] has where symbolic dims are ``size``."""
    return evaluate(product(shape[2:]), {}, size)


def _even(node: ir.Node) -> bool:
    """Whether the numbers that places are weighted by add up to 1 everywhere."""
    mode = node.attributes.get_string("coordinate_transformation_mode", "half_pixel")
    return mode != "tf_crop_and_resize" and len(node.inputs) > 2


def _stretches(node: ir.Node) -> bool:
    """Whether each axis has a scale of its own, so that channels have no part in those of places."""
    return node.attributes.get_string("keep_aspect_ratio_policy", "stretch") == "stretch"


def _fits(facts: Facts, node: ir.Node, before: Dim, channels: int) -> bool:
    """Whether its sizes or scales are right for other channels, or can be made so."""
    if before == channels or "axes" in node.attributes or _by_scales(node):
        return True
    return facts.const_tensor(node.inputs[3]) is not None


def _by_scales(node: ir.Node) -> bool:
    return len(node.inputs) < 4 or node.inputs[3] is None


def enlarged(
    facts: Facts, build: Builder, found: Enlarging, value: ir.Value, channels: int
) -> ir.Value:
    """Enlarges another value of ``channels`` channels in the same way."""
    node = found.node
    rest = list(node.inputs[1:])
    tensor = None if _by_scales(node) else facts.const_tensor(node.inputs[3])
    if tensor is not None and "axes" not in node.attributes:
        sizes = [int(d) for d in tensor.numpy().tolist()]
        rest[2] = build.ints("sizes", [sizes[0], channels, *sizes[2:]])
    return build.like(node, value, *rest)
