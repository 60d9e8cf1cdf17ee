"""What is certain about the size of symbolic integers: bounds, comparison, min, max, broadcast.

Symbols and unknown dimensions are >= 0; nothing more is assumed of them. In particular they may be zero.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from onnxopt.analysis.expr import (
    CACHE_SIZE,
    Atom,
    Dim,
    DimExpr,
    Interval,
    Monomial,
    Opaque,
    add,
    atom_key,
    fresh,
    is_value_name,
    mul,
    of_atom,
    opaque,
    render,
    sole_atom,
)

_ANY: Interval = (None, None)
_MAX_ARGS = 6


def bounds(dim: Dim) -> Interval:
    """The least and greatest value ``dim`` can take; None stands for no known bound."""
    if isinstance(dim, int):
        return dim, dim
    if dim.interval is None:
        low, high = _sum_bounds(dim)
        if low is None or high is None:
            least, greatest = _relaxed(dim, -1), _relaxed(dim, 1)
            low = low if least is None else bounds(least)[0]
            high = high if greatest is None else bounds(greatest)[1]
        dim.interval = (low, high)
    return dim.interval


def _sum_bounds(dim: DimExpr) -> Interval:
    """The bounds of each term added up, as if the terms had nothing to do with each other."""
    low: int | None = 0
    high: int | None = 0
    for mono, coefficient in dim.terms:
        term_low, term_high = _scale(_monomial_bounds(mono), coefficient)
        low = None if low is None or term_low is None else low + term_low
        high = None if high is None or term_high is None else high + term_high
    return low, high


def _relaxed(dim: DimExpr, direction: int) -> Dim | None:
    """A bound of ``dim`` without its floor divisions, by ``x - c < c * (x // c) <= x``.

    Args:
        dim: The expression.
        direction: -1 for a lower bound, 1 for an upper one.

    Returns:
        None when there is no floor division to replace.
    """
    bound: Dim = dim
    for mono, coefficient in dim.terms:
        atom = mono[0] if len(mono) == 1 else None
        if not isinstance(atom, Opaque) or atom.kind != "floordiv":
            continue
        x, c = atom.args
        if isinstance(c, DimExpr) or c <= 0 or coefficient % c:
            continue
        factor = coefficient // c
        slack = 0 if (factor > 0) == (direction > 0) else c - 1
        replaced = mul(add(x, -slack), factor)
        bound = add(add(bound, mul(of_atom(atom), -coefficient)), replaced)
    return None if bound is dim else bound


def is_nonnegative(dim: Dim) -> bool:
    """Whether ``dim >= 0`` for certain."""
    return at_least(dim, 0)


def at_least(dim: Dim, least: int) -> bool:
    """Whether ``dim >= least`` for certain."""
    low = bounds(dim)[0]
    return low is not None and low >= least


def equal(a: Dim, b: Dim) -> bool | None:
    """Whether two dimensions are equal: True or False when certain, else None."""
    if a == b:
        return True
    low, high = bounds(_difference(a, b))
    if (low is not None and low > 0) or (high is not None and high < 0):
        return False
    return None


def less(a: Dim, b: Dim) -> bool | None:
    """Whether ``a < b``: True or False when certain, else None."""
    low, high = bounds(_difference(a, b))
    if high is not None and high < 0:
        return True
    if low is not None and low >= 0:
        return False
    return None


def maximum(*dims: Dim) -> Dim:
    """The greatest of the dimensions."""
    return _extreme("max", dims)


def minimum(*dims: Dim) -> Dim:
    """The least of the dimensions."""
    return _extreme("min", dims)


@lru_cache(maxsize=CACHE_SIZE)
def broadcast(a: Dim, b: Dim) -> Dim | None:
    """The dimension that ``a`` and ``b`` broadcast to, where they are equal or one of them is 1.

    Returns:
        None when they cannot broadcast.
    """
    if a == b or b == 1:
        return a
    if a == 1:
        return b
    if isinstance(a, int):
        return None if isinstance(b, int) else a
    if isinstance(b, int):
        return b
    if at_least(a, 2) or _is_cut_of(b, a):
        return a
    if at_least(b, 2) or _is_cut_of(a, b):
        return b
    args = _flatten("broadcast", (a, b))
    return opaque("broadcast", *args) if len(args) <= _MAX_ARGS else fresh()


def _is_cut_of(a: Dim, whole: Dim) -> bool:
    """Whether ``a`` is ``min(whole, n, …)`` with ``n >= 1``.

    Then broadcasting gives ``whole``: the two are equal, or ``a`` is 1, or ``whole`` is 1 and so is ``a``.
    """
    atom = sole_atom(a)
    if not isinstance(atom, Opaque) or atom.kind != "min" or whole not in atom.args:
        return False
    return all(arg == whole or at_least(arg, 1) for arg in atom.args)


def _difference(a: Dim, b: Dim) -> Dim:
    return add(a, mul(b, -1))


def _flatten(kind: str, dims: Iterable[Dim]) -> list[Dim]:
    """The arguments of nested applications of ``kind``, once each and in order."""
    found: dict[Dim, None] = {}
    for dim in dims:
        atom = sole_atom(dim)
        inner = atom.args if isinstance(atom, Opaque) and atom.kind == kind else (dim,)
        found.update(dict.fromkeys(inner))
    return sorted(found, key=_dim_key)


def _dim_key(dim: Dim) -> tuple[bool, str]:
    atom = sole_atom(dim)
    return isinstance(dim, int), render(dim) if atom is None else atom_key(atom)


def _extreme(kind: str, dims: Iterable[Dim]) -> Dim:
    """The greatest or least of ``dims``, without those that can never be it."""
    kept: list[Dim] = []
    for dim in _flatten(kind, dims):
        if any(_dominates(kind, other, dim) for other in kept):
            continue
        kept = [other for other in kept if not _dominates(kind, dim, other)]
        kept.append(dim)
    return kept[0] if len(kept) == 1 else opaque(kind, *kept)


def _dominates(kind: str, a: Dim, b: Dim) -> bool:
    """Whether ``b`` never is the extreme beside ``a``."""
    return is_nonnegative(_difference(a, b) if kind == "max" else _difference(b, a))


def _scale(interval: Interval, factor: int) -> Interval:
    low, high = interval
    low = None if low is None else low * factor
    high = None if high is None else high * factor
    return (low, high) if factor > 0 else (high, low)


def _monomial_bounds(mono: Monomial) -> Interval:
    result: Interval = (1, 1)
    for atom in mono:
        result = _product(result, _atom_bounds(atom))
    return result


def _product(a: Interval, b: Interval) -> Interval:
    """Bounds of a product; only what is needed for factors that are mostly >= 0."""
    a_low, a_high = a
    b_low, b_high = b
    if a_low is not None and b_low is not None and a_low >= 0 and b_low >= 0:
        return a_low * b_low, None if a_high is None or b_high is None else a_high * b_high
    if a_low is None or a_high is None or b_low is None or b_high is None:
        return _ANY
    corners = [x * y for x in (a_low, a_high) for y in (b_low, b_high)]
    return min(corners), max(corners)


def _atom_bounds(atom: Atom) -> Interval:
    if isinstance(atom, str):
        return _ANY if is_value_name(atom) else (0, None)
    if atom.kind == "mod":
        return _mod_bounds(*atom.args)
    if atom.kind in ("floordiv", "truncdiv"):
        return _quotient_bounds(atom.kind, *atom.args)
    lows, highs = zip(*(bounds(arg) for arg in atom.args), strict=True)
    if atom.kind == "max":
        return _greatest(lows, partial=True), _greatest(highs, partial=False)
    if atom.kind == "min":
        return _least(lows, partial=False), _least(highs, partial=True)
    return _least(lows, partial=False), _greatest(highs, partial=False)


def _mod_bounds(a: Dim, b: Dim) -> Interval:
    low, high = bounds(b)
    if low is None or low < 0:
        return _ANY
    top = None if high is None else high - 1
    a_low, a_high = bounds(a)
    if a_low is not None and a_low >= 0 and a_high is not None:
        top = a_high if top is None else min(top, a_high)
    return 0, top


def _quotient_bounds(kind: str, a: Dim, b: Dim) -> Interval:
    low, high = bounds(a)
    if isinstance(b, DimExpr):
        if low is not None and low >= 0 and is_nonnegative(b):
            return 0, high
        return _ANY
    if b <= 0:
        return _ANY
    if kind == "floordiv":
        return None if low is None else low // b, None if high is None else high // b
    return None if low is None else int_truncate(low, b), None if high is None else int_truncate(
        high, b
    )


def int_truncate(a: int, b: int) -> int:
    """``a / b`` rounded towards zero, for ``b > 0``."""
    return a // b if a >= 0 else -(-a // b)


def _greatest(values: tuple[int | None, ...], *, partial: bool) -> int | None:
    known = [value for value in values if value is not None]
    return max(known) if known and (partial or len(known) == len(values)) else None


def _least(values: tuple[int | None, ...], *, partial: bool) -> int | None:
    known = [value for value in values if value is not None]
    return min(known) if known and (partial or len(known) == len(values)) else None
