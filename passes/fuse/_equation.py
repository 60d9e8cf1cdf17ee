"""Reading the equation of an ``Einsum`` of two factors as a matrix product.

Each letter of a product of matrices is one of four kinds: *batch* (in both factors and the result), *row*
(in the first factor and the result), *column* (in the second and the result), *inner* (in both, summed).
Source: https://onnx.ai/onnx/operators/onnx__Einsum.html.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

ELLIPSIS = "…"
_FIRST_SPREAD = 0x2460


@dataclass(frozen=True)
class Equation:
    """An equation, its terms as strings of letters; an ellipsis counts as one letter."""

    factors: tuple[str, ...]
    result: str


def parse_equation(text: str) -> Equation | None:
    """Parses an equation that names its result; None for repeated letters or other forms."""
    compact = text.replace(" ", "").replace("...", ELLIPSIS)
    left, arrow, right = compact.partition("->")
    factors = tuple(left.split(","))
    if not arrow or any(len(set(term)) != len(term) for term in (*factors, right)):
        return None
    return Equation(factors, right)


@dataclass(frozen=True)
class Product:
    """How an equation of two factors is a ``MatMul``.

    Attributes:
        swap: Whether the second factor comes first.
        transpose: Whether the factor that comes second must have its last two axes swapped.
        inner: The letter that is summed.
    """

    swap: bool
    transpose: bool
    inner: str


def as_product(equation: Equation) -> Product | None:
    """Finds a ``MatMul`` that computes an equation of two factors, if one does."""
    for swap in (False, True):
        first, second = equation.factors[::-1] if swap else equation.factors
        inner = first[-1:]
        if not inner or inner in equation.result or inner not in second:
            continue
        batch, columns = _second(second, inner)
        if columns is None or inner == ELLIPSIS:
            continue
        if not _aligned(first[:-1], batch) or equation.result != first[:-1] + columns:
            continue
        return Product(swap, second[-1] == inner, inner)
    return None


def _second(term: str, inner: str) -> tuple[str, str | None]:
    """Splits a second factor into its batch letters and its column letter."""
    if len(term) < 2 or inner not in term[-2:]:
        return "", None
    columns = term[-1] if term[-2] == inner else term[-2]
    return term[:-2], None if columns == ELLIPSIS else columns


def _aligned(rows: str, batch: str) -> bool:
    """Whether the second factor is a plain matrix, or has the first one's batch letters and no more.

    In the second case one axis must be left for the rows, where an ellipsis may stand for several.
    """
    return batch == "" or (batch == rows[:-1] and rows[-1:] != ELLIPSIS)


def spread(equation: Equation, ranks: Sequence[int]) -> Equation | None:
    """Writes ellipses as letters of their own, so that every axis has one.

    Args:
        equation: The equation.
        ranks: The rank of each factor.

    Returns:
        The equation without ellipses; None where factors have ellipses of different extents, or ranks that do not
        fit.
    """
    extents = {
        rank - len(term) + 1
        for term, rank in zip(equation.factors, ranks, strict=True)
        if ELLIPSIS in term
    }
    if not extents:
        return equation
    if len(extents) > 1 or min(extents) < 0:
        return None
    letters = "".join(chr(_FIRST_SPREAD + i) for i in range(extents.pop()))
    factors = tuple(term.replace(ELLIPSIS, letters) for term in equation.factors)
    return Equation(factors, equation.result.replace(ELLIPSIS, letters))


@dataclass(frozen=True)
class Permuted:
    """How an equation of two factors is a ``MatMul`` of permuted factors, its result permuted.

    Attributes:
        swap: Whether the second factor comes first.
        first: The permutation of the factor that comes first.
        second: That of the other.
        result: That of the product.
        inner: The letter that is summed.
    """

    swap: bool
    first: tuple[int, ...]
    second: tuple[int, ...]
    result: tuple[int, ...]
    inner: str


def as_permuted(equation: Equation, swap: bool) -> Permuted | None:
    """Finds permutations that make an equation without ellipses a ``MatMul``, in one order of its factors.

    There must be one inner letter, one column and one row; several rows where the other factor is a matrix.
    """
    first, second = equation.factors[::-1] if swap else equation.factors
    result = equation.result
    batch = "".join(letter for letter in result if letter in first and letter in second)
    rows = "".join(letter for letter in result if letter in first and letter not in second)
    columns = "".join(letter for letter in result if letter not in first and letter in second)
    inner = "".join(letter for letter in first if letter in second and letter not in result)
    whole = len(first) == len(batch + rows + inner) and len(second) == len(batch + columns + inner)
    if not whole or len(inner) != 1 or len(columns) != 1 or len(result) != len(batch + rows) + 1:
        return None
    if not rows or (len(rows) > 1 and batch):
        return None
    product = batch + rows + columns
    return Permuted(
        swap,
        tuple(map(first.index, batch + rows + inner)),
        tuple(map(second.index, batch + inner + columns)),
        tuple(map(product.index, result)),
        inner,
    )
