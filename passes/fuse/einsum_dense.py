"""``Einsum`` with a constant of several inner or column axes as a ``MatMul`` by a matrix.

Keras projects attention heads so: ``abc,cde->abde`` to them and ``abcd,cde->abe`` back. The axes of the constant
are flattened into those of a matrix; only the data need a ``Reshape``.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import onnx_ir as ir

from onnxopt.rewrite import Builder, Match, Skip, op, rule

from ._channels import Array, dims
from ._einsum import equation_of, same_dim, spread_of
from ._equation import Equation


@dataclass(frozen=True)
class Dense:
    """The letters of an equation that multiplies data by a constant.

    Attributes:
        rows: Those of the data that stay, which come first in the result.
        inner: Those that are summed, which come last in the data.
        columns: Those of the constant that stay, which come last in the result.
    """

    rows: str
    inner: str
    columns: str


def _dense(equation: Equation, data: int) -> Dense | None:
    """Reads the equation, the data being factor ``data``; None where it is no such product."""
    term, constant = equation.factors[data], equation.factors[1 - data]
    rows = "".join(letter for letter in term if letter not in constant)
    inner = term[len(rows) :]
    columns = "".join(letter for letter in equation.result if letter not in rows)
    if not rows or not inner or not columns or equation.result != rows + columns:
        return None
    return Dense(rows, inner, columns) if sorted(inner + columns) == sorted(constant) else None


@rule(op.Einsum("a", "b"))
def einsum_to_dense(m: Match, build: Builder) -> ir.Value | Skip:
    """Replace an ``Einsum`` with a constant by a ``MatMul``, its axes flattened by ``Reshape``.

    Declines unless one factor is a constant, the equation keeps the data's leading axes and sums the others, the
    constant has more than one inner or column axis, and the summed axes are proven to have one size.

    Example: Einsum<equation="abc,cde->abde">(x, w) -> Reshape(MatMul(x, w), [0, 0, d, e])
    """
    constants = [m.facts.const_tensor(m.value(name)) for name in ("a", "b")]
    if constants.count(None) != 1:
        return Skip("not just one factor is a constant")
    data = constants.index(None)
    equation = spread_of(m, equation_of(m, 2))
    dense = _dense(equation, data)
    if dense is None:
        return Skip("it is no product of rows by a matrix")
    if len(dense.inner) == 1 and len(dense.columns) == 1:
        return Skip("the constant is a matrix as it stands")
    if not all(same_dim(m, equation, letter) for letter in dense.inner):
        return Skip("the summed axes are not proven to have one size")
    weight, columns = _weight(m, build, "ba"[data], equation.factors[1 - data], dense)
    x = m.value("ab"[data])
    lead = [0] * len(dense.rows)
    if len(dense.inner) > 1:
        x = build.op("Reshape", x, build.ints("shape", [*lead, -1]))
    product = build.op("MatMul", x, weight)
    if len(columns) == 1:
        return product
    return build.op("Reshape", product, build.ints("shape", [*lead, *columns]))


def _weight(
    m: Match, build: Builder, name: str, term: str, dense: Dense
) -> tuple[ir.Value, list[int]]:
    """Builds the matrix; returns it with the dims of its column axes."""
    tensor = m.tensor(name)
    perm = [term.index(letter) for letter in dense.inner + dense.columns]
    turned = [dims(tensor)[axis] for axis in perm]
    columns = turned[len(dense.inner) :]
    shape = (prod(turned[: len(dense.inner)]), prod(columns))

    def compute() -> Array:
        return tensor.numpy().transpose(perm).reshape(shape)

    return build.lazy("weight", tensor.dtype, shape, compute), columns
