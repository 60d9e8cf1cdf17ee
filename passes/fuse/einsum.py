"""``Einsum`` as what it is: ``MatMul``, ``Mul``, ``Transpose`` or a sum."""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Declined, Match, Skip, op, rule

from .._forms import build_transpose
from ._channels import dims
from ._equation import ELLIPSIS, Equation, Product, as_product, parse_equation


def _equation(m: Match, count: int) -> Equation:
    equation = parse_equation(str(m.attr(m.root, "equation", "")))
    if equation is None or len(equation.factors) != count:
        raise Declined("the equation is not a plain one")
    return equation


def _same_dim(m: Match, equation: Equation, letter: str) -> bool:
    """Whether the two factors surely have one size for a letter (an ``Einsum`` may broadcast it)."""
    found = []
    for term, value in zip(equation.factors, m.root.inputs, strict=True):
        shape = None if value is None else m.facts.shape(value)
        if shape is None:
            return False
        # The letter stands after any ellipsis, so that it counts from the end.
        found.append(shape[term.index(letter) - len(term)])
    return bool(found[0] == found[1])


def _swapped(m: Match, build: Builder, value: ir.Value) -> ir.Value:
    """Swaps the last two axes of a constant; of anything else that would be one more node."""
    tensor = m.facts.const_tensor(value)
    if tensor is None:
        raise Declined("a factor would have to be transposed")
    shape = tuple(dims(tensor))
    turned = (*shape[:-2], shape[-1], shape[-2])
    return build.lazy("weight", tensor.dtype, turned, lambda: tensor.numpy().swapaxes(-1, -2))


@rule(op.Einsum("a", "b"))
def einsum_to_matmul(m: Match, build: Builder) -> ir.Value | Skip:
    """Replace an ``Einsum`` of two factors by the ``MatMul`` that it is.

    A constant factor is transposed as needed; declines where another would have to be, where no ``MatMul``
    computes the equation, and where the summed axes are not proven to have one size.

    Example: Einsum<equation="bsd,de->bse">(x, w) -> MatMul(x, w)
    """
    equation = _equation(m, 2)
    product = as_product(equation)
    if product is None:
        return Skip("no product of matrices computes the equation")
    if not _same_dim(m, equation, product.inner):
        return Skip("the summed axes are not proven to have one size")
    return _matmul(m, build, product)


def _matmul(m: Match, build: Builder, product: Product) -> ir.Value:
    first, second = m.value("a"), m.value("b")
    if product.swap:
        first, second = second, first
    if product.transpose:
        second = _swapped(m, build, second)
    return build.op("MatMul", first, second)


@rule(op.Einsum("a", "b"))
def einsum_to_mul(m: Match, build: Builder) -> ir.Value | Skip:
    """Replace an ``Einsum`` that multiplies element by element by ``Mul``.

    Declines unless both factors and the result have the same letters in the same order.

    Example: Einsum<equation="ij,ij->ij">(a, b) -> Mul(a, b)
    """
    equation = _equation(m, 2)
    if equation.factors != (equation.result, equation.result):
        return Skip("it does not multiply element by element")
    return build.op("Mul", m.value("a"), m.value("b"))


@rule(op.Einsum("a"), exact=True)
def einsum_to_transpose(m: Match, build: Builder) -> ir.Value | Skip:
    """Replace an ``Einsum`` that permutes axes by ``Transpose``.

    Declines for sums and diagonals.

    Example: Einsum<equation="bij->bji">(x) -> Transpose<perm=[0,2,1]>(x)
    """
    equation = _equation(m, 1)
    term = equation.factors[0]
    if sorted(term) != sorted(equation.result) or ELLIPSIS in term:
        return Skip("it does not permute axes")
    perm = [term.index(letter) for letter in equation.result]
    return build_transpose(build, m.value("a"), perm)
