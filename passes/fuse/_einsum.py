"""Reading a matched ``Einsum``."""

from __future__ import annotations

from onnxopt.rewrite import Declined, Match

from ._equation import ELLIPSIS, Equation, parse_equation, spread


def equation_of(m: Match, count: int) -> Equation:
    """Returns the equation of the root, or declines unless it has ``count`` plain factors."""
    equation = parse_equation(str(m.attr(m.root, "equation", "")))
    if equation is None or len(equation.factors) != count:
        raise Declined("the equation is not a plain one")
    return equation


def spread_of(m: Match, equation: Equation) -> Equation:
    """Writes the ellipses of the root's equation as letters, or declines."""
    if not any(ELLIPSIS in term for term in equation.factors):
        return equation
    ranks = [m.rank(value) for value in m.root.inputs if value is not None]
    found = spread(equation, ranks)
    if found is None:
        raise Declined("the ellipses stand for different axes")
    return found


def same_dim(m: Match, equation: Equation, letter: str) -> bool:
    """Whether the two factors surely have one size for a letter (an ``Einsum`` may broadcast it).

    The letter must stand after any ellipsis, so that it counts from the end.
    """
    found = []
    for term, value in zip(equation.factors, m.root.inputs, strict=True):
        shape = None if value is None else m.facts.shape(value)
        if shape is None:
            return False
        found.append(shape[term.index(letter) - len(term)])
    return bool(found[0] == found[1])
