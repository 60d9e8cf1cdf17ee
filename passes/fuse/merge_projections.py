"""Merges products of one value with several constant matrices into one product and a ``Split``.

``[x A, x B, x C] = split(x [A B C])``; attention projects its queries, keys and values so.

``Conv`` and ``Gemm`` of one value are left apart on purpose. Merged 1 x 1 convolutions of Inception and YOLO shapes took
1 to 25 % longer on onnxruntime's CPU (0.62 against 0.58 ms for 192 channels of 28 x 28 to 64, 96 and 16; 1.19 against
0.95 ms for 64 channels of 80 x 80 to 32 and 32, with SiLU): ``Split`` copies what separate ones write in place.
``Gemm``s took the same time either way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from onnxopt.analysis.facts import Facts
from onnxopt.pipeline.base import Context, Pass
from onnxopt.rewrite import Builder, Rewrite
from onnxopt.rewrite.scopes import owner
from onnxopt.rewrite.uses import has_one_use, use_count

from ._channels import Array, dims

_MOST = 4
_BIAS_BYTES = 1 << 20


@dataclass(frozen=True)
class Projection:
    """A product with a constant matrix, and the bias added to it.

    Attributes:
        product: The ``MatMul``.
        weight: The matrix, ``[inner, columns]``.
        add: The ``Add`` after it, if it is the product's only user and its other operand a constant.
        bias: That constant, spread over the columns.
    """

    product: ir.Node
    weight: ir.TensorProtocol
    add: ir.Node | None
    bias: Array | None

    @property
    def columns(self) -> int:
        """The number of columns."""
        return dims(self.weight)[1]

    @property
    def result(self) -> ir.Value:
        """The value that others read."""
        return (self.add or self.product).outputs[0]


@dataclass(frozen=True)
class MergeProjections(Pass):
    """Merges products of one value with constant matrices where that leaves fewer nodes."""

    name: ClassVar[str] = "merge-projections"
    summary: ClassVar[str] = "Merge products of one value with several constant matrices into one."
    exact: ClassVar[bool] = False

    def run(self, context: Context) -> int:
        """Merges what can be merged, in every graph.

        Args:
            context: The model and the services.

        Returns:
            The number of groups merged.
        """
        merged = 0
        for graph in list(context.editor.scopes.graphs()):
            shared: dict[ir.Value, None] = {}
            for node in graph:
                if node.op_type == "MatMul" and node.domain == "" and node.inputs[0] is not None:
                    shared[node.inputs[0]] = None
            for value in shared:
                merged += _merge_users(context, graph, value)
        return merged


def _merge_users(context: Context, graph: ir.Graph | ir.Function, value: ir.Value) -> int:
    if not 2 <= use_count(value) <= 2 * _MOST:
        return 0
    found = [
        p
        for node, index in value.uses()
        if index == 0 and owner(node) is graph
        for p in [_projection(context.facts, node)]
        if p is not None
    ]
    biased = [p for p in found if p.add is not None]
    plain = [p for p in found if p.add is None]
    # Two products and two sums become three nodes; without sums it takes three products to gain.
    return sum(
        _merge(context, graph, group)
        for group, least in ((biased, 2), (plain, 3))
        if least <= len(group) <= _MOST and _alike(group)
    )


def _alike(group: Sequence[Projection]) -> bool:
    return len({(p.weight.dtype, dims(p.weight)[0]) for p in group}) == 1


def _projection(facts: Facts, node: ir.Node) -> Projection | None:
    if node.op_type != "MatMul" or node.domain != "":
        return None
    matrix = node.inputs[1]
    weight = facts.const_tensor(matrix)
    # A constant that a node makes may stand after the place where the merged product goes.
    if weight is None or matrix is None or matrix.producer() is not None or len(weight.shape) != 2:
        return None
    add, bias = _bias(facts, node, dims(weight)[1])
    return Projection(node, weight, add, bias)


def _bias(facts: Facts, node: ir.Node, columns: int) -> tuple[ir.Node | None, Array | None]:
    product = node.outputs[0]
    if not has_one_use(product):
        return None, None
    user, index = next(iter(product.uses()))
    if user.op_type != "Add" or user.domain != "" or owner(user) is not owner(node):
        return None, None
    bias = facts.const(user.inputs[1 - index], _BIAS_BYTES)
    if bias is None or bias.shape not in ((columns,), (1,), ()):
        return None, None
    return user, np.broadcast_to(bias, (columns,))


def _merge(context: Context, graph: ir.Graph | ir.Function, group: Sequence[Projection]) -> int:
    places = {p.product: p for p in group}
    ordered = [places[node] for node in graph if node in places]
    anchor = ordered[0].product
    opset = context.facts.opset(anchor) or 0
    rank = context.facts.rank(anchor.outputs[0])
    if rank is None:
        context.stats.decline("merge-projections", anchor.name or "", "the rank is unknown")
        return 0
    build = context.editor.builder(anchor)
    pieces = _split(build, _product(build, ordered), [p.columns for p in ordered], rank, opset)
    rewrite = Rewrite(
        "merge-projections",
        anchor,
        [(p.result, piece) for p, piece in zip(ordered, pieces, strict=True)],
        [n for p in ordered for n in (p.product, p.add) if n is not None],
        tuple(build.nodes),
        tuple(build.constants),
    )
    if context.editor.commit(rewrite) is None:
        build.discard()
        return 0
    return 1


def _product(build: Builder, group: Sequence[Projection]) -> ir.Value:
    weights = [p.weight for p in group]
    rows, columns = dims(weights[0])[0], sum(p.columns for p in group)

    def compute() -> Array:
        return np.concatenate([w.numpy() for w in weights], axis=1)

    weight = build.lazy("weight", weights[0].dtype, (rows, columns), compute)
    product = build.op("MatMul", group[0].product.inputs[0], weight)
    biases = [p.bias for p in group if p.bias is not None]
    if not biases:
        return product
    bias = build.const("bias", np.concatenate(biases), weights[0].dtype)
    return build.op("Add", product, bias)


def _split(
    build: Builder, value: ir.Value, sizes: Sequence[int], rank: int, opset: int
) -> Sequence[ir.Value]:
    count, axis = len(sizes), rank - 1
    if opset < 13:
        return build.ops("Split", value, outputs=count, axis=axis, split=list(sizes))
    return build.ops("Split", value, build.ints("sizes", list(sizes)), outputs=count, axis=axis)
