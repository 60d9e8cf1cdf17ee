"""Values inside a model made outputs of it, so that a session returns them.

An output is never optimised away, so what is observed is what the unoptimised model computes, up to rounding:
fusions stop at it. Only values of the main graph can be outputs; those in branches of If are made such (`branches`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from onnxopt.errors import UsageError
from onnxopt.runtime.calibration.branches import inner_values, lift
from onnxopt.runtime.facts import size_of

FLOATS = (ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16, ir.DataType.DOUBLE)
_SHAPE = "onnxopt.shape:"
_NAMED = 3
_WIDEST = 8


@dataclass
class Chosen:
    """What of a model can be observed.

    Attributes:
        inputs: graph inputs, seen in the samples themselves.
        values: what nodes compute, in the graph's order, then what those in branches do.
        notes: what is left out and why.
    """

    inputs: list[str] = field(default_factory=list)
    values: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def choose(model: ir.Model, names: Collection[str]) -> Chosen:
    """Sort values by how they can be observed.

    Args:
        model: the model.
        names: the values wanted.

    Raises:
        UsageError: the model has no value of a name.
    """
    chosen, left = Chosen(), set(names)
    graph = model.graph
    other: list[str] = []
    for value in graph.inputs:
        if value.name in left and value.name not in graph.initializers:
            left.discard(value.name)
            (chosen.inputs if _may_be_float(value) else other).append(value.name)
    for name, value in named(model).items():
        if name in left:
            left.discard(name)
            (chosen.values if _may_be_float(value) else other).append(name)
    weights = left & set(graph.initializers)
    inner = (left - weights) & _inner_names(model)
    _note(chosen, other, "not of floating point")
    _note(chosen, sorted(weights), "constant, which needs no samples")
    _note(
        chosen,
        sorted(inner),
        "inside the body of a loop or function, or of a name that others have",
    )
    unknown = sorted(left - weights - inner)
    if unknown:
        raise UsageError(f"the model has no value {unknown[0]!r} to observe: check the name")
    return chosen


def _note(chosen: Chosen, names: Sequence[str], why: str) -> None:
    if names:
        shown = ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
        chosen.notes.append(f"{len(names)} not observed, {why}: {shown}")


def _may_be_float(value: ir.Value) -> bool:
    if value.type is None:
        return True
    return isinstance(value.type, ir.TensorType) and value.dtype in FLOATS


def _inner_names(model: ir.Model) -> set[str]:
    names: set[str] = set()
    graphs = [graph for graph in model.graph.subgraphs() if graph is not model.graph]
    for function in model.functions.values():
        graphs += [function.graph, *function.subgraphs()]
    for graph in graphs:
        names |= {value.name or "" for value in graph.inputs} | set(graph.initializers)
        names |= {value.name or "" for node in graph for value in node.outputs}
    return names


def stated_bytes(
    model: ir.Model, names: Iterable[str], sizes: Mapping[str, int]
) -> dict[str, int | None]:
    """Bytes of each value by the shape that the model states; None where that stays open.

    Args:
        model: the model.
        names: the values.
        sizes: sizes of named dims.
    """
    values = named(model)
    return {name: _bytes(values[name], sizes) for name in names}


def _bytes(value: ir.Value, sizes: Mapping[str, int]) -> int | None:
    if value.shape is None or value.dtype is None:
        return None
    elements = 1
    for dim in value.shape:
        size = size_of(dim if isinstance(dim, int) else (dim.value or ""), sizes)
        if size is None:
            return None
        elements *= size
    return elements * -(-value.dtype.bitwidth // 8)


def named(model: ir.Model) -> dict[str, ir.Value]:
    """What nodes of the main graph and of branches in it compute, by name."""
    return _outer(model) | inner_values(model)


def _outer(model: ir.Model) -> dict[str, ir.Value]:
    return {value.name or "": value for node in model.graph for value in node.outputs}


def _reachable(model: ir.Model, names: Iterable[str]) -> dict[str, ir.Value]:
    """What nodes of the main graph compute, by name, once these values are among it."""
    outer, inner = _outer(model), inner_values(model)
    lift(model, [name for name in names if name in inner and name not in outer])
    return _outer(model)


def with_outputs(model: ir.Model, names: Sequence[str]) -> None:
    """Make these the outputs, in the place of the model's own, and drop what none of them needs.

    Shapes stated for them are dropped: where one is wrong, a session would complain about an output.
    """
    values = _reachable(model, names)
    outputs = [values.get(name) or _at_border(model, name) for name in names]
    model.graph.outputs.clear()
    for value in outputs:
        if value.producer() is not None:
            value.shape = None
        model.graph.outputs.append(value)
    RemoveUnusedNodesPass()(model)


def _at_border(model: ir.Model, name: str) -> ir.Value:
    """An output that no node computes: an input or a weight, passed on."""
    for value in (*model.graph.outputs, *model.graph.inputs):
        if value.name == name:
            return value
    raise UsageError(f"the model has no output {name!r}: check the name")


def with_shapes(model: ir.Model, names: Sequence[str]) -> None:
    """Make the shapes of values the only outputs, in this order: the values themselves are freed as ever."""
    values = _reachable(model, names)
    outputs = []
    for name in names:
        node = ir.Node("", "Shape", [values[name]])
        node.outputs[0].name = f"{_SHAPE}{name}"
        node.outputs[0].dtype = ir.DataType.INT64
        model.graph.append(node)
        outputs.append(node.outputs[0])
    model.graph.outputs.clear()
    model.graph.outputs.extend(outputs)
    RemoveUnusedNodesPass()(model)


def element_bytes(model: ir.Model, name: str) -> int:
    """Bytes of an element, 8 where the type is not stated."""
    dtype = named(model)[name].dtype
    return _WIDEST if dtype is None else -(-dtype.bitwidth // 8)


def grouped(sizes: Mapping[str, int], limit: int) -> list[list[str]]:
    """Cut values into groups, in order, of at most so many bytes, or of one value.

    In the graph's order, so that what the first groups do not need is not computed for them.
    """
    groups: list[list[str]] = []
    held = 0
    for name, size in sizes.items():
        if not groups or held + size > limit:
            groups.append([])
            held = 0
        groups[-1].append(name)
        held += size
    return groups
