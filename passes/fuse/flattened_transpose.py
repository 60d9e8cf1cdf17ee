"""A ``Transpose`` between ``Reshape``s that flatten and restore leading axes, as a ``Transpose`` alone.

The dynamo exporter transposes the last two axes of keys so.
"""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Match, Skip, Var, op, rule

from .._forms import build_transpose, perm_of


@rule(
    op.Reshape(
        op.Transpose(op.Reshape("x", Var("flat"), bind="flatten"), bind="transpose"), Var("back")
    ),
    exact=True,
)
def unflatten_transpose(m: Match, build: Builder) -> ir.Value | Skip:
    """Transpose trailing axes without flattening the leading ones first.

    Declines unless the first axis of what is transposed stays first and is proven to be the leading
    axes flattened, and these are proven to come back.

    Example: Reshape(Transpose<perm=[0,2,1]>(Reshape(x, [6,4,5])), [2,3,5,4]) -> Transpose<perm=[0,1,3,2]>(x)
    """
    perm = perm_of(m, m.node("transpose"))
    before, flat = m.shape("x"), m.shape(m.node("flatten").outputs[0])
    after = m.shape(m.root.outputs[0])
    kept = len(flat) - 1
    lead = len(before) - kept
    if perm[0] != 0 or lead < 2 or len(after) != len(before):
        return Skip("the transposition is not of trailing axes, or nothing was flattened")
    # With the trailing axes proven equal and not zero, the first one is the product of the leading ones.
    if before[lead:] != flat[1:] or before[:lead] != after[:lead]:
        return Skip("the leading axes are not proven to be flattened and to come back")
    if after[lead:] != tuple(flat[p] for p in perm[1:]):
        return Skip("the trailing axes are not proven to come back")
    return build_transpose(build, m.value("x"), [*range(lead), *(p - 1 + lead for p in perm[1:])])
