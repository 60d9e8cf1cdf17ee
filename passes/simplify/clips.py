"""Bounds: ``Clip``, ``Relu``, and ``Min`` or ``Max`` with a number, alone and in chains."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx_ir as ir

from onnxopt.rewrite import Builder, Const, Declined, Match, Op, Skip, Var, one_of, op, rule

from .._forms import input_of
from .._kinds import FLOATS, INTEGERS
from .casts import integer_range


@rule(
    op.Clip("x", ...),
    op("Max", "Min")("x", Const("c")),
    op("Max", "Min")(Const("c"), "x"),
    exact=False,
)
def remove_clip(m: Match, build: Builder) -> ir.Value | Skip:
    """Remove bounds that no value exceeds: infinite ones, those of the integer type, or none.

    Not exact: runtimes take bounds that are left out for the largest finite floats, which cut off infinities.
    Declines up to opset 10, where those are what ``Clip`` has by default.

    Example: Clip(x) -> x
    """
    low, high = _bounds(m, m.root, m.value("x"))
    least, most = -math.inf, math.inf
    dtype = m.facts.dtype(m.value("x"))
    if dtype in INTEGERS and dtype is not None:
        least, most = integer_range(dtype)
    if low > least or high < most:
        return Skip("the bounds cut something off")
    return m.value("x")


def _bounded(name: str) -> Any:
    return one_of(
        op("Clip", "Relu")(Var("x"), ..., bind=name, shared=True),
        op("Max", "Min")(Var("x"), Const("c"), bind=name, shared=True),
        op("Max", "Min")(Const("c"), Var("x"), bind=name, shared=True),
    )


def _chains() -> list[Op]:
    return [
        op("Clip", "Relu")(_bounded("inner"), ...),
        op("Max", "Min")(_bounded("inner"), Const("d")),
        op("Max", "Min")(Const("d"), _bounded("inner")),
    ]


@rule(*_chains(), exact=False)
def merge_clips(m: Match, build: Builder) -> ir.Value | Skip:
    """Merge bounds of bounded values into one ``Clip`` or ``Relu``.

    Each step is monotone and keeps what lies between its bounds, and so does the chain: its bounds
    are where it takes the infinities, which is right for ranges that do not meet as well. Not exact, because
    kernels differ for NaN. Declines where a bound is not a single known number, for types that neither operator
    has at the opset, and where nothing would be saved.

    Example: Relu(Clip(x, -1.0, 6.0)) -> Clip(x, 0.0, 6.0)
    """
    inner, x = m.node("inner"), m.value("x")
    between = inner.outputs[0]
    first, second = _bounds(m, inner, x), _bounds(m, m.root, between)
    low = _clamp(_clamp(-math.inf, first), second)
    high = _clamp(_clamp(math.inf, first), second)
    if (low, high) == first:
        return between
    dtype = m.dtype(x)
    if dtype in FLOATS and (low, high) == (0.0, math.inf):
        return build.op("Relu", x)
    if dtype not in FLOATS and m.opset() < 12:
        return Skip("Clip does not take the type at this opset")
    return _clip(m, build, x, dtype, low, high)


def _clamp(number: float, bounds: tuple[float, float]) -> float:
    return min(bounds[1], max(number, bounds[0]))


def _bounds(m: Match, node: ir.Node, data: ir.Value) -> tuple[float, float]:
    """The bounds of one step, infinite where it has none."""
    if node.op_type == "Relu":
        return 0, math.inf
    if node.op_type == "Clip":
        if m.opset(node) < 11:
            return float(m.attr(node, "min")), float(m.attr(node, "max"))
        low, high = (_number(m, input_of(node, i)) for i in (1, 2))
        return -math.inf if low is None else low, math.inf if high is None else high
    others = [v for v in node.inputs if v is not data]
    if len(node.inputs) != 2 or len(others) != 1 or others[0] is None:
        raise Declined("the bound is not a single number")
    shape = m.tensor(others[0]).shape
    if len(shape) > 0 and (len(shape) > m.rank(data) or m.tensor(others[0]).size != 1):
        raise Declined("the bound is not a single number")
    bound = _number(m, others[0])
    if bound is None:
        raise Declined("the bound is not a single number")
    return (bound, math.inf) if node.op_type == "Max" else (-math.inf, bound)


def _number(m: Match, value: ir.Value | None) -> float | None:
    if value is None:
        return None
    number = m.const(value).reshape(-1)
    if len(number) != 1 or number[0] != number[0]:
        raise Declined("the bound is not a single number")
    # Integers stay integers: not all of 64 bits have a float.
    return number[0].item() if number.dtype.kind in "iu" else float(number[0])


def _clip(
    m: Match, build: Builder, x: ir.Value, dtype: ir.DataType, low: float, high: float
) -> ir.Value:
    if m.opset() < 11:
        least = None if math.isinf(low) and low < 0 else float(low)
        most = None if math.isinf(high) and high > 0 else float(high)
        return build.op("Clip", x, min=least, max=most)
    bounds = []
    for name, bound, unbounded in (("min", low, -math.inf), ("max", high, math.inf)):
        value = None
        if bound != unbounded:
            value = build.const(name, np.asarray(bound), dtype)
        bounds.append(value)
    return build.op("Clip", x, *bounds)
