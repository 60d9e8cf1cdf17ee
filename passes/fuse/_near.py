"""Checks on the constants of an activation's formula."""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Declined, Match

from .._forms import broadcasts_into

ACTIVATION_TYPES = frozenset({ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16})
"""Types for which runtimes have activations; double precision often is missing."""

_TOLERANCE = {ir.DataType.FLOAT: 5e-5, ir.DataType.FLOAT16: 1e-3, ir.DataType.BFLOAT16: 5e-3}


def require_formula(m: Match, x: str, constants: dict[str, float]) -> None:
    """Declines unless the bound constants are what the formula has, and keep the shape of ``x``.

    Exporters write the square root of two with four digits or more, and half precision has three, so
    the tolerance depends on the type.

    Args:
        m: The match.
        x: The name of the formula's variable.
        constants: What each constant should be, by name; names that the match lacks are ignored.
    """
    dtype = m.dtype(x)
    if dtype not in ACTIVATION_TYPES:
        raise Declined(f"runtimes lack the operator for {dtype}")
    for name, wanted in constants.items():
        if not m.has(name):
            continue
        number = m.uniform(name)
        if number is None or abs(number - wanted) > _TOLERANCE[dtype] * abs(wanted):
            raise Declined(f"a constant of the formula is {number}, not {wanted:.6g}")
        if not broadcasts_into(m, m.value(name), m.value(x)):
            raise Declined("a constant widens the shape, or may")
