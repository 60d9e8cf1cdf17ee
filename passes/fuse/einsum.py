"""``Einsum`` as what it is: ``MatMul``, ``Mul`` or ``Transpose``."""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Declined, Match, Skip, op, rule

from .._forms import build_transpose, build_unsqueeze
from ._channels import dims
from ._einsum import equation_of, same_dim, spread_of
from ._equation import Product, as_product


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
    equation = equation_of(m, 2)
    product = as_product(equation)
    if product is None:
        return Skip("no product of matrices computes the equation")
    if not same_dim(m, equation, product.inner):
        return Skip("the summed axes are not proven to have one size")
    return _matmul(m, build, product)


def _matmul(m: Match, build: Builder, product: Product) -> ir.Value:
    first, second = m.value("a"), m.value("b")
    if product.swap:
        first, second = second, first
    if product.transpose:
        second = _swapped(m, build, second)
    return build.op("MatMul", first, second)


def _aligned(m: Match, build: Builder, value: ir.Value, term: str, result: str) -> ir.Value:
    """Inserts axes where a factor lacks letters of the result; those before its first need none."""
    rest = result[result.index(term[0]) :] if term else ""
    missing = [i for i, letter in enumerate(rest) if letter not in term]
    return build_unsqueeze(m, build, value, missing) if missing else value


@rule(op.Einsum("a", "b"))
def einsum_to_mul(m: Match, build: Builder) -> ir.Value | Skip:
    """Replace an ``Einsum`` that sums nothing by ``Mul``.

    A factor that lacks axes gets them. Declines where a letter is summed, and where the letters of a factor stand
    in another order than in the result.

    Example: Einsum<equation="bhwc,bc->bhwc">(a, b) -> Mul(a, Unsqueeze(b, [1, 2]))
    """
    equation = equation_of(m, 2)
    if equation.factors == (equation.result, equation.result):
        return build.op("Mul", m.value("a"), m.value("b"))
    equation = spread_of(m, equation)
    result = equation.result
    kept = ["".join(x for x in result if x in term) for term in equation.factors]
    if kept != list(equation.factors) or set(result) != {*kept[0], *kept[1]}:
        return Skip("it does not multiply element by element")
    values = (m.value("a"), m.value("b"))
    aligned = [
        _aligned(m, build, v, t, result) for v, t in zip(values, equation.factors, strict=True)
    ]
    return build.op("Mul", *aligned)


@rule(op.Einsum("a"), exact=True)
def einsum_to_transpose(m: Match, build: Builder) -> ir.Value | Skip:
    """Replace an ``Einsum`` that permutes axes by ``Transpose``.

    Declines for sums and diagonals.

    Example: Einsum<equation="bij->bji">(x) -> Transpose<perm=[0,2,1]>(x)
    """
    equation = spread_of(m, equation_of(m, 1))
    term = equation.factors[0]
    if sorted(term) != sorted(equation.result):
        return Skip("it does not permute axes")
    perm = [term.index(letter) for letter in equation.result]
    return build_transpose(build, m.value("a"), perm)
