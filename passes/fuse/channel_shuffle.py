"""A shuffle of channels, ``Reshape``, ``Transpose``, ``Reshape``, as one ``Gather``.

``[N, G * K, ...]`` cut into ``[N, G, K, ...]``, the two axes swapped and joined again: output channel ``k * G + g`` is
channel ``g * K + k``. onnxruntime's CPU copies whole channels faster than it transposes: 0.018 ms against 0.028 ms
for 116 channels of 28 x 28 in two groups, 0.027 against 0.046 ms for 240 in three.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from onnxopt.rewrite import Builder, Match, Skip, Var, op, rule

from .._forms import perm_of


@rule(
    op.Reshape(
        op.Transpose(op.Reshape("x", Var("split"), bind="first"), bind="transpose"), Var("merged")
    ),
    exact=True,
)
def fuse_channel_shuffle(m: Match, build: Builder) -> ir.Value | Skip:
    """Fuse the shuffle of channels between groups into a ``Gather`` of channels.

    Declines for other shapes and permutations, where there are no axes after the channels (a ``Gather`` of single
    numbers is slower), and for an unknown number of channels.

    Example: Reshape(Transpose<perm=[0,2,1,3,4]>(Reshape(x, [N,2,58,H,W])), [N,116,H,W]) -> Gather<axis=1>(x, [0,58,1,...])
    """
    before, after = m.shape("x"), m.shape(m.root.outputs[0])
    inner = m.shape(m.node("first").outputs[0])
    if len(before) < 3 or len(inner) < 4 or len(after) != len(before):
        return Skip("the ranks are not those of moving channels")
    if perm_of(m, m.node("transpose")) != [0, 2, 1, *range(3, len(inner))]:
        return Skip("the permutation is another one")
    channels, groups, size = before[1], inner[1], inner[2]
    if not (isinstance(channels, int) and isinstance(groups, int) and isinstance(size, int)):
        return Skip("the number of channels or groups is not known")
    if inner[0] != before[0] or groups * size != channels or before != after:
        return Skip("it is not the channels that are cut and joined")
    order = np.arange(channels).reshape(groups, size).T.reshape(-1)
    return build.op("Gather", m.value("x"), build.ints("order", order.tolist()), axis=1)
