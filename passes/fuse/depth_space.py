"""``DepthToSpace`` and ``SpaceToDepth`` out of ``Reshape``, ``Transpose``, ``Reshape``.

Source: https://onnx.ai/onnx/operators/onnx__DepthToSpace.html, which defines them so.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from onnxopt.analysis.dims import Dim
from onnxopt.rewrite import Builder, Match, Skip, Var, op, rule

from .._forms import perm_of

_TYPES = frozenset({ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.DOUBLE})
_MODES = {(0, 3, 4, 1, 5, 2): "DCR", (0, 1, 4, 2, 5, 3): "CRD"}
_GATHER = (0, 3, 5, 1, 2, 4)
_UNSHUFFLE = (0, 1, 3, 5, 2, 4)


@rule(
    op.Reshape(
        op.Transpose(op.Reshape("x", Var("split"), bind="first"), bind="transpose"), Var("merged")
    ),
    exact=True,
)
def fuse_depth_space(m: Match, build: Builder) -> ir.Value | Skip:
    """Fuse ``Reshape``, ``Transpose``, ``Reshape`` into ``DepthToSpace`` or ``SpaceToDepth``.

    torch's ``PixelUnshuffle`` has the channels of ``SpaceToDepth`` in another order, for which a ``Gather`` follows.
    Declines for other shapes and permutations, for blocks that are not square, and for types that
    runtimes lack.

    Example: Reshape(Transpose<perm=[0,1,4,2,5,3]>(Reshape(x, [N,C,2,2,H,W]))) -> DepthToSpace<CRD, 2>(x)
    """
    if m.dtype("x") not in _TYPES:
        return Skip("runtimes lack the operator for this type")
    before, after = m.shape("x"), m.shape(m.root.outputs[0])
    inner = m.shape(m.node("first").outputs[0])
    if len(before) != 4 or len(inner) != 6 or len(after) != 4:
        return Skip("the shapes are not those of moving blocks")
    perm = tuple(perm_of(m, m.node("transpose")))
    if perm in _MODES:
        return _to_space(m, build, _MODES[perm], (before, inner, after))
    if perm == _GATHER:
        return _to_depth(m, build, (before, inner, after))
    if perm == _UNSHUFFLE:
        return _unshuffled(m, build, (before, inner, after))
    return Skip("the permutation is another one")


_Shapes = tuple[tuple[Dim, ...], tuple[Dim, ...], tuple[Dim, ...]]
_OTHER = Skip("the blocks are not square, or the sizes do not follow from them")


def _to_space(m: Match, build: Builder, mode: str, shapes: _Shapes) -> ir.Value | Skip:
    before, inner, after = shapes
    at = 1 if mode == "DCR" else 2
    block, depth = inner[at], inner[3 if mode == "DCR" else 1]
    if not isinstance(block, int) or inner[at + 1] != block:
        return _OTHER
    batch, _, height, width = before
    if (inner[0], *inner[4:]) != (batch, height, width):
        return _OTHER
    if after != (batch, depth, height * block, width * block):
        return _OTHER
    if mode == "CRD" and m.opset() < 11:
        return Skip("DepthToSpace has no modes before opset 11")
    chosen = mode if m.opset() >= 11 else None
    return build.op("DepthToSpace", m.value("x"), blocksize=block, mode=chosen)


def _to_depth(m: Match, build: Builder, shapes: _Shapes) -> ir.Value | Skip:
    before, inner, after = shapes
    block = inner[3]
    if not isinstance(block, int) or inner[5] != block:
        return _OTHER
    batch, channels, rows, columns = inner[0], inner[1], inner[2], inner[4]
    if before != (batch, channels, rows * block, columns * block):
        return _OTHER
    if after != (batch, channels * (block * block), rows, columns):
        return _OTHER
    return build.op("SpaceToDepth", m.value("x"), blocksize=block)


def _unshuffled(m: Match, build: Builder, shapes: _Shapes) -> ir.Value | Skip:
    channels, block = shapes[1][1], shapes[1][3]
    blocks = _to_depth(m, build, shapes)
    if isinstance(blocks, Skip) or channels == 1:
        return blocks
    if not (isinstance(channels, int) and isinstance(block, int)):
        return Skip("the number of channels is not known")
    places = block * block
    order = np.arange(channels * places).reshape(places, channels).T
    return build.op("Gather", blocks, build.ints("order", order.reshape(-1).tolist()), axis=1)
