"""Division of symbolic integers: exact where the polynomial divides, else an opaque term.

``floor((q*b + r)/b) = q + floor(r/b)`` and ``(q*b + r) mod b = r mod b`` hold for every integer ``q``
and ``b != 0``; both take out of a division what can be divided, so that ``(6*s + 5)//3`` and
``2*s + 1 + 2//3`` have one normal form. Where the divisor is zero all of them are undefined, as they
are in a model that divides by it.
"""

from __future__ import annotations

from functools import lru_cache
from math import gcd

from onnxopt.analysis.expr import (
    CACHE_SIZE,
    Dim,
    DimExpr,
    Monomial,
    Opaque,
    add,
    as_terms,
    from_terms,
    mul,
    opaque,
)
from onnxopt.analysis.order import bounds, is_nonnegative

_MAX_STEPS = 64


@lru_cache(maxsize=CACHE_SIZE)
def floor_divide(a: Dim, b: Dim) -> Dim:
    """``a // b`` rounded towards minus infinity; undefined where ``b`` is zero."""
    if isinstance(a, int) and isinstance(b, int):
        return a // b
    quotient, rest = divide(a, b)
    if rest == 0:
        return quotient
    rest, b = _cancel(rest, b)
    low, high = bounds(rest)
    if isinstance(b, int):
        if low is not None and high is not None and low // b == high // b:
            return add(quotient, low // b)
        nested = _nested_floor(rest, b)
        if nested is not None:
            return add(quotient, nested)
    elif _between_zero_and(rest, b):
        return quotient
    return add(quotient, opaque("floordiv", rest, b))


@lru_cache(maxsize=CACHE_SIZE)
def truncating_divide(a: Dim, b: Dim) -> Dim:
    """``a / b`` rounded towards zero, as ONNX's integer ``Div``; undefined where ``b`` is zero."""
    if isinstance(a, int) and isinstance(b, int):
        size = abs(a) // abs(b)
        return size if (a < 0) == (b < 0) else -size
    exact = exact_divide(a, b)
    if exact is not None:
        return exact
    if is_nonnegative(a) and is_nonnegative(b):
        return floor_divide(a, b)
    return opaque("truncdiv", a, b)


@lru_cache(maxsize=CACHE_SIZE)
def modulo(a: Dim, b: Dim) -> Dim:
    """``a % b`` with the sign of ``b``; undefined where ``b`` is zero."""
    if isinstance(a, int) and isinstance(b, int):
        return a % b
    _, rest = divide(a, b)
    if rest == 0 or _between_zero_and(rest, b):
        return rest
    return opaque("mod", rest, b)


@lru_cache(maxsize=CACHE_SIZE)
def exact_divide(a: Dim, b: Dim) -> Dim | None:
    """The ``q`` with ``q * b == a`` for all values of the symbols, or None where there is none.

    The quotient stands for ``a / b`` where ``b`` is not zero. Where a symbol in ``b`` is zero so is ``a``, and
    every ``q`` would do: for a ``Reshape`` that means that zero-size tensors may differ in such a
    dimension, where the runtime itself cannot infer ``-1``.
    """
    if b == 0:
        return None
    quotient, rest = divide(a, b)
    return quotient if rest == 0 else None


def divide(a: Dim, b: Dim) -> tuple[Dim, Dim]:
    """``(q, r)`` with ``a == q * b + r``, where ``q`` takes in all it can; ``b`` is not ``0``."""
    divisor = as_terms(b)
    if len(divisor) == 1:
        return _divide_by_monomial(a, *divisor[0])
    return _long_division(a, b) or (0, a)


def _divide_by_monomial(a: Dim, mono: Monomial, coefficient: int) -> tuple[Dim, Dim]:
    quotient: dict[Monomial, int] = {}
    rest: dict[Monomial, int] = {}
    for term, factor in as_terms(a):
        remaining = _without(term, mono)
        if remaining is None:
            rest[term] = factor
            continue
        q, r = divmod(factor, coefficient)
        quotient[remaining] = q
        rest[term] = r
    return from_terms(quotient), from_terms(rest)


def _without(mono: Monomial, part: Monomial) -> Monomial | None:
    """``mono / part``, or None when ``part`` does not divide it."""
    if not part:
        return mono
    left = list(mono)
    for atom in part:
        if atom not in left:
            return None
        left.remove(atom)
    return tuple(left)


def _long_division(a: Dim, b: Dim) -> tuple[Dim, Dim] | None:
    """Exact division by a sum; None when a remainder is left."""
    lead_mono, lead = as_terms(b)[0]
    quotient: Dim = 0
    rest = a
    for _ in range(_MAX_STEPS):
        if rest == 0:
            return quotient, 0
        mono, factor = as_terms(rest)[0]
        remaining = _without(mono, lead_mono)
        if remaining is None or factor % lead:
            return None
        step = from_terms({remaining: factor // lead})
        quotient = add(quotient, step)
        rest = add(rest, mul(mul(step, b), -1))
    return None


def _cancel(a: Dim, b: Dim) -> tuple[Dim, Dim]:
    """``a`` and ``b`` without the factors that all their terms share."""
    terms = as_terms(a) + as_terms(b)
    factor = gcd(*(coefficient for _, coefficient in terms))
    common = list(terms[0][0])
    for mono, _ in terms[1:]:
        left = list(mono)
        kept = []
        for atom in common:
            if atom in left:
                left.remove(atom)
                kept.append(atom)
        common = kept
    if factor == 1 and not common:
        return a, b
    return _shrink(a, tuple(common), factor), _shrink(b, tuple(common), factor)


def _shrink(dim: Dim, common: Monomial, factor: int) -> Dim:
    terms: dict[Monomial, int] = {}
    for mono, coefficient in as_terms(dim):
        remaining = _without(mono, common)
        assert remaining is not None, "the common factor divides every term"
        terms[remaining] = coefficient // factor
    return from_terms(terms)


def _between_zero_and(a: Dim, b: Dim) -> bool:
    """Whether ``0 <= a < b`` for certain."""
    if not is_nonnegative(a):
        return False
    low = bounds(add(b, mul(a, -1)))[0]
    return low is not None and low > 0


def _nested_floor(dim: Dim, b: int) -> Dim | None:
    """``(x//a + k)//b`` as ``(x + k*a)//(a*b)``, for positive ``a`` and ``b``."""
    if isinstance(dim, int) or b <= 0 or len(dim.terms) > 2:
        return None
    (mono, coefficient), *tail = dim.terms
    if coefficient != 1 or len(mono) != 1 or (tail and tail[0][0]):
        return None
    atom = mono[0]
    if not isinstance(atom, Opaque) or atom.kind != "floordiv":
        return None
    inner, a = atom.args
    if isinstance(a, DimExpr) or a <= 0:
        return None
    constant = tail[0][1] if tail else 0
    return floor_divide(add(inner, constant * a), a * b)
