"""What the graph demands of one of its inputs, as plain data.

Facts are found in the process that holds the graph and used in the child process that runs it,
so they convert to and from JSON and know nothing of onnx.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

_MAX_EXPRESSION = 200

Dim = int | str
"""A static size, or the name (or expression over names) of a symbolic one."""


@dataclass
class Bound:
    """The values ``x`` must satisfy ``0 <= (scale * x + offset) / divisor < size``."""

    size: Dim
    scale: float = 1.0
    offset: float = 0.0
    inclusive: bool = False
    """True when ``size`` itself is allowed (a length may equal the size of its axis)."""

    least: int = 0
    """The smallest allowed transformed value (1 for lengths)."""


@dataclass
class Facts:
    """What the graph does with one input.

    Attributes:
        bounds: every way in which it is used as an index or length.
        unknown_bound: it is used as an index into something whose size is unknown.
        choices: constants it is compared with for equality.
        thresholds: constants it is compared with by order.
        role: '' or one of mask, additive-mask, axes, trip, condition, and the shape-like ones: reshape, expand,
            repeats, dims, sizes, scales, starts, ends, steps, pads, k, split, range.
        operand: for shape-like roles, the shape of the data beside it (None if unknown); for
            split, only the size of the axis that is split.
        domain: '' or one of positive, unit, nonzero.
        strings: keys that string operators look for.
        axis_sizes: axis -> size that a constant operand forces on a dynamic axis.
        rank: the rank that a constant operand forces when the input has no shape.
    """

    bounds: list[Bound] = field(default_factory=list)
    unknown_bound: bool = False
    choices: list[float] = field(default_factory=list)
    thresholds: list[float] = field(default_factory=list)
    role: str = ""
    operand: list[Dim] | None = None
    domain: str = ""
    strings: list[str] = field(default_factory=list)
    axis_sizes: dict[int, int] = field(default_factory=dict)
    rank: int | None = None


@dataclass
class InputSpec:
    """One graph input: its type, its shape and what is known of its use.

    Attributes:
        name: input name.
        kind: tensor, sequence, optional, optional-sequence or map.
        dtype: element type in numpy's or ml_dtypes' spelling, 'str' for strings.
        shape: sizes or dim names; None when the rank is unknown. Unnamed dims get unique names that
            begin with '?'.
        facts: what the graph does with it.
        key: for maps, the key type: 'int64' or 'str'.
    """

    name: str
    kind: str
    dtype: str
    shape: list[Dim] | None
    facts: Facts = field(default_factory=Facts)
    key: str = ""

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready dict; `from_json` reads it back."""
        return asdict(self)

    @staticmethod
    def from_json(data: dict[str, Any]) -> InputSpec:
        """Inverse of `to_json`."""
        facts = dict(data["facts"])
        facts["bounds"] = [Bound(**bound) for bound in facts["bounds"]]
        facts["axis_sizes"] = {int(axis): size for axis, size in facts["axis_sizes"].items()}
        return InputSpec(**{**data, "facts": Facts(**facts)})


def symbols(dim: Dim) -> set[str]:
    """The symbol names in a dim: of an expression its names, of anything else the text itself."""
    if isinstance(dim, int):
        return set()
    tree = _parse(dim)
    if tree is None:
        return {dim}
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def size_of(dim: Dim, sizes: Mapping[str, int]) -> int | None:
    """Evaluate a dim under sizes for its symbols; None when a symbol has none."""
    if isinstance(dim, int):
        return dim
    if dim in sizes:
        return sizes[dim]
    tree = _parse(dim)
    if tree is None:
        return None
    return _evaluate(tree.body, sizes)


def _parse(text: str) -> ast.Expression | None:
    """The expression in ``text``, or None when it is not arithmetic over names and integers."""
    if len(text) > _MAX_EXPRESSION:
        return None
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    allowed = (ast.Expression, ast.BinOp, ast.UnaryOp, ast.Name, ast.Constant, ast.Load)
    operators = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.USub)
    for node in ast.walk(tree):
        if not isinstance(node, allowed + operators):
            return None
        if isinstance(node, ast.Constant) and not isinstance(node.value, int):
            return None
    return tree


def _evaluate(node: ast.expr, sizes: Mapping[str, int]) -> int | None:
    match node:
        case ast.Constant(value=int(value)):
            return value
        case ast.Name(id=name):
            return sizes.get(name)
        case ast.UnaryOp(operand=operand):
            inner = _evaluate(operand, sizes)
            return None if inner is None else -inner
        case ast.BinOp(left=left, op=op, right=right):
            a, b = _evaluate(left, sizes), _evaluate(right, sizes)
            return None if a is None or b is None else _apply(op, a, b)
    return None


def _apply(op: ast.operator, a: int, b: int) -> int | None:
    match op:
        case ast.Add():
            return a + b
        case ast.Sub():
            return a - b
        case ast.Mult():
            return a * b
        case _:
            return a // b if b else None
