"""Following graph inputs forward to what uses them, to learn which values make sense for them.

The walk goes through operators that move or convert values (Reshape, Cast, Concat, ...), through
addition and multiplication by constants (kept as one affine map, so that a bound on ``2 * x + 1`` becomes
a bound on ``x``), and into subgraphs and model functions. Only dims of weights are read, never their
values.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import onnx_ir as ir

from onnxopt.runtime.demands import demand_of
from onnxopt.runtime.facts import Dim, Facts, InputSpec
from onnxopt.runtime.site import Site, constant

_MAX_STEPS = 4000

# Operators whose outputs hold (some of) the values of these operands; True: in the same shape.
_CARRIERS: dict[str, tuple[tuple[int, ...], bool]] = {
    "Identity": ((0,), True),
    "Cast": ((0,), True),
    "CastLike": ((0,), True),
    "Clip": ((0,), True),
    "Abs": ((0,), True),
    "Dropout": ((0,), True),
    "Reshape": ((0,), False),
    "Flatten": ((0,), False),
    "Squeeze": ((0,), False),
    "Unsqueeze": ((0,), False),
    "Transpose": ((0,), False),
    "Expand": ((0,), False),
    "Tile": ((0,), False),
    "Slice": ((0,), False),
    "Split": ((0,), False),
    "Gather": ((0,), False),
    "GatherElements": ((0,), False),
    "GatherND": ((0,), False),
    "Compress": ((0,), False),
    "Pad": ((0,), False),
    "Where": ((1, 2), False),
    "ScatterND": ((0, 2), False),
    "ScatterElements": ((0, 2), False),
    "OptionalGetElement": ((0,), True),
    "SequenceAt": ((0,), True),
}
_CARRY_ANY = {"Concat", "Max", "Min", "SequenceConstruct", "ConcatFromSequence"}


@dataclass(frozen=True)
class _Step:
    value: ir.Value
    scale: float = 1.0
    offset: float = 0.0
    divisor: float = 1.0
    whole: bool = True


def input_specs(model: ir.Model) -> list[InputSpec]:
    """Describe every input the model needs to be fed (those without an initializer).

    Args:
        model: the model; values keep whatever shapes they carry, weights are not read.

    Returns:
        One spec an input, in graph order.
    """
    graph = model.graph
    required = [value for value in graph.inputs if value.name not in graph.initializers]
    return [_spec(value, _trace(value, model)) for value in required]


def _spec(value: ir.Value, facts: Facts) -> InputSpec:
    name = value.name or ""
    kind, tensor = _kind(value.type)
    dtype = "str" if tensor is ir.DataType.STRING else _dtype_name(tensor)
    return InputSpec(name, kind, dtype, _named_dims(value, facts), facts)


def _kind(type_: ir.TypeProtocol | None) -> tuple[str, ir.DataType]:
    """Kind of a type, and the element type of the tensors inside."""
    kind = "tensor"
    while isinstance(type_, ir.SequenceType | ir.OptionalType):
        inner = "optional" if isinstance(type_, ir.OptionalType) else "sequence"
        kind = inner if kind == "tensor" else f"{kind}-{inner}"
        type_ = type_.elem_type
    return kind, ir.DataType.FLOAT if type_ is None else ir.DataType(type_.dtype)


def _dtype_name(dtype: ir.DataType) -> str:
    try:
        return str(dtype.numpy().name)
    except TypeError:
        return "float32"


def _named_dims(value: ir.Value, facts: Facts) -> list[Dim] | None:
    """Dims with unique names for the unnamed, and sizes that weights force filled in."""
    if value.shape is None:
        if facts.rank is None:
            return None
        raw: list[Dim] = [""] * facts.rank
    else:
        raw = [dim if isinstance(dim, int) else (dim.value or "") for dim in value.shape]
    for axis, size in facts.axis_sizes.items():
        if -len(raw) <= axis < len(raw) and raw[axis] == "":
            raw[axis] = size
    return [f"?{value.name}.{axis}" if dim == "" else dim for axis, dim in enumerate(raw)]


def _trace(value: ir.Value, model: ir.Model) -> Facts:
    """Walk forward from one input and collect what its uses demand."""
    facts = Facts()
    pending = [_Step(value)]
    seen = {id(value)}
    for _ in range(_MAX_STEPS):
        if not pending:
            break
        step = pending.pop()
        for node, index in step.value.uses():
            site = Site(node, index, facts, step.scale, step.offset, step.divisor, step.whole)
            demand = demand_of(node, index)
            if demand is not None:
                demand(site)
            for following in _onward(site, step, model):
                if id(following.value) not in seen:
                    seen.add(id(following.value))
                    pending.append(following)
    return facts


def _onward(site: Site, step: _Step, model: ir.Model) -> Iterator[_Step]:
    """The values that carry the input further through one node."""
    node, index = site.node, site.index
    operands, same = _CARRIERS.get(node.op_type, ((), False))
    if index in operands or node.op_type in _CARRY_ANY:
        for output in node.outputs:
            yield replace(step, value=output, whole=step.whole and same)
    elif node.op_type in ("Add", "Sub", "Mul", "Div", "Neg"):
        yield from _affine(node, index, step)
    else:
        yield from _into_bodies(node, index, step, model)


def _affine(node: ir.Node, index: int, step: _Step) -> Iterator[_Step]:
    output = node.outputs[0]
    if node.op_type == "Neg":
        yield replace(step, value=output, scale=-step.scale, offset=-step.offset)
        return
    other = constant(node.inputs[1 - index])
    if other is None or not other.size:
        if node.op_type == "Add":  # an unknown offset, such as a past length
            yield replace(step, value=output, whole=False)
        return
    c = float(other.max())
    match node.op_type:
        case "Add":
            yield replace(step, value=output, offset=step.offset + c * step.divisor)
        case "Sub" if index == 0:
            c = float(other.min())
            yield replace(step, value=output, offset=step.offset - c * step.divisor)
        case "Sub":
            shifted = c * step.divisor - step.offset
            yield replace(step, value=output, scale=-step.scale, offset=shifted)
        case "Mul":
            yield replace(step, value=output, scale=step.scale * c, offset=step.offset * c)
        case "Div" if index == 0 and c:
            yield replace(step, value=output, divisor=step.divisor * c)


def _into_bodies(node: ir.Node, index: int, step: _Step, model: ir.Model) -> Iterator[_Step]:
    """Formal parameters of loop bodies, scans and functions that this operand binds."""
    function = model.functions.get(node.op_identifier())
    if function is not None:
        if index < len(function.inputs):
            yield replace(step, value=function.inputs[index])
        return
    if node.op_type not in ("Loop", "Scan") or (node.op_type == "Loop" and index < 2):
        return  # a Loop's trip count and condition are not the body's parameters
    body = node.attributes["body"].as_graph()
    if index < len(body.inputs):
        yield replace(step, value=body.inputs[index], whole=step.whole and node.op_type == "Loop")
