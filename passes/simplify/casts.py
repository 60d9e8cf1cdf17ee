"""Type conversions: those that change nothing, and chains of them."""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Match, Skip, Var, op, rule

from .._kinds import FLOATS, INTEGERS

_EXACT_BITS = {
    ir.DataType.BFLOAT16: 8,
    ir.DataType.FLOAT16: 11,
    ir.DataType.FLOAT: 24,
    ir.DataType.DOUBLE: 53,
}
_WIDER = {
    ir.DataType.FLOAT16: {ir.DataType.FLOAT, ir.DataType.DOUBLE},
    ir.DataType.BFLOAT16: {ir.DataType.FLOAT, ir.DataType.DOUBLE},
    ir.DataType.FLOAT: {ir.DataType.DOUBLE},
}


@rule(op("Cast")("x"), op("CastLike")("x", "like"), exact=True)
def remove_cast(m: Match, build: Builder) -> ir.Value | Skip:
    """Remove a conversion to the type the value has already.

    Example: Cast<to=FLOAT>(float x) -> x
    """
    wanted = m.dtype("like") if m.has("like") else ir.DataType(m.attr(m.root, "to"))
    if m.dtype("x") != wanted:
        return Skip("the type changes")
    return m.value("x")


@rule(op.CastLike("x", "like"), exact=True)
def castlike_to_cast(m: Match, build: Builder) -> ir.Value | Skip:
    """Replace ``CastLike`` by ``Cast`` where the wanted type is known.

    The value whose type was copied is then free of one use.

    Example: CastLike(x, float16 y) -> Cast<to=FLOAT16>(x)
    """
    wanted = m.dtype("like")
    if m.dtype("x") == wanted:
        return Skip("the type stays; it is removed instead")
    return build.op("Cast", m.value("x"), to=int(wanted), saturate=_saturate(m))


def _saturate(m: Match) -> int | None:
    attr = m.root.attributes.get("saturate")
    return None if attr is None else int(m.attr(m.root, "saturate"))


@rule(op.Cast(op.Cast(Var("x"), bind="inner", shared=True)), exact=True)
def merge_casts(m: Match, build: Builder) -> ir.Value | Skip:
    """Skip the first of two conversions where it keeps every value.

    Holds where the type between represents each value of the first type exactly and the direct
    conversion gives what the detour gives: float16 -> float -> float16, bool -> int64 -> float,
    int32 -> int64 -> int8. Narrowing first (int64 -> int32 -> int64) loses values and stays.

    Example: Cast<to=FLOAT16>(Cast<to=FLOAT>(float16 x)) -> x
    """
    start, between = m.dtype("x"), ir.DataType(m.attr("inner", "to"))
    end = ir.DataType(m.attr(m.root, "to"))
    if not keeps_values(start, between):
        return Skip("the first conversion may lose values")
    if start == end:
        return m.value("x")
    if not _direct_is_same(start, between, end):
        return Skip("the direct conversion may differ")
    return build.like(m.root, m.value("x"))


def keeps_values(start: ir.DataType, end: ir.DataType) -> bool:
    """Tells whether a conversion represents each value of ``start`` exactly in ``end``."""
    if start == end:
        return True
    if start == ir.DataType.BOOL:
        return end in FLOATS or end in INTEGERS
    if start in INTEGERS:
        low, high = integer_range(start)
        if end in INTEGERS:
            least, most = integer_range(end)
            return least <= low and high <= most
        return end in FLOATS and max(-low, high) <= 2 ** _EXACT_BITS[end]
    return end in _WIDER.get(start, ())


def _direct_is_same(start: ir.DataType, between: ir.DataType, end: ir.DataType) -> bool:
    if end == ir.DataType.BOOL or end in FLOATS:
        return True
    if end not in INTEGERS:
        return False
    same_kind = (start in FLOATS) == (between in FLOATS)
    # Integers narrow by wrapping around; floats out of an integer's range do as they please.
    return same_kind or keeps_values(start, end)


def integer_range(dtype: ir.DataType) -> tuple[int, int]:
    """Returns the smallest and the largest value of an integer type."""
    bits = dtype.itemsize * 8
    if dtype.name.startswith("U"):
        return 0, 2 ** int(bits) - 1
    return -(2 ** int(bits - 1)), 2 ** int(bits - 1) - 1


@rule(op.Cast(op.ConstantOfShape("shape", bind="fill")), exact=True)
def type_constant_of_shape(m: Match, build: Builder) -> ir.Value | Skip:
    """Fill a new tensor with the wanted type at once.

    Declines where the type wanted is not a plain number or boolean.

    Example: Cast<to=INT64>(ConstantOfShape<value=[1.0]>(s)) -> ConstantOfShape<value=[1]>(s)
    """
    wanted = ir.DataType(m.attr(m.root, "to"))
    if wanted not in FLOATS and wanted not in INTEGERS and wanted != ir.DataType.BOOL:
        return Skip("the type is no plain number")
    value = m.attr("fill", "value")
    old = ir.DataType.FLOAT if value is None else value.dtype
    if not (old in FLOATS or old in INTEGERS or old == ir.DataType.BOOL):
        return Skip("the filling is no plain number")
    number = 0 if value is None else value.numpy().reshape(-1)[0]
    if wanted in INTEGERS and not _fits(float(number), wanted):
        return Skip("the filling does not fit the type")
    import numpy as np

    tensor = ir.Tensor(np.asarray([number]).astype(wanted.numpy()), dtype=wanted)
    return build.op("ConstantOfShape", m.value("shape"), value=tensor)


def _fits(number: float, dtype: ir.DataType) -> bool:
    low, high = integer_range(dtype)
    return low <= number <= high
