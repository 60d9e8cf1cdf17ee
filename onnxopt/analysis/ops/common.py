"""What the inference functions of several families share: broadcasting, unification, contents."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import onnx_ir as ir

from onnxopt.analysis.context import (
    MAX_CONTENT,
    TRACKED,
    Content,
    Context,
    Shape,
    Unknown,
    normalize_axis,
)
from onnxopt.analysis.dims import (
    Dim,
    DimExpr,
    broadcast,
    exact_divide,
    floor_divide,
    fresh,
    fresh_value,
    is_unknown,
    product,
)

BOOL = ir.DataType.BOOL
FLOAT = ir.DataType.FLOAT
INT32 = ir.DataType.INT32
INT64 = ir.DataType.INT64
UINT8 = ir.DataType.UINT8

SYMBOLIC = frozenset({BOOL, INT32, INT64})
"""Element types wide enough that arithmetic on dimensions is taken not to overflow; and truth values."""

_LIMITS: dict[ir.DataType, tuple[int, int]] = {
    BOOL: (0, 1),
    ir.DataType.INT8: (-(1 << 7), (1 << 7) - 1),
    ir.DataType.INT16: (-(1 << 15), (1 << 15) - 1),
    INT32: (-(1 << 31), (1 << 31) - 1),
    INT64: (-(1 << 63), (1 << 63) - 1),
    UINT8: (0, (1 << 8) - 1),
    ir.DataType.UINT16: (0, (1 << 16) - 1),
    ir.DataType.UINT32: (0, (1 << 32) - 1),
    ir.DataType.UINT64: (0, (1 << 64) - 1),
}


def broadcast_shapes(shapes: Sequence[Shape]) -> Shape:
    """The shape that shapes broadcast to, aligned at the last dimension.

    Raises:
        Unknown: They cannot.
    """
    first = shapes[0]
    if all(shape == first for shape in shapes[1:]):
        return first
    rank = max(len(shape) for shape in shapes)
    result: list[Dim] = [1] * rank
    for shape in shapes:
        for axis, dim in enumerate(shape, rank - len(shape)):
            merged = broadcast(result[axis], dim)
            if merged is None:
                raise Unknown
            result[axis] = merged
    return tuple(result)


def unify(dims: Iterable[Dim]) -> Dim:
    """The most telling of dimensions that must be equal: a number, else an expression, else an unknown."""
    best: Dim | None = None
    for dim in dims:
        if isinstance(dim, int):
            return dim
        if best is None or (is_unknown(best) and not is_unknown(dim)):
            best = dim
    return fresh() if best is None else best


def volume_ratio(total: Sequence[Dim], parts: Sequence[Dim]) -> Dim:
    """``product(total) / product(parts)`` where that divides without rest at run time.

    Raises:
        Unknown: ``parts`` contains zero.
    """
    numerator = list(total)
    denominator: list[Dim] = []
    for dim in parts:
        if dim in numerator and dim != 0:
            numerator.remove(dim)
        else:
            denominator.append(dim)
    above, below = product(numerator), product(denominator)
    if below == 0:
        raise Unknown
    exact = exact_divide(above, below)
    return floor_divide(above, below) if exact is None else exact


def representable(
    items: tuple[Dim, ...] | None, dtype: ir.DataType | None
) -> tuple[Dim, ...] | None:
    """``items`` if a tensor of ``dtype`` holds them without wrapping around, else None."""
    if items is None or dtype not in TRACKED:
        return None
    low, high = _LIMITS[dtype]
    for item in items:
        if isinstance(item, int):
            if not low <= item <= high:
                return None
        elif dtype not in SYMBOLIC:
            return None
    return items


ElementFunction = Callable[..., Dim | None]


def map_content(context: Context, function: ElementFunction, arity: int) -> None:
    """Sets the output's content by applying ``function`` to the inputs' elements, broadcast.

    Args:
        context: The node, whose output type and shape are set already.
        function: Computes an element; None for an unknown one.
        arity: The number of inputs.
    """
    out = context.out
    if out.dtype not in TRACKED or out.shape is None or len(out.shape) > 1:
        return
    if all(context.content(index) is None for index in range(arity)):
        return
    operands = [context.facts.elements(context.value(index)) for index in range(arity)]
    known = [operand for operand in operands if operand is not None]
    if len(known) != arity:
        return
    if not out.shape:
        scalars = [operand[0] if isinstance(operand, tuple) else operand for operand in known]
        context.set_cells(representable((_element(function, scalars),), out.dtype))
        return
    count = out.shape[0]
    if isinstance(count, DimExpr) or count > MAX_CONTENT:
        return
    columns = [_spread(operand, count) for operand in known]
    items = tuple(_element(function, list(row)) for row in zip(*columns, strict=True))
    context.set_cells(representable(items, out.dtype))


def _spread(operand: Content, count: int) -> tuple[Dim, ...]:
    if not isinstance(operand, tuple):
        return (operand,) * count
    return operand * count if len(operand) == 1 else operand


def _element(function: ElementFunction, items: list[Dim]) -> Dim:
    result = function(*items)
    return fresh_value() if result is None else result


def same_as_input(context: Context, index: int = 0, output: int = 0) -> None:
    """An output has the type and shape of an input."""
    fact = context.fact(index)
    context.output(output, fact.dtype, fact.shape)


def axes_of(axes: Iterable[int], rank: int) -> tuple[int, ...]:
    """Axes counted from the front.

    Raises:
        Unknown: One lies outside of the rank.
    """
    return tuple(normalize_axis(axis, rank) for axis in axes)


def dtype_attribute(context: Context, name: str, default: ir.DataType | None) -> ir.DataType | None:
    """The element type that an integer attribute names."""
    value = context.integer(name, 0)
    return ir.DataType(value) if value else default
