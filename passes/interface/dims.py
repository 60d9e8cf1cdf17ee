"""Fix dims of the model's inputs: ``--dim batch=1`` and ``--input-shape image:1,3,224,224``.

A symbolic dim means the same number wherever it stands, so fixing it in one place fixes it in all.
Stored shapes of intermediate values may say otherwise and are dropped; those of the outputs are
worked out again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from onnxopt.analysis.facts import Facts
from onnxopt.errors import UsageError
from onnxopt.pipeline.base import Context, Pass

Sizes = dict[str, int]


@dataclass(frozen=True)
class SetDim(Pass):
    """Gives a symbolic dim of the inputs a size.

    Attributes:
        dim: The dim's name.
        size: Its size.
    """

    name: ClassVar[str] = "set-dim"
    dim: str = ""
    size: int = 0
    exact: ClassVar[bool] = True
    summary: ClassVar[str] = "Give a symbolic dim of the inputs a size."

    def run(self, context: Context) -> int:
        """Fixes the dim everywhere.

        Raises:
            UsageError: No input has such a dim.
        """
        known = _symbols(context.model)
        if self.dim not in known:
            there = ", ".join(sorted(known)) or "none"
            raise UsageError(f"no input has a dim called {self.dim!r}; symbolic dims: {there}")
        _bind(context, {self.dim: self.size})
        return 1


@dataclass(frozen=True)
class SetInputShape(Pass):
    """Gives an input a new shape.

    Attributes:
        input: The input's name.
        shape: Its dims, numbers or names, with commas between.
    """

    name: ClassVar[str] = "set-input-shape"
    input: str = ""
    shape: str = ""
    exact: ClassVar[bool] = True
    summary: ClassVar[str] = "Give an input a new shape."

    def run(self, context: Context) -> int:
        """Sets the shape, and binds the symbols it replaces by numbers.

        Raises:
            UsageError: There is no such input, or the shape contradicts the input's own.
        """
        value = _input(context.model, self.input)
        dims = [int(d) if d.lstrip("-").isdigit() else d for d in self.shape.split(",") if d]
        old = value.shape
        if old is not None and len(old) != len(dims):
            raise UsageError(f"input {self.input!r} has rank {len(old)}, not {len(dims)}")
        sizes: Sizes = {}
        for axis, dim in enumerate(dims):
            if isinstance(dim, int) and dim < 0:
                raise UsageError(f"input {self.input!r}: dim {dim} is negative")
            was = None if old is None else old[axis]
            if isinstance(was, int) and was != dim:
                raise UsageError(f"input {self.input!r}: dim {axis} is {was} and cannot be {dim}")
            symbol = was.value if isinstance(was, ir.SymbolicDim) else None
            if symbol and isinstance(dim, int) and sizes.setdefault(symbol, dim) != dim:
                raise UsageError(f"input {self.input!r}: dim {symbol!r} gets two sizes")
        value.shape = ir.Shape(dims)
        _bind(context, sizes)
        return 1


def _input(model: ir.Model, name: str) -> ir.Value:
    for value in model.graph.inputs:
        if value.name == name:
            return value
    names = ", ".join(v.name or "" for v in model.graph.inputs)
    raise UsageError(f"the model has no input called {name!r}; it has: {names}")


def _symbols(model: ir.Model) -> set[str]:
    return {
        dim.value
        for value in model.graph.inputs
        for dim in value.shape or ()
        if isinstance(dim, ir.SymbolicDim) and dim.value
    }


def _bind(context: Context, sizes: Sizes) -> None:
    graph = context.model.graph
    for value in (*graph.inputs, *graph.outputs):
        value.shape = _substituted(value.shape, sizes)
    kept = {*graph.inputs, *graph.outputs}
    for node in graph.all_nodes():
        for value in node.outputs:
            if value not in kept and value.shape is not None and not value.is_graph_output():
                value.shape = None
    context.refresh()
    for value in graph.outputs:
        _agree(value, context.facts)


def _substituted(shape: ir.Shape | None, sizes: Sizes) -> ir.Shape | None:
    if shape is None or not sizes:
        return shape
    dims = [
        sizes.get(dim.value, dim) if isinstance(dim, ir.SymbolicDim) and dim.value else dim
        for dim in shape
    ]
    return ir.Shape(dims, [shape.get_denotation(i) for i in range(len(shape))])


def _agree(value: ir.Value, facts: Facts) -> None:
    """Writes the dims of an output that are known now over those declared for other inputs."""
    inferred = facts.shape(value)
    if inferred is None or value.shape is None or len(inferred) != len(value.shape):
        return
    dims = [
        now if isinstance(now, int) else (None if isinstance(was, int) else was)
        for now, was in zip(inferred, value.shape, strict=True)
    ]
    value.shape = ir.Shape(dims, [value.shape.get_denotation(i) for i in range(len(dims))])
