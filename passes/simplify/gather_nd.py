"""``GatherND`` along one axis as ``Gather``, and the transposes that bring that axis to the front.

torch's newer exporter writes ``x[:, [2, 0, 1]]`` as ``Transpose``, ``GatherND``, ``Transpose``.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from onnxopt.rewrite import Builder, Const, Match, Skip, Var, op, rule
from onnxopt.rewrite.uses import has_one_use

from .._forms import build_transpose, normalize, perm_of


@rule(op.GatherND("x", Const("indices")), exact=True)
def gather_nd_to_gather(m: Match, build: Builder) -> ir.Value | Skip:
    """Gather along the first axis, where constant tuples of indices have one element each.

    Declines for longer tuples and for batches of them.

    Example: GatherND(x, [[2],[0]]) -> Gather<axis=0>(x, [2,0])
    """
    indices = m.const("indices")
    if indices.ndim == 0 or indices.shape[-1] != 1:
        return Skip("the tuples of indices have several elements")
    if int(m.attr(m.root, "batch_dims", 0)) != 0:
        return Skip("the indices come in batches")
    flat = build.const("indices", indices.reshape(indices.shape[:-1]).astype(np.int64))
    return build.op("Gather", m.value("x"), flat, axis=0)


@rule(
    op.Transpose(
        op.Gather(
            op.Transpose(Var("x"), bind="inner", shared=True), Const("indices"), bind="gather"
        )
    ),
    exact=True,
)
def cancel_transposes_around_gather(m: Match, build: Builder) -> ir.Value | Skip:
    """Gather along the axis where it lies, in place of transposing it to another place and back.

    Declines where the indices are no vector, and where the first transpose stays for others and nothing would be
    saved.

    Example: Transpose<perm=[1,0]>(Gather<axis=0>(Transpose<perm=[1,0]>(x), [2,0])) -> Gather<axis=1>(x, [2,0])
    """
    inner, outer = perm_of(m, m.node("inner")), perm_of(m, m.root)
    if m.const("indices").ndim != 1:
        return Skip("the indices are no vector")
    perm = [inner[axis] for axis in outer]
    if perm != sorted(perm) and not has_one_use(m.node("inner").outputs[0]):
        return Skip("the first transpose stays for others")
    axis = outer.index(normalize(int(m.attr("gather", "axis", 0)), len(inner)))
    return build.like(
        m.node("gather"), build_transpose(build, m.value("x"), perm), m.value("indices"), axis=axis
    )
