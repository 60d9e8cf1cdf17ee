"""Do two models offer the same inputs and outputs: names, order, types, dims?"""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir


def differences(first: ir.Model, second: ir.Model) -> tuple[list[str], list[str]]:
    """Compare the interfaces of two models.

    Inputs that have an initializer are optional and left out.

    Args:
        first: the reference.
        second: the model compared with it.

    Returns:
        Differences that matter (names, order, types, ranks, static sizes), and remarks (a dim is
        symbolic in one model only, or has another name).
    """
    wrong: list[str] = []
    remarks: list[str] = []
    for kind, ours, theirs in (
        ("input", _required(first), _required(second)),
        ("output", list(first.graph.outputs), list(second.graph.outputs)),
    ):
        names = [value.name for value in ours], [value.name for value in theirs]
        if names[0] != names[1]:
            wrong.append(f"{kind}s are {_list(names[1])}, were {_list(names[0])}")
            continue
        for one, other in zip(ours, theirs, strict=True):
            _compare(f"{kind} {one.name!r}", one, other, wrong, remarks)
    return wrong, remarks


def _required(model: ir.Model) -> list[ir.Value]:
    return [value for value in model.graph.inputs if value.name not in model.graph.initializers]


def _compare(
    what: str, one: ir.Value, other: ir.Value, wrong: list[str], remarks: list[str]
) -> None:
    if one.type != other.type:
        wrong.append(f"{what} is {other.type}, was {one.type}")
        return
    if one.shape is None or other.shape is None:
        if (one.shape is None) != (other.shape is None):
            remarks.append(f"{what} has a shape in one model only")
        return
    if len(one.shape) != len(other.shape):
        wrong.append(f"{what} has rank {len(other.shape)}, had {len(one.shape)}")
        return
    for axis, (a, b) in enumerate(zip(one.shape, other.shape, strict=True)):
        if isinstance(a, int) and isinstance(b, int) and a != b:
            wrong.append(f"{what} has size {b} on axis {axis}, had {a}")
        elif _text(a) != _text(b):
            remarks.append(f"{what} has dim {_text(b)} on axis {axis}, had {_text(a)}")


def _text(dim: int | ir.SymbolicDim) -> str:
    return str(dim) if isinstance(dim, int) else (dim.value or "?")


def _list(names: Sequence[str | None]) -> str:
    return ", ".join(str(name) for name in names) or "none"
