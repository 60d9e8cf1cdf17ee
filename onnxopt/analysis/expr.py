"""Symbolic integers: polynomials with integer coefficients over symbols and opaque terms.

An expression is kept in one normal form, so that equal expressions are equal objects in the sense of
``==`` and ``hash``. A term is an integer times a *monomial*, a sorted tuple of atoms. An atom is
the name of a symbol (``str``) or an :class:`Opaque`: an operation that is no polynomial, such as a
floor division, applied to arguments in normal form.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from functools import lru_cache
from typing import TypeAlias

DIM_MARK = "?"
"""Marks the name of an unknown dimension (an integer >= 0) that no graph input names."""

VALUE_MARK = "!"
"""Marks the name of an unknown integer that may be negative."""

MAX_TERMS = 48
MAX_DEGREE = 16
MAX_SIZE = 96
CACHE_SIZE = 1 << 14


class Opaque:
    """A non-polynomial operation on dimensions, compared by structure.

    Attributes:
        kind: ``floordiv``, ``truncdiv``, ``mod``, ``max``, ``min`` or ``broadcast``.
        args: The arguments, in normal form.
        key: The text that orders atoms, and shows this one.
        size: The number of atoms inside, this one included.
    """

    __slots__ = ("_hash", "args", "key", "kind", "size")

    def __init__(self, kind: str, args: tuple[Dim, ...]) -> None:
        self.kind = kind
        self.args = args
        self.size = 1 + sum(arg.size for arg in args if not isinstance(arg, int))
        self.key = _render_opaque(kind, args)
        self._hash = hash((kind, args))

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return (
            isinstance(other, Opaque)
            and self._hash == other._hash
            and self.kind == other.kind
            and self.args == other.args
        )

    def __hash__(self) -> int:
        return self._hash


Atom: TypeAlias = str | Opaque
Monomial: TypeAlias = tuple[Atom, ...]
Interval: TypeAlias = tuple[int | None, int | None]


class DimExpr:
    """An integer that is not known as a number: an immutable polynomial in normal form.

    Build one with :func:`symbol` or :func:`fresh` and with the operators ``+ - * // %``, which
    give an ``int`` when the result is constant. ``//`` and ``%`` round as Python's do and are
    taken as undefined where the divisor is zero.
    """

    __slots__ = ("_hash", "interval", "size", "terms")

    terms: tuple[tuple[Monomial, int], ...]
    interval: Interval | None
    size: int

    def __init__(self, terms: tuple[tuple[Monomial, int], ...]) -> None:
        self.terms = terms
        self.interval = None
        self._hash = hash(terms)
        self.size = sum(
            1 if isinstance(atom, str) else atom.size for mono, _ in terms for atom in mono
        )

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return (
            isinstance(other, DimExpr) and self._hash == other._hash and self.terms == other.terms
        )

    def __hash__(self) -> int:
        return self._hash

    def __add__(self, other: Dim) -> Dim:
        return add(self, other)

    __radd__ = __add__

    def __neg__(self) -> Dim:
        return mul(self, -1)

    def __sub__(self, other: Dim) -> Dim:
        return add(self, mul(other, -1))

    def __rsub__(self, other: Dim) -> Dim:
        return add(mul(self, -1), other)

    def __mul__(self, other: Dim) -> Dim:
        return mul(self, other)

    __rmul__ = __mul__

    def __floordiv__(self, other: Dim) -> Dim:
        from onnxopt.analysis.division import floor_divide

        return floor_divide(self, other)

    def __rfloordiv__(self, other: Dim) -> Dim:
        from onnxopt.analysis.division import floor_divide

        return floor_divide(other, self)

    def __mod__(self, other: Dim) -> Dim:
        from onnxopt.analysis.division import modulo

        return modulo(self, other)

    def __rmod__(self, other: Dim) -> Dim:
        from onnxopt.analysis.division import modulo

        return modulo(other, self)

    def __str__(self) -> str:
        return render(self)

    def __repr__(self) -> str:
        return f"DimExpr({render(self)})"


Dim: TypeAlias = int | DimExpr

_symbols: dict[str, DimExpr] = {}
_counter = itertools.count(1)


def symbol(name: str) -> DimExpr:
    """The dimension called ``name``: any integer >= 0, the same one wherever the name is used."""
    found = _symbols.get(name)
    if found is None:
        # Doubling the marks keeps user names apart from generated ones.
        escaped = name.replace(DIM_MARK, DIM_MARK * 2).replace(VALUE_MARK, VALUE_MARK * 2)
        found = _symbols[name] = of_atom(escaped)
    return found


def fresh(prefix: str = "u") -> DimExpr:
    """A dimension nothing is known of but that it is >= 0, unlike every other."""
    return of_atom(f"{prefix}{DIM_MARK}{next(_counter)}")


def fresh_value(prefix: str = "v") -> DimExpr:
    """An integer nothing is known of, not even its sign, unlike every other."""
    return of_atom(f"{prefix}{VALUE_MARK}{next(_counter)}")


def is_generated(name: str) -> bool:
    """Whether an atom's name was made by :func:`fresh` or :func:`fresh_value`."""
    head, mark, tail = name.rpartition(DIM_MARK)
    if not mark:
        head, mark, tail = name.rpartition(VALUE_MARK)
    return bool(mark) and tail.isdigit() and not head.endswith(mark)


def is_value_name(name: str) -> bool:
    """Whether an atom's name was made by :func:`fresh_value`, so that it may be negative."""
    return VALUE_MARK in name and is_generated(name)


def of_atom(atom: Atom) -> DimExpr:
    """The expression that is just ``atom``."""
    return DimExpr((((atom,), 1),))


def opaque(kind: str, *args: Dim) -> DimExpr:
    """The expression that is ``kind`` applied to ``args``; an unknown when it would be too large."""
    atom = Opaque(kind, args)
    return of_atom(atom) if atom.size <= MAX_SIZE else fresh_value()


def sole_atom(dim: Dim) -> Atom | None:
    """The atom a dimension consists of, or None when it is anything more than one atom."""
    if isinstance(dim, int) or len(dim.terms) != 1:
        return None
    mono, coefficient = dim.terms[0]
    return mono[0] if coefficient == 1 and len(mono) == 1 else None


def is_name(dim: Dim) -> bool:
    """Whether ``dim`` is one symbol or unknown and nothing more."""
    return isinstance(sole_atom(dim), str)


def as_terms(dim: Dim) -> tuple[tuple[Monomial, int], ...]:
    """The terms of a dimension, constants included."""
    if isinstance(dim, DimExpr):
        return dim.terms
    return (((), dim),) if dim else ()


def from_terms(terms: Mapping[Monomial, int]) -> Dim:
    """The normal form of a sum of terms; an unknown when it would be too large."""
    kept = [(mono, coefficient) for mono, coefficient in terms.items() if coefficient]
    if not kept:
        return 0
    if len(kept) == 1:
        if not kept[0][0]:
            return kept[0][1]
    else:
        kept.sort(key=_term_key)
    if len(kept) > MAX_TERMS or any(len(mono) > MAX_DEGREE for mono, _ in kept):
        return fresh_value()
    expr = DimExpr(tuple(kept))
    return expr if expr.size <= MAX_SIZE else fresh_value()


@lru_cache(maxsize=CACHE_SIZE)
def add(a: Dim, b: Dim) -> Dim:
    """The sum of two dimensions."""
    if isinstance(a, int) and isinstance(b, int):
        return a + b
    terms = dict(as_terms(a))
    for mono, coefficient in as_terms(b):
        terms[mono] = terms.get(mono, 0) + coefficient
    return from_terms(terms)


@lru_cache(maxsize=CACHE_SIZE)
def mul(a: Dim, b: Dim) -> Dim:
    """The product of two dimensions."""
    if isinstance(a, int):
        if isinstance(b, int):
            return a * b
        a, b = b, a
    if isinstance(b, int):
        if b == 1:
            return a
        return DimExpr(tuple((m, c * b) for m, c in a.terms)) if b else 0
    terms: dict[Monomial, int] = {}
    for mono_a, coefficient_a in a.terms:
        for mono_b, coefficient_b in b.terms:
            mono = (
                tuple(sorted(mono_a + mono_b, key=atom_key))
                if mono_a and mono_b
                else mono_a + mono_b
            )
            terms[mono] = terms.get(mono, 0) + coefficient_a * coefficient_b
    return from_terms(terms)


def atom_key(atom: Atom) -> str:
    """The text that orders atoms: symbols by name, then operations."""
    return atom if isinstance(atom, str) else "\U0010ffff" + atom.key


def _term_key(term: tuple[Monomial, int]) -> tuple[int, list[str]]:
    """Orders terms by falling degree, then by their atoms: a monomial order."""
    return -len(term[0]), [atom_key(atom) for atom in term[0]]


def render(dim: Dim) -> str:
    """A dimension as text, such as ``b*s``, ``2*s - 1`` or ``(s + 1)//2``.

    A symbol is its bare name; within an expression, a name that is no word stands in quotes.
    """
    if isinstance(dim, int):
        return str(dim)
    if (atom := sole_atom(dim)) is not None:
        return atom.key if isinstance(atom, Opaque) else plain_name(atom)
    text = ""
    for mono, coefficient in dim.terms:
        body = "*".join(_render_atom(atom) for atom in mono)
        size = abs(coefficient)
        if not body:
            body = str(size)
        elif size != 1:
            body = f"{size}*{body}"
        if not text:
            text = body if coefficient > 0 else f"-{body}"
        else:
            text += f" + {body}" if coefficient > 0 else f" - {body}"
    return text


def plain_name(atom: str) -> str:
    """The name behind an atom, as the user or :func:`fresh` gave it."""
    if is_generated(atom):
        return atom.replace(DIM_MARK, "").replace(VALUE_MARK, "")
    return atom.replace(DIM_MARK * 2, DIM_MARK).replace(VALUE_MARK * 2, VALUE_MARK)


def _render_atom(atom: Atom) -> str:
    if isinstance(atom, str):
        name = plain_name(atom)
        return name if name.isidentifier() else f"'{name}'"
    return f"({atom.key})" if atom.kind in ("floordiv", "mod") else atom.key


def _render_opaque(kind: str, args: tuple[Dim, ...]) -> str:
    sign = {"floordiv": "//", "mod": "%"}.get(kind)
    if sign is None:
        return f"{kind}({', '.join(map(_render_arg, args))})"
    left, right = (
        _render_arg(arg) if isinstance(arg, int) or is_name(arg) else f"({render(arg)})"
        for arg in args
    )
    return f"{left}{sign}{right}"


def _render_arg(arg: Dim) -> str:
    atom = sole_atom(arg)
    return render(arg) if atom is None else _render_atom(atom)
