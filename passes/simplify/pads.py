"""Padding of what was padded."""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Match, Skip, Var, op, rule

from .._forms import input_of, normalize_all


@rule(op.Pad(op.Pad(Var("x"), ..., bind="inner", shared=True), ...), exact=True)
def merge_pads(m: Match, build: Builder) -> ir.Value | Skip:
    """Merge padding of padding, with the same constant or by repeating the edge.

    Declines for other modes, for different constants, and where one of them crops.

    Example: Pad(Pad(x, [0,1,0,1]), [2,0,2,0]) -> Pad(x, [2,1,2,1])
    """
    inner, mode = m.node("inner"), m.attr(m.root, "mode")
    if mode not in ("constant", "edge") or m.attr(inner, "mode") != mode:
        return Skip("the modes differ, or do not add up")
    if mode == "constant" and _filling(m, inner) != _filling(m, m.root):
        return Skip("the constants differ")
    first, second = full_pads(m, inner), full_pads(m, m.root)
    if min([0, *first, *second]) < 0:
        return Skip("one of them crops")
    total = [a + b for a, b in zip(first, second, strict=True)]
    if m.opset() < 11:
        return build.like(m.root, m.value("x"), pads=total)
    return build.like(m.root, m.value("x"), build.ints("pads", total), input_of(m.root, 2))


def full_pads(m: Match, node: ir.Node) -> list[int]:
    """Returns the pads of every axis: all beginnings, then all ends."""
    if "pads" in node.attributes:
        return [int(pad) for pad in m.attr(node, "pads")]
    pads = m.ints(node.inputs[1]) if node.inputs[1] is not None else []
    chosen = input_of(node, 3)
    if chosen is None:
        return pads
    rank = m.rank(node.inputs[0]) if node.inputs[0] is not None else 0
    axes = normalize_all(m.ints(chosen), rank)
    full = [0] * (2 * rank)
    for i, axis in enumerate(axes):
        full[axis], full[rank + axis] = pads[i], pads[len(axes) + i]
    return full


def _filling(m: Match, node: ir.Node) -> str | ir.Value:
    """The number padded with as text, so that -0.0 is not 0.0, or the value that holds it."""
    if "value" in node.attributes or m.opset(node) < 11:
        return repr(float(m.attr(node, "value", 0.0)))
    given = input_of(node, 2)
    if given is None:
        return repr(0.0)
    number = m.uniform(given)
    return given if number is None else repr(number)
