"""Consecutive scalings, and consecutive shifts, by constants."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from onnxopt.rewrite import Builder, Const, Declined, Match, Skip, Var, op, rule

Array = np.ndarray[Any, Any]
_LARGEST = 1 << 20


@rule(
    op.Mul(op.Mul(Var("x"), Const("a"), bind="inner"), Const("b")),
    op.Mul(op.Div(Var("x"), Const("a"), bind="inner"), Const("b")),
    op.Div(op.Mul(Var("x"), Const("a"), bind="inner"), Const("b")),
    op.Div(op.Div(Var("x"), Const("a"), bind="inner"), Const("b")),
    exact=False,
)
def merge_scales(m: Match, build: Builder) -> ir.Value | Skip:
    """Merge consecutive products and quotients by constants into one product.

    The constants are combined in float64 and rounded once. Declines for integer quotients, where the
    combined factor overflows or vanishes, and where the constants broadcast to a larger one.

    Example: Mul(Div(x, 2.0), 3.0) -> Mul(x, 1.5)
    """
    (first, second), dtype = _pair(m), m.dtype("a")
    kinds = (m.node("inner").op_type, m.root.op_type)
    if "Div" in kinds and not dtype.is_floating_point():
        return Skip("integer division rounds")
    with np.errstate(all="ignore"):
        first = 1.0 / first if kinds[0] == "Div" else first
        factor = first / second if kinds[1] == "Div" else first * second
    if not _is_stored_well(factor, dtype):
        return Skip("the combined factor overflows or vanishes")
    return build.op("Mul", m.value("x"), build.const("factor", factor, dtype))


@rule(
    op("Add", "Sub")(op("Add", "Sub")(Var("x"), Const("a"), bind="inner"), Const("b")),
    op.Add(op("Add", "Sub")(Var("x"), Const("a"), bind="inner"), Const("b")),
    op("Add", "Sub")(op.Add(Var("x"), Const("a"), bind="inner"), Const("b")),
    op.Add(op.Add(Var("x"), Const("a"), bind="inner"), Const("b")),
    exact=False,
)
def merge_offsets(m: Match, build: Builder) -> ir.Value | Skip:
    """Merge consecutive sums and differences with constants into one sum.

    Declines where the constants cancel (adding and subtracting a large number is a way of rounding), where
    their sum overflows, and where they broadcast to a larger one.

    Example: Sub(Add(x, 3.0), 1.0) -> Add(x, 2.0)
    """
    (first, second), dtype = _pair(m), m.dtype("a")
    first = -first if m.node("inner").op_type == "Sub" else first
    second = -second if m.root.op_type == "Sub" else second
    with np.errstate(all="ignore"):
        total = first + second
    if dtype.is_floating_point():
        if not _is_stored_well(total, dtype):
            return Skip("the sum overflows")
        if bool((np.abs(total) < 1e-2 * np.maximum(np.abs(first), np.abs(second))).any()):
            return Skip("the constants cancel")
    return build.op("Add", m.value("x"), build.const("offset", total, dtype))


def _pair(m: Match) -> tuple[Array, Array]:
    """Both constants: floats as float64, integers as they are, which wrap around alike in any order."""
    a, b = m.const("a", _LARGEST), m.const("b", _LARGEST)
    if np.broadcast(a, b).size > max(a.size, b.size):
        raise Declined("the constants broadcast to a larger one")
    if m.dtype("a").is_floating_point():
        return a.astype(np.float64), b.astype(np.float64)
    return a, b


def _is_stored_well(numbers: Array, dtype: ir.DataType) -> bool:
    """Whether numbers survive rounding to a type: neither to infinity, nor to nothing, nor to few bits."""
    if not dtype.is_floating_point():
        return True
    with np.errstate(all="ignore"):
        stored = numbers.astype(dtype.numpy()).astype(np.float64)
        close = np.abs(stored - numbers) <= 1e-2 * np.abs(numbers)
    return bool(np.isfinite(numbers).all() and close.all())
