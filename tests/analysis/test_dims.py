"""Symbolic dimensions against plain integers: every identity must hold at every point, zero and one included."""

from __future__ import annotations

import operator
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from onnxopt.analysis.dims import (
    Dim,
    DimExpr,
    at_least,
    bounds,
    broadcast,
    equal,
    evaluate,
    exact_divide,
    free_symbols,
    fresh,
    fresh_value,
    is_nonnegative,
    is_symbol,
    is_unknown,
    less,
    maximum,
    minimum,
    product,
    render,
    substitute,
    symbol,
    truncating_divide,
)
from onnxopt.analysis.ops.slicing import slice_indices, slice_length

NAMES = ("b", "s", "t")
B, S, T = (symbol(name) for name in NAMES)

Expression = tuple[Dim, Callable[[dict[str, int]], int]]
"""A dimension, and how to compute it with plain integers."""


Combine = Callable[[tuple[Expression, Expression]], Expression]


def _binary(symbolic: Callable[[Dim, Dim], Dim], plain: Callable[[int, int], int]) -> Combine:
    def combine(pair: tuple[Expression, Expression]) -> Expression:
        (a, fa), (b, fb) = pair
        return symbolic(a, b), lambda env: plain(fa(env), fb(env))

    return combine


def _divided(pair: tuple[Expression, int]) -> Expression:
    (a, fa), n = pair
    return a // n, lambda env: fa(env) // n


def _reduced(pair: tuple[Expression, int]) -> Expression:
    (a, fa), n = pair
    return a % n, lambda env: fa(env) % n


def _truncate(a: int, b: int) -> int:
    return int(a / b) if abs(a) < 1 << 50 else -(-a // b) if (a < 0) != (b < 0) else a // b


def _truncated(pair: tuple[Expression, int]) -> Expression:
    (a, fa), n = pair
    return truncating_divide(a, n), lambda env: _truncate(fa(env), n)


def _extend(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    pairs = st.tuples(inner, inner)
    with_number = st.tuples(inner, st.integers(1, 6))
    return st.one_of(
        pairs.map(_binary(operator.add, operator.add)),
        pairs.map(_binary(operator.sub, operator.sub)),
        pairs.map(_binary(operator.mul, operator.mul)),
        pairs.map(_binary(maximum, max)),
        pairs.map(_binary(minimum, min)),
        with_number.map(_divided),
        with_number.map(_reduced),
        with_number.map(_truncated),
    )


def _atom(name: str) -> Expression:
    return symbol(name), lambda env: env[name]


def _number(n: int) -> Expression:
    return n, lambda _: n


EXPRESSIONS = st.recursive(
    st.one_of(st.sampled_from(NAMES).map(_atom), st.integers(-5, 7).map(_number)),
    _extend,
    max_leaves=7,
)
SIZES = st.fixed_dictionaries({name: st.integers(0, 9) for name in NAMES})


@settings(max_examples=600, deadline=None)
@given(EXPRESSIONS, SIZES)
def test_normal_form_keeps_the_value(expression: Expression, sizes: dict[str, int]) -> None:
    dim, plain = expression
    found = substitute(dim, sizes)
    if isinstance(found, int):
        assert found == plain(sizes)
    else:
        # Only an expression that was too large to keep may stay open.
        assert free_symbols(found).isdisjoint(NAMES)


@settings(max_examples=400, deadline=None)
@given(EXPRESSIONS, SIZES)
def test_bounds_hold(expression: Expression, sizes: dict[str, int]) -> None:
    low, high = bounds(expression[0])
    value = expression[1](sizes)
    assert low is None or low <= value
    assert high is None or value <= high


@settings(max_examples=400, deadline=None)
@given(EXPRESSIONS, EXPRESSIONS, SIZES)
def test_decided_comparisons_hold(a: Expression, b: Expression, sizes: dict[str, int]) -> None:
    left, right = a[1](sizes), b[1](sizes)
    assert equal(a[0], b[0]) in (None, left == right)
    assert less(a[0], b[0]) in (None, left < right)


@settings(max_examples=400, deadline=None)
@given(EXPRESSIONS, EXPRESSIONS, SIZES)
def test_exact_quotients_multiply_back(a: Expression, b: Expression, sizes: dict[str, int]) -> None:
    whole = a[0] * b[0]
    quotient = exact_divide(whole, b[0])
    divisor = b[1](sizes)
    if quotient is None or divisor == 0:
        return
    found = substitute(quotient, sizes)
    if isinstance(found, int):
        assert found * divisor == a[1](sizes) * divisor


@settings(max_examples=300, deadline=None)
@given(EXPRESSIONS, EXPRESSIONS, SIZES)
@example(_number(7), _atom("s"), {"b": 0, "s": 0, "t": 0})
def test_floor_division_by_expressions(a: Expression, b: Expression, sizes: dict[str, int]) -> None:
    divisor = b[1](sizes)
    if b[0] == 0 or divisor == 0:
        return
    found = substitute(a[0] // b[0], sizes)
    if isinstance(found, int):
        assert found == a[1](sizes) // divisor
    found = substitute(a[0] % b[0], sizes)
    if isinstance(found, int):
        assert found == a[1](sizes) % divisor


@settings(max_examples=300, deadline=None)
@given(EXPRESSIONS, EXPRESSIONS, SIZES)
def test_broadcast_holds_wherever_it_is_defined(
    a: Expression, b: Expression, sizes: dict[str, int]
) -> None:
    left, right = a[1](sizes), b[1](sizes)
    if left < 0 or right < 0 or (left != right and 1 not in (left, right)):
        return
    merged = broadcast(a[0], b[0])
    assert merged is not None
    found = substitute(merged, sizes)
    if isinstance(found, int):
        assert found == (right if left == 1 else left)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((6 * S) // 3, 2 * S),
        ((B * S * 12) // (12 * S), B),
        ((6 * S + 5) // 3, 2 * S + 1 + (S * 0)),
        ((S // 2) // 3, S // 6),
        (((S + 1) // 2 + 3) // 2, (S + 7) // 4),
        ((S + T) * (S - T), S * S - T * T),
        ((S * B + S) // (B + 1), S),
        ((4 * S + 3) % 4, 3),
        (maximum(S, 0), S),
        (maximum(S - 1, S), S),
        (minimum(S, S + 3), S),
        (maximum(B, S), maximum(S, B)),
        (broadcast(B, S), broadcast(S, B)),
        (broadcast(S, 1), S),
        (broadcast(S, 7), 7),
        (broadcast(S, 0), 0),
        (broadcast(S, minimum(S, 512)), S),
        (S - S, 0),
        (S // S, 1),
        (product([B, S, 4]), 4 * S * B),
    ],
)
def test_equal_expressions_are_equal_objects(left: Dim, right: Dim) -> None:
    assert left == right
    assert hash(left) == hash(right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (S, T),
        (S // 2 * 2, S),
        (maximum(S - 1, 0), S - 1),
        (broadcast(B, S), B),
        (truncating_divide(S - 1, 2), (S - 1) // 2),
        (fresh(), fresh()),
        (S % 2, S),
    ],
)
def test_unequal_expressions_stay_unequal(left: Dim, right: Dim) -> None:
    assert left != right


def test_two_numbers_that_do_not_broadcast() -> None:
    assert broadcast(2, 3) is None


def test_nothing_is_known_to_be_positive() -> None:
    assert is_nonnegative(S)
    assert not at_least(S, 1)
    assert not is_nonnegative(S - 1)
    assert not is_nonnegative(fresh_value())
    assert is_nonnegative(fresh())
    assert equal(S, 0) is None
    assert equal(S, -1) is False
    assert less(S, S + 1) is True


def test_exact_division_declines_what_leaves_a_rest() -> None:
    assert exact_divide(S + 1, 2) is None
    assert exact_divide(6, 4) is None
    assert exact_divide(S, 0) is None
    assert exact_divide(B * S, S) == B


def test_unknowns_do_not_collide_with_names_of_users() -> None:
    unknown = fresh()
    assert is_unknown(unknown)
    assert is_symbol(unknown)
    assert is_symbol(S)
    assert not is_unknown(S)
    assert not is_symbol(S + 1)
    for mark in ("?", "!"):
        copycat = symbol(f"u{mark}{int(render(unknown)[1:])}")
        assert copycat != unknown
        assert not is_unknown(copycat)
        assert is_nonnegative(copycat)


def test_rendering() -> None:
    assert render(2 * S - 1) == "2*s - 1"
    assert render((S + 1) // 2) == "(s + 1)//2"
    assert render(B * (S // 2) + 1) == "b*(s//2) + 1"
    assert render(symbol("past + s")) == "past + s"
    assert render(symbol("past + s") * 2) == "2*'past + s'"
    assert render(7) == "7"


def test_substitution() -> None:
    dim = (S + B) // 2
    assert substitute(dim, {"s": 3, "b": 4}) == 3
    assert substitute(dim, {"s": 3}) == (B + 3) // 2
    with pytest.raises(ZeroDivisionError):
        substitute((S + 1) // T, {"t": 0})
    with pytest.raises(ValueError, match="broadcast"):
        substitute(broadcast(B, S) or 0, {"b": 2, "s": 3})
    assert evaluate((S + 1) // T, {"t": 0}, default=5) == 5
    assert evaluate(dim, {"s": 9}, default=1) == 5


def test_expressions_do_not_grow_without_bound() -> None:
    dim: Dim = S
    for _ in range(200):
        dim = maximum((dim * (S + 1)) // 3, T) + 1
        assert isinstance(dim, DimExpr)
        assert dim.size <= 200


INDICES = st.one_of(
    st.integers(-7, 7), st.sampled_from([2**31 - 1, 2**63 - 1, -(2**31) + 1, -(2**63)])
)


@settings(max_examples=500, deadline=None)
@given(st.integers(0, 6), INDICES, INDICES, st.sampled_from([1, 2, 3, -1, -2, -3]))
def test_slice_lengths(size: int, start: int, end: int, step: int) -> None:
    picked = slice_indices(size, start, end, step)
    wanted = len(picked)
    if step > 0 or -size <= start:
        assert list(picked) == list(range(size)[start:end:step])
    else:
        assert not size or picked[:1] == range(1)[: len(picked)]
    if step < 0 and end >= 2**31 - 1:
        # Runtimes differ.
        assert is_unknown(slice_length(S, start, end, step))
        return
    assert slice_length(size, start, end, step) == wanted
    assert substitute(slice_length(S, start, end, step), {"s": size}) == wanted


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 6), st.integers(0, 7), st.integers(0, 7))
def test_slices_between_dimensions(size: int, start: int, end: int) -> None:
    values = {"s": size, "b": start, "t": end}
    wanted = len(range(size)[start:end])
    assert substitute(slice_length(S, B, T, 1), values) == wanted
    assert substitute(slice_length(S, B, 2**63 - 1, 1), values) == len(range(size)[start:])
