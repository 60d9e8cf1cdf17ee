"""``MatMul`` with what is transposed or scaled around it, as ``FusedMatMul``.

``FusedMatMul<transA, transB, alpha>(a, b) = alpha * (a' @ b')``, where ``a'`` and ``b'`` have their last two axes swapped if
asked. A number may be multiplied before or after: ``(s a) b = a (s b) = s (a b)``. ``alpha`` is stored in single
precision, whatever the operands are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from onnxopt.rewrite import Builder, Const, Declined, Match, Op, Skip, Var, ms, op, rule

from .._forms import build_transpose, input_of, perm_of
from ._kernels import MICROSOFT, require_float_weights, require_kernel

_BATCHED = ("transBatchA", "transBatchB")


@dataclass(frozen=True)
class _Product:
    """A matched product, plain or fused before.

    Attributes:
        a: Its first operand.
        b: Its second operand.
        trans_a: Whether the last two axes of the first one are swapped.
        trans_b: Those of the second one.
        alpha: What it is multiplied by.
    """

    a: ir.Value
    b: ir.Value
    trans_a: int
    trans_b: int
    alpha: float


def _product(m: Match) -> _Product:
    node = m.node("product")
    a, b = input_of(node, 0), input_of(node, 1)
    if a is None or b is None:
        raise Declined("an operand is absent")
    require_kernel(m, "FusedMatMul", m.dtype(a))
    require_float_weights(m, b)
    if any(m.attr(node, name, 0) for name in _BATCHED):
        raise Declined("the axes of a batch are transposed")
    flags = (int(m.attr(node, "transA", 0)), int(m.attr(node, "transB", 0)))
    return _Product(a, b, *flags, float(m.attr(node, "alpha", 1.0)))


def _build(build: Builder, p: _Product) -> ir.Value:
    return build.op(
        "FusedMatMul",
        *(p.a, p.b),
        domain=MICROSOFT,
        transA=p.trans_a or None,
        transB=p.trans_b or None,
        alpha=None if p.alpha == 1.0 else p.alpha,
    )


_TRANSPOSED = op.Transpose("t", bind="transpose")


def _products(a: Op | Var, b: Op | Var) -> tuple[Op, ...]:
    return (op.MatMul(a, b, bind="product"), ms.FusedMatMul(a, b, bind="product"))


@rule(*_products(_TRANSPOSED, Var("b")), *_products(Var("a"), _TRANSPOSED))
def lower_transposed_matmul(m: Match, build: Builder) -> ir.Value | Skip:
    """Take a ``Transpose`` of an operand's last two axes into ``FusedMatMul``.

    Where the second operand's other axes move as well, as heads do, its ``Transpose`` is left with those and moves whole
    rows: 1.8 instead of 2.5 ms for the keys of 8 x 12 heads, 128 x 64, on onnxruntime's CPU. Declines where the
    target lacks the operator, for other permutations, and for products with a vector.

    Example: MatMul(a, Transpose<perm=[0,1,3,2]>(b)) -> com.microsoft.FusedMatMul<transB=1>(a, b)
    """
    p = _product(m)
    if m.rank(p.a) < 2 or m.rank(p.b) < 2:
        return Skip("an operand is a vector")
    first = p.a is m.node("transpose").outputs[0]
    perm = perm_of(m, m.node("transpose"))
    rest = [*perm[:-2], perm[-1], perm[-2]]
    plain = list(range(len(perm)))
    if rest != plain and (first or rest[-1] != plain[-1]):
        return Skip("the permutation does more than the operator can")
    t = build_transpose(build, m.value("t"), rest)
    if first:
        return _build(build, _Product(t, p.b, 1 - p.trans_a, p.trans_b, p.alpha))
    return _build(build, _Product(p.a, t, p.trans_a, 1 - p.trans_b, p.alpha))


def _factor(m: Match, dtype: ir.DataType, rank: int) -> float:
    """Reads what the matched ``Mul`` or ``Div`` multiplies by, or declines."""
    array = m.const("factor")
    if array.size != 1 or array.ndim > rank:
        raise Declined("the factor is not one number, or raises the rank")
    number = float(array.reshape(-1)[0])
    if m.node("scaled").op_type == "Div":
        number = 1.0 / number if number else 0.0
    if not math.isfinite(number) or float(np.float32(number)) == 0.0:
        raise Declined("the factor is zero or not finite")
    if dtype == ir.DataType.DOUBLE and float(np.float32(number)) != number:
        raise Declined("single precision would round the factor")
    return number


def _scaled(x: Op | Var) -> tuple[Op, ...]:
    factor = Const("factor")
    return op.Mul(x, factor, bind="scaled"), op.Div(x, factor, bind="scaled")


@rule(
    *(p for s in _scaled(Var("x")) for p in _products(s, Var("b"))),
    *(p for s in _scaled(Var("x")) for p in _products(Var("a"), s)),
)
def lower_matmul_operand_scale(m: Match, build: Builder) -> ir.Value:
    """Take a number that an operand is multiplied or divided by into ``FusedMatMul``.

    Declines where the target lacks it, for factors of more than one number, zero, or that single precision would
    round.

    Example: MatMul(Mul(a, 0.125), b) -> com.microsoft.FusedMatMul<alpha=0.125>(a, b)
    """
    p, x = _product(m), m.value("x")
    alpha = p.alpha * _factor(m, m.dtype(x), m.rank(x))
    if p.a is m.node("scaled").outputs[0]:
        return _build(build, _Product(x, p.b, p.trans_a, p.trans_b, alpha))
    return _build(build, _Product(p.a, x, p.trans_a, p.trans_b, alpha))


@rule(*(s for p in _products(Var("a"), Var("b")) for s in _scaled(p)))
def lower_matmul_scale(m: Match, build: Builder) -> ir.Value:
    """Take a number that a product is multiplied or divided by into ``FusedMatMul``.

    Declines where the target lacks it, for factors of more than one number, zero, or that single precision would
    round.

    Example: Div(MatMul(a, b), 8) -> com.microsoft.FusedMatMul<alpha=0.125>(a, b)
    """
    p = _product(m)
    total = m.node("product").outputs[0]
    alpha = p.alpha * _factor(m, m.dtype(total), m.rank(total))
    return _build(build, _Product(p.a, p.b, p.trans_a, p.trans_b, alpha))
