"""One scaling instead of two around a ``MatMul``: ``(a s) (b t) = (a (s t)) b`` for numbers ``s`` and ``t``.

Attention scales queries and keys each by the fourth root of their width, so that half precision does not
overflow in between; the product of both is as safe where it is not larger than either.
"""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Const, Match, OneOf, Skip, one_of, op, rule

from ._near import ACTIVATION_TYPES


def _scaled(x: str, scale: str, bind: str) -> OneOf:
    return one_of(op.Mul(x, Const(scale), bind=bind), op.Div(x, Const(scale), bind=bind))


def _number(m: Match, name: str, rank: int, divides: bool) -> float | None:
    """The number a scaling multiplies by; None where it is not one number, or raises the rank."""
    array = m.const(name)
    if array.size != 1 or array.ndim > rank:
        return None
    number = float(array.reshape(-1)[0])
    if divides:
        return None if number == 0.0 else 1.0 / number
    return number


@rule(
    op.MatMul(_scaled("a", "s", "first"), _scaled("b", "t", "second")),
)
def merge_matmul_scales(m: Match, build: Builder) -> ir.Value | Skip:
    """Scale one factor of a ``MatMul`` instead of both.

    Declines for what is not floating point, for constants of more than one number or that raise the
    rank, and unless the product of both numbers is as small as either: scaling down early is what keeps half
    precision in range.

    Example: MatMul(Mul(a, 0.5), Mul(b, 0.5)) -> MatMul(Mul(a, 0.25), b)
    """
    dtype = m.dtype("a")
    if dtype not in ACTIVATION_TYPES:
        return Skip("the factors are not of single or half precision")
    first = _number(m, "s", m.rank("a"), m.node("first").op_type == "Div")
    second = _number(m, "t", m.rank("b"), m.node("second").op_type == "Div")
    if first is None or second is None:
        return Skip("a scale is not one number, or raises the rank")
    if not 1e-3 <= abs(first * second) <= min(abs(first), abs(second)):
        return Skip("the product of the scales is out of the range of each")
    scale = build.const("scale", first * second, dtype)
    return build.op("MatMul", build.op("Mul", m.value("a"), scale), m.value("b"))
