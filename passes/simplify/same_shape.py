"""Operators that only change the shape, where they keep it."""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Match, Skip, op, rule

from .._forms import input_of, raw_axes, same_shape, slice_ranges

_MOVERS = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Expand", "Tile")


@rule(op(*_MOVERS)("x", ...), exact=True)
def remove_reshape(m: Match, build: Builder) -> ir.Value | Skip:
    """Remove an operator that could change the shape, where it provably keeps it.

    Holds for ``Reshape``, ``Flatten``, ``Squeeze``, ``Unsqueeze``, ``Expand`` and ``Tile``: with the shape kept they
    keep every element in place.

    Example: Reshape(float[2,3] x, [2,-1]) -> x
    """
    if m.root.op_type == "Squeeze" and raw_axes(m, m.root) == []:
        return Skip("runtimes differ in what no axes mean")
    if not same_shape(m, m.value("x"), m.root.outputs[0]):
        return Skip("the shape changes, or may")
    return m.value("x")


@rule(op.Slice("x", ...), exact=True)
def remove_slice(m: Match, build: Builder) -> ir.Value | Skip:
    """Remove a slice that takes everything, in order.

    Either it starts at 0, steps by 1 and ends beyond every size, or its steps are positive and the shape
    provably stays.

    Example: Slice(x, [0], [9223372036854775807], [1]) -> x
    """
    ranges = slice_ranges(m, m.root)
    if all(r.start == 0 and r.step == 1 and r.end >= 2**31 - 1 for r in ranges):
        return m.value("x")
    if any(r.step < 0 for r in ranges):
        return Skip("it reverses an axis")
    if not same_shape(m, m.value("x"), m.root.outputs[0]):
        return Skip("it drops elements, or may")
    return m.value("x")


@rule(op.Pad("x", ...), exact=True)
def remove_pad(m: Match, build: Builder) -> ir.Value | Skip:
    """Remove padding by nothing.

    Example: Pad(x, [0,0,0,0]) -> x
    """
    given = input_of(m.root, 1)
    pads = m.attr(m.root, "pads") if given is None else m.ints(given)
    if pads is None or any(pad != 0 for pad in pads):
        return Skip("it pads")
    return m.value("x")


@rule(op.Resize("x", ...), op.Upsample("x", ...), exact=False)
def remove_resize(m: Match, build: Builder) -> ir.Value | Skip:
    """Remove resampling to the same size.

    At scale 1 every coordinate transformation but that of a crop maps each element to itself; only
    infinities next to an element could leak into it through weights of zero. Declines for crops, and where the scale is not surely 1.

    Example: Resize(x, , [1.0, 1.0, 1.0, 1.0]) -> x
    """
    if m.attr(m.root, "coordinate_transformation_mode") == "tf_crop_and_resize":
        return Skip("it crops")
    scales, sizes = _scales_and_sizes(m)
    if scales is not None:
        if any(float(scale) != 1.0 for scale in scales):
            return Skip("it scales")
    elif sizes is None or not same_shape(m, m.value("x"), m.root.outputs[0]):
        return Skip("the size changes, or may")
    return m.value("x")


def _scales_and_sizes(m: Match) -> tuple[list[float] | None, ir.Value | None]:
    """The scales where they are given, else the value of the sizes."""
    if "scales" in m.root.attributes:
        return list(m.attr(m.root, "scales")), None
    old_form = m.root.op_type == "Upsample" or m.opset() < 11
    given = input_of(m.root, 1 if old_form else 2)
    sizes = None if old_form else input_of(m.root, 3)
    if given is None:
        return None, sizes
    scales = [float(scale) for scale in m.const(given).reshape(-1)]
    # Before opset 13 unused scales were given as an empty tensor.
    return (None, sizes) if sizes is not None and not scales else (scales, None)
