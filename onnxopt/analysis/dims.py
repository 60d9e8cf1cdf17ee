"""Dimensions as values: integers where they are known, else symbolic expressions that compare equal when they are.

What is assumed of a symbol is only that it is an integer >= 0. It may be zero, so nothing here
concludes ``s >= 1``. Divisions count as undefined where the divisor is zero: ``s // s`` is 1 and
``exact_divide(b*s, s)`` is ``b``. That is sound for a model's own ``Div`` (it would fail on zero) and for the ``-1``
of a ``Reshape`` (which no runtime can infer among zeros), and for nothing else.

Unknowns are named: :func:`fresh` gives a dimension that equals no other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from onnxopt.analysis.division import (
    exact_divide,
    floor_divide,
    modulo,
    truncating_divide,
)
from onnxopt.analysis.expr import (
    Atom,
    Dim,
    DimExpr,
    Opaque,
    fresh,
    fresh_value,
    is_generated,
    plain_name,
    render,
    sole_atom,
    symbol,
)
from onnxopt.analysis.order import (
    at_least,
    bounds,
    broadcast,
    equal,
    is_nonnegative,
    less,
    maximum,
    minimum,
)

__all__ = [
    "Dim",
    "DimExpr",
    "at_least",
    "bounds",
    "broadcast",
    "equal",
    "evaluate",
    "exact_divide",
    "floor_divide",
    "free_symbols",
    "fresh",
    "fresh_value",
    "is_nonnegative",
    "is_symbol",
    "is_unknown",
    "less",
    "maximum",
    "minimum",
    "modulo",
    "product",
    "render",
    "substitute",
    "symbol",
    "truncating_divide",
]


def product(dims: Iterable[Dim]) -> Dim:
    """The product of dimensions; 1 for none."""
    result: Dim = 1
    for dim in dims:
        result = result * dim
    return result


def is_symbol(dim: Dim) -> bool:
    """Whether ``dim`` is one symbol or unknown and nothing more."""
    return isinstance(sole_atom(dim), str)


def is_unknown(dim: Dim) -> bool:
    """Whether ``dim`` is one unknown that :func:`fresh` or :func:`fresh_value` made."""
    atom = sole_atom(dim)
    return isinstance(atom, str) and is_generated(atom)


def free_symbols(dim: Dim) -> frozenset[str]:
    """The rendered names of all symbols and unknowns inside ``dim``."""
    if isinstance(dim, int):
        return frozenset()
    names: set[str] = set()
    for mono, _ in dim.terms:
        for atom in mono:
            if isinstance(atom, str):
                names.add(plain_name(atom))
            else:
                names.update(*(free_symbols(arg) for arg in atom.args))
    return frozenset(names)


def substitute(dim: Dim, values: Mapping[str, Dim]) -> Dim:
    """``dim`` with the symbols named in ``values`` replaced; an ``int`` when none is left.

    Args:
        dim: The dimension.
        values: What to put in for each name, as :func:`render` shows it.

    Raises:
        ZeroDivisionError: A divisor in ``dim`` becomes zero.
        ValueError: Dimensions that must broadcast with each other do not.
    """
    if isinstance(dim, int):
        return dim
    total: Dim = 0
    for mono, coefficient in dim.terms:
        total = total + coefficient * product(_substitute_atom(atom, values) for atom in mono)
    return total


def _substitute_atom(atom: Atom, values: Mapping[str, Dim]) -> Dim:
    if isinstance(atom, str):
        found = values.get(plain_name(atom))
        return DimExpr((((atom,), 1),)) if found is None else found
    return _apply(atom, [substitute(arg, values) for arg in atom.args])


def _apply(atom: Opaque, args: list[Dim]) -> Dim:
    if atom.kind == "floordiv":
        return floor_divide(*_nonzero(args))
    if atom.kind == "truncdiv":
        return truncating_divide(*_nonzero(args))
    if atom.kind == "mod":
        return modulo(*_nonzero(args))
    if atom.kind == "max":
        return maximum(*args)
    if atom.kind == "min":
        return minimum(*args)
    result: Dim | None = args[0]
    for arg in args[1:]:
        result = None if result is None else broadcast(result, arg)
    if result is None:
        raise ValueError(f"{atom.key}: {', '.join(map(render, args))} do not broadcast")
    return result


def _nonzero(args: list[Dim]) -> tuple[Dim, Dim]:
    if args[1] == 0:
        raise ZeroDivisionError("a dimension is divided by zero")
    return args[0], args[1]


def evaluate(dim: Dim, values: Mapping[str, int], default: int = 1) -> int:
    """``dim`` as a number, with ``default`` for every symbol that ``values`` does not name.

    A term that has no value there (a division by zero, sizes that do not broadcast) makes the result ``default``.
    """
    if isinstance(dim, int):
        return dim
    known: dict[str, Dim] = {name: values.get(name, default) for name in free_symbols(dim)}
    try:
        result = substitute(dim, known)
    except (ZeroDivisionError, ValueError):
        return default
    return result if isinstance(result, int) else default
