"""Element-wise operators: the output has the inputs' broadcast shape."""

from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir

from onnxopt.analysis.context import Context, infers
from onnxopt.analysis.dims import (
    Dim,
    equal,
    floor_divide,
    less,
    maximum,
    minimum,
    modulo,
    truncating_divide,
)
from onnxopt.analysis.ops.common import (
    BOOL,
    broadcast_shapes,
    dtype_attribute,
    map_content,
    representable,
    same_as_input,
)

_BROADCAST_SINCE = 7


@infers(
    *("Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Ceil", "Celu", "Clip", "Cos", "Cosh"),
    *(
        "CumSum",
        "CumProd",
        "Elu",
        "Erf",
        "Exp",
        "Floor",
        "Gelu",
        "HardSigmoid",
        "HardSwish",
        "Hardmax",
    ),
    *(
        "LeakyRelu",
        "Log",
        "LogSoftmax",
        "LpNormalization",
        "LRN",
        "MeanVarianceNormalization",
        "Mish",
    ),
    *(
        "BitwiseNot",
        "Reciprocal",
        "Relu",
        "Round",
        "Selu",
        "Shrink",
        "Sigmoid",
        "Sign",
        "Sin",
        "Sinh",
    ),
    *(
        "Softmax",
        "Softplus",
        "Softsign",
        "Sqrt",
        "Swish",
        "Tan",
        "Tanh",
        "ThresholdedRelu",
        "Trilu",
    ),
    *("ReverseSequence", "InstanceNormalization", "GroupNormalization"),
)
def infer_same(context: Context) -> None:
    """The output has the type and shape of the first input."""
    same_as_input(context)


@infers("Identity")
def infer_identity(context: Context) -> None:
    """All facts are the input's."""
    same_as_input(context)
    context.out.container = context.fact(0).container
    context.set_cells(context.cells(0))


@infers("IsNaN", "IsInf")
def infer_test(context: Context) -> None:
    """A boolean for each element."""
    context.output(0, BOOL, context.shape(0))


@infers("Not")
def infer_not(context: Context) -> None:
    """Negation of booleans."""
    context.output(0, BOOL, context.shape(0))
    map_content(context, lambda a: 1 - a, 1)


@infers("Neg")
def infer_neg(context: Context) -> None:
    """``-x``."""
    same_as_input(context)
    map_content(context, lambda a: -a, 1)


@infers("Abs")
def infer_abs(context: Context) -> None:
    """``|x|``."""
    same_as_input(context)
    map_content(context, lambda a: maximum(a, -a), 1)


@infers("Dropout")
def infer_dropout(context: Context) -> None:
    """The data, and a mask that is boolean from opset 10 on."""
    same_as_input(context)
    context.output(1, BOOL if context.version >= 10 else context.dtype(0), context.shape(0))


@infers("Cast")
def infer_cast(context: Context) -> None:
    """The input in the type that ``to`` names."""
    _cast(context, dtype_attribute(context, "to", None))


@infers("CastLike")
def infer_cast_like(context: Context) -> None:
    """The input in the type of the second input."""
    _cast(context, context.dtype(1))


def _cast(context: Context, dtype: ir.DataType | None) -> None:
    context.output(0, dtype, context.shape(0))
    cells = context.cells(0)
    if dtype == BOOL:
        cells = _truth(cells)
    context.set_cells(representable(cells, dtype))


def _truth(cells: tuple[Dim, ...] | None) -> tuple[Dim, ...] | None:
    if cells is None or not all(isinstance(item, int) for item in cells):
        return None
    return tuple(int(item != 0) for item in cells)


# Binary operators


def _broadcast(context: Context, dtype: ir.DataType | None, arity: int = 2) -> None:
    """Sets type and shape of an operator over ``arity`` inputs that broadcast."""
    context.output(0, dtype)
    if context.version < _BROADCAST_SINCE:
        # Only the second input broadcast then, to the first, by the attributes broadcast and axis.
        context.out.shape = context.shape(0)
        return
    context.out.shape = broadcast_shapes([context.known_shape(index) for index in range(arity)])


def _operand_dtype(context: Context) -> ir.DataType | None:
    return context.dtype(0) or context.dtype(1)


@infers("Add", "Sub", "Mul", "Div", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitShift")
def infer_arithmetic(context: Context) -> None:
    """Arithmetic on two inputs of one type."""
    _broadcast(context, _operand_dtype(context))
    if context.node.op_type == "Div":
        map_content(context, lambda a, b: _quotient(context, a, b), 2)
    elif context.node.op_type in _ARITHMETIC:
        map_content(context, _ARITHMETIC[context.node.op_type], 2)


def _quotient(context: Context, a: Dim, b: Dim) -> Dim:
    """The quotient rounded towards zero, which for sizes is the same as rounding down."""
    if context.facts.is_count(a) and context.facts.is_count(b):
        return floor_divide(a, b)
    return truncating_divide(a, b)


_ARITHMETIC: dict[str, Callable[[Dim, Dim], Dim | None]] = {
    "Add": lambda a, b: a + b,
    "Sub": lambda a, b: a - b,
    "Mul": lambda a, b: a * b,
}


@infers("Pow", "PRelu")
def infer_pow(context: Context) -> None:
    """The type is that of the first input; ``PRelu`` broadcasts its slope to it."""
    if context.node.op_type == "PRelu":
        same_as_input(context)
        return
    _broadcast(context, context.dtype(0))
    map_content(context, _power, 2)


def _power(base: Dim, exponent: Dim) -> Dim | None:
    if not isinstance(exponent, int) or not 0 <= exponent <= 8:
        return None
    result: Dim = 1
    for _ in range(exponent):
        result = result * base
    return result


@infers("Mod")
def infer_mod(context: Context) -> None:
    """The remainder, with the sign of the divisor, or of the dividend with ``fmod``."""
    _broadcast(context, _operand_dtype(context))
    if context.integer("fmod", 0) == 0:
        map_content(context, modulo, 2)


@infers("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")
def infer_comparison(context: Context) -> None:
    """A comparison, decided where the dimensions allow it."""
    _broadcast(context, BOOL)
    if context.node.op_type == "Equal":
        map_content(context, lambda a, b: _decided(_same(context, a, b)), 2)
    else:
        map_content(context, _COMPARISONS[context.node.op_type], 2)


def _same(context: Context, a: Dim, b: Dim) -> bool | None:
    """Whether two integers are equal; no size is negative."""
    for one, other in ((a, b), (b, a)):
        if isinstance(one, int) and one < 0 and context.facts.is_count(other):
            return False
    return equal(a, b)


def _decided(answer: bool | None) -> Dim | None:
    return None if answer is None else int(answer)


def _negated(answer: bool | None) -> Dim | None:
    return None if answer is None else int(not answer)


_COMPARISONS: dict[str, Callable[[Dim, Dim], Dim | None]] = {
    "Less": lambda a, b: _decided(less(a, b)),
    "Greater": lambda a, b: _decided(less(b, a)),
    "LessOrEqual": lambda a, b: _negated(less(b, a)),
    "GreaterOrEqual": lambda a, b: _negated(less(a, b)),
}


@infers("And", "Or", "Xor")
def infer_logic(context: Context) -> None:
    """Logic on booleans."""
    _broadcast(context, BOOL)
    map_content(context, _LOGIC[context.node.op_type], 2)


def _both(a: Dim, b: Dim) -> Dim | None:
    if a == 0 or b == 0:
        return 0
    return 1 if a == 1 and b == 1 else None


def _either(a: Dim, b: Dim) -> Dim | None:
    if a == 1 or b == 1:
        return 1
    return 0 if a == 0 and b == 0 else None


def _one(a: Dim, b: Dim) -> Dim | None:
    return a ^ b if isinstance(a, int) and isinstance(b, int) else None


_LOGIC: dict[str, Callable[[Dim, Dim], Dim | None]] = {"And": _both, "Or": _either, "Xor": _one}


@infers("Min", "Max", "Sum", "Mean")
def infer_variadic(context: Context) -> None:
    """Any number of inputs; they broadcast from opset 8 on."""
    arity = len(context.inputs)
    context.output(0, _operand_dtype(context))
    if context.version < 8:
        context.out.shape = context.shape(0)
        return
    context.out.shape = broadcast_shapes([context.known_shape(index) for index in range(arity)])
    if context.node.op_type == "Min":
        map_content(context, minimum, arity)
    elif context.node.op_type == "Max":
        map_content(context, maximum, arity)


@infers("Where")
def infer_where(context: Context) -> None:
    """One of two inputs for each element."""
    context.output(0, context.dtype(1) or context.dtype(2))
    context.out.shape = broadcast_shapes([context.known_shape(index) for index in range(3)])
    map_content(context, _choose, 3)


def _choose(condition: Dim, a: Dim, b: Dim) -> Dim | None:
    if isinstance(condition, int):
        return a if condition else b
    return a if a == b else None
