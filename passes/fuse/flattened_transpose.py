"""A ``Transpose`` between ``Reshape``s that flatten and restore leading axes, as a ``Transpose`` alone.

The dynamo exporter transposes the last two axes of keys so.
"""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Match, Skip, Var, op, rule

from .._forms import build_transpose, perm_of, reshape_target


@rule(
    op.Reshape(
        op.Transpose(op.Reshape("x", Var("flat"), bind="flatten"), bind="transpose"), Var("back")
    ),
    exact=True,
)
def unflatten_transpose(m: Match, build: Builder) -> ir.Value | Skip:
    """Transpose trailing axes without flattening the leading ones first.

    Where other leading axes come out than went in, a ``Reshape`` before the ``Transpose`` makes them. Declines
    unless the first axis of what is transposed stays first and all others are proven to come out as
    they went in.

    Example: Reshape(Transpose<perm=[0,2,1]>(Reshape(x, [6,4,5])), [2,3,5,4]) -> Transpose<perm=[0,1,3,2]>(x)
    """
    perm = perm_of(m, m.node("transpose"))
    before, flat = m.shape("x"), m.shape(m.node("flatten").outputs[0])
    after = m.shape(m.root.outputs[0])
    lead = len(after) - len(flat) + 1
    if perm[0] != 0 or lead < 2:
        return Skip("the transposition is not of trailing axes, or nothing was flattened")
    if after[lead:] != tuple(flat[p] for p in perm[1:]):
        return Skip("the trailing axes are not proven to come back")
    wanted = (*after[:lead], *flat[1:])
    x = m.value("x")
    if before != wanted:
        target = reshape_target(before, wanted)
        if target is None:
            return Skip("the leading axes are not known")
        x = build.op("Reshape", x, build.ints("shape", target))
    return build_transpose(build, x, [*range(lead), *(p - 1 + lead for p in perm[1:])])
