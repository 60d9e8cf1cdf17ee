"""Which activations get 16 bits: those that chosen layers read and make.

What carries a value on shares its scale, and so its type.
"""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.errors import UsageError

from .._selection import Selection
from ._plan import Plan, Planner
from ._scales import Scheme


def selected(text: str, scheme: Scheme) -> Selection | None:
    """Reads the option.

    Args:
        text: Names, operators and patterns, ``;`` between.
        scheme: The types asked for.

    Returns:
        What to match nodes with; None where nothing was asked for.

    Raises:
        UsageError: Activations have no 8 bits to begin with.
    """
    if not text:
        return None
    if scheme.floating or scheme.activations.bits != 8:
        raise UsageError(
            f"wide: activations are {scheme.activations.name} everywhere; 16 bits for some layers go with u8 or s8 for the others"
        )
    return Selection.of(text, "")


def wide_roots(selection: Selection | None, planner: Planner, plan: Plan) -> set[ir.Value]:
    """The values, by which scales are chosen, that chosen layers read or make."""
    if selection is None:
        return set()
    roots = set[ir.Value]()
    for node in plan.integer:
        if selection.takes(node):
            around = (*planner.data(node), *node.outputs, plan.results[node])
            roots.update(plan.tensors[value] for value in around if value in plan.tensors)
    return roots
