"""Transposes: those that move nothing, chains, and pairs that cancel around elementwise operators."""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Const, Match, Skip, Var, op, rule

from .._forms import build_transpose, perm_of
from .._kinds import BINARY_ELEMENTWISE, UNARY_ELEMENTWISE


@rule(op.Transpose("x"), exact=True)
def remove_transpose(m: Match, build: Builder) -> ir.Value | Skip:
    """Remove a transpose that keeps all axes where they are.

    Example: Transpose<perm=[0,1,2]>(x) -> x
    """
    perm = perm_of(m, m.root)
    if perm != list(range(len(perm))):
        return Skip("it moves axes")
    return m.value("x")


@rule(op.Transpose(op.Transpose(Var("x"), bind="inner", shared=True)), exact=True)
def merge_transposes(m: Match, build: Builder) -> ir.Value:
    """Merge a transpose of a transpose into one, or none where they cancel.

    Axis i of the result is axis ``inner[outer[i]]`` of the input. Declines where neither
    permutation is written out and the rank is unknown.

    Example: Transpose<perm=[0,2,1]>(Transpose<perm=[0,2,1]>(x)) -> x
    """
    inner, outer = perm_of(m, m.node("inner")), perm_of(m, m.root)
    return build_transpose(build, m.value("x"), [inner[axis] for axis in outer])


@rule(
    op.Transpose(
        op(*UNARY_ELEMENTWISE)(op.Transpose("x", bind="inner", shared=True), bind="middle"),
    ),
    exact=True,
)
def cancel_transposes_around_unary(m: Match, build: Builder) -> ir.Value | Skip:
    """Merge the transposes before and after an elementwise operator of one input.

    Elementwise operators do not care for the order of axes, so that the second transpose may come
    before them. Declines where the first one stays for others and nothing would be saved.

    Example: Transpose<perm=[0,3,1,2]>(Relu(Transpose<perm=[0,2,3,1]>(x))) -> Relu(x)
    """
    inner, outer = perm_of(m, m.node("inner")), perm_of(m, m.root)
    perm = [inner[axis] for axis in outer]
    if perm != sorted(perm) and len(m.node("inner").outputs[0].uses()) > 1:
        return Skip("the first transpose stays for others")
    return build.like(m.node("middle"), build_transpose(build, m.value("x"), perm))


def _turned(name: str) -> object:
    return op.Transpose(name, bind=f"turn_{name}", shared=True)


@rule(
    op.Transpose(op(*BINARY_ELEMENTWISE)(_turned("a"), _turned("b"), bind="middle")),
    op.Transpose(op(*BINARY_ELEMENTWISE)(_turned("a"), Const("b"), bind="middle")),
    op.Transpose(op(*BINARY_ELEMENTWISE)(Const("a"), _turned("b"), bind="middle")),
    exact=True,
)
def cancel_transposes_around_binary(m: Match, build: Builder) -> ir.Value | Skip:
    """Remove the transposes before and after an elementwise operator of two inputs.

    The other input is transposed the same way, or is a constant of one element, which has no order.

    Example: Transpose<perm=[1,0]>(Add(Transpose<perm=[1,0]>(a), Transpose<perm=[1,0]>(b))) -> Add(a, b)
    """
    outer = perm_of(m, m.root)
    for name in ("a", "b"):
        if m.has(f"turn_{name}"):
            inner = perm_of(m, m.node(f"turn_{name}"))
            if len(inner) != len(outer) or [inner[axis] for axis in outer] != list(
                range(len(outer))
            ):
                return Skip("the transposes do not cancel")
        elif m.tensor(name).size != 1 or len(m.tensor(name).shape) > len(outer):
            return Skip("the other input is not a single number")
    return build.like(m.node("middle"), m.value("a"), m.value("b"))
