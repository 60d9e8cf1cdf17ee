"""The rotation of halves by cosine and sine, read off its formula.

``x * cos + rotate(x) * sin`` with ``rotate([a, b]) = [-b, a]`` over halves of the last axis. The formula wants
``cos`` and ``sin`` of whole rows, whose halves are equal; the operator wants one half, without the axis of heads.
"""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from onnxopt.rewrite import Builder, Declined, Match, one_of, op

from .._forms import nonnegative_axes, normalize, slice_ranges
from ._near import ACTIVATION_TYPES

_WAVES = frozenset({"Cos", "Sin"})
_LONGEST_CHAIN = 6
_UPPER = one_of(
    op.Slice("x", ..., bind="upper", shared=True),
    op.Split("x", ..., bind="split", output=1, shared=True),
)
_LOWER = one_of(
    op.Slice("x", ..., bind="lower", shared=True),
    op.Split("x", ..., bind="split", output=0, shared=True),
)
ROTATED = op.Concat(op.Neg(_UPPER), _LOWER, bind="concat")
"""The pattern of ``rotate(x)``."""
ROTATION = op.Add(op.Mul("x", "cos"), op.Mul(ROTATED, "sin"))
"""The pattern: ``x * cos + rotate(x) * sin``."""


@dataclass(frozen=True)
class Wave:
    """How a cosine or sine of whole rows comes from the angles of half a row.

    Attributes:
        angles: The angles, ``[batch, sequence, width / 2]``.
        steps: The elementwise nodes from there on, in order.
    """

    angles: ir.Value
    steps: tuple[ir.Node, ...]


def wave_of(m: Match, value: ir.Value) -> Wave:
    """Follows a cosine or sine back to the angles that were doubled.

    Raises:
        Declined: Its halves are not proven to be equal.
    """
    steps: list[ir.Node] = []
    unsqueezed = False
    for _ in range(_LONGEST_CHAIN):
        node = value.producer()
        if node is None or node.domain != "" or not node.inputs or node.inputs[0] is None:
            break
        if node.op_type == "Concat":
            return _doubled(m, node, steps, unsqueezed)
        if node.op_type == "Unsqueeze":
            if unsqueezed or nonnegative_axes(m, node) != [1]:
                break
            unsqueezed = True
        elif _is_elementwise(m, node):
            steps.append(node)
        else:
            break
        value = node.inputs[0]
    raise Declined("the halves of cosine or sine are not proven to be equal")


def _is_elementwise(m: Match, node: ir.Node) -> bool:
    if node.op_type in _WAVES or node.op_type == "Cast":
        return True
    if node.op_type not in ("Mul", "Div") or node.inputs[1] is None:
        return False
    tensor = m.facts.const_tensor(node.inputs[1])
    return tensor is not None and len(tensor.shape) == 0


def _doubled(m: Match, node: ir.Node, steps: list[ir.Node], unsqueezed: bool) -> Wave:
    angles = node.inputs[0]
    if angles is None or len(node.inputs) != 2 or node.inputs[1] is not angles:
        raise Declined("the halves of cosine or sine are not proven to be equal")
    if normalize(int(m.attr(node, "axis")), 3) != 2 or not unsqueezed or m.rank(angles) != 3:
        raise Declined("the angles are not of the form [batch, sequence, width]")
    return Wave(angles, tuple(reversed(steps)))


def rebuilt(build: Builder, wave: Wave) -> ir.Value:
    """Computes a wave of half a row."""
    value = wave.angles
    for step in wave.steps:
        value = build.like(step, value, *step.inputs[1:])
    return value


def takes_halves(m: Match, half: int) -> bool:
    """Whether the formula cuts the last of four axes in the middle."""
    if normalize(int(m.attr("concat", "axis")), 4) != 3:
        return False
    if m.has("split"):
        split = m.node("split")
        sizes = [m.facts.shape(v) for v in split.outputs]
        axis = normalize(int(m.attr(split, "axis", 0)), 4)
        return axis == 3 and [s[-1] if s else None for s in sizes] == [half, half]
    if not (m.has("upper") and m.has("lower")):
        return False
    upper, lower = slice_ranges(m, m.node("upper")), slice_ranges(m, m.node("lower"))
    if len(upper) != 1 or len(lower) != 1:
        return False
    (up,), (low,) = upper, lower
    on_last = normalize(up.axis, 4) == 3 and normalize(low.axis, 4) == 3
    starts = up.start in (half, -half) and up.end >= 2 * half and up.step == 1
    ends = low.start in (0, -2 * half) and low.end in (half, -half) and low.step == 1
    return on_last and starts and ends


def rotation(m: Match) -> tuple[Wave, Wave]:
    """Reads the rotation that `ROTATION` matched.

    Returns:
        The cosine and the sine of half a row, ``[batch, sequence, width / 2]``.

    Raises:
        Declined: The data are not ``[batch, heads, sequence, width]`` cut in the middle of a known width, or cosine
            and sine do not come from doubled angles.
    """
    if m.dtype("x") not in ACTIVATION_TYPES:
        raise Declined("RotaryEmbedding works in single or half precision")
    shape = m.shape("x")
    width = shape[-1] if len(shape) == 4 else None
    if not isinstance(width, int) or width % 2:
        raise Declined("the data are not of the form [batch, heads, sequence, width]")
    if not takes_halves(m, width // 2):
        raise Declined("the last axis is not cut in the middle")
    cosine, sine = (wave_of(m, m.value(name)) for name in ("cos", "sin"))
    if any(m.shape(w.angles) != (shape[0], shape[2], width // 2) for w in (cosine, sine)):
        raise Declined("the angles are not proven to be of the form [batch, sequence, width / 2]")
    return cosine, sine
