"""The nodes and constants that stand for a product of an integer weight."""

from __future__ import annotations

from functools import partial

import onnx_ir as ir

from onnxopt.rewrite.builder import Builder

from ._products import Product
from ._stored import PARTS, Job

# Tensors of a kilobyte or less are written before all larger ones. Where that is so of scales or zero points, the weight is
# computed twice if it is lazy; in blocks of 32, below this size.
_LAZY_ABOVE = 1 << 18


def integer_weight(build: Builder, product: Product, job: Job) -> ir.Value:
    """Builds a product whose weight is integers.

    Args:
        build: Makes nodes and constants.
        product: The product as it is.
        job: Gives the integers, scales and zero points.
    """
    parts = PARTS if job.needs_zero_point else PARTS[:2]
    inputs = [build.tensor(part, _tensor(job, part)) for part in parts]
    scheme = job.scheme
    single = scheme.whole and not job.spread
    weight = build.op(
        "DequantizeLinear",
        *inputs,
        axis=None if single else int(scheme.block is None),
        block_size=scheme.block,
    )
    node = product.node
    if node.op_type == "Gemm":
        return build.like(node, node.inputs[0], weight, *node.inputs[2:], transB=None)
    return build.like(node, node.inputs[0], weight)


def product_of(result: ir.Value) -> ir.Node:
    """The node that makes a product."""
    node = result.producer()
    assert node is not None
    return node


def _tensor(job: Job, part: str) -> ir.TensorProtocol:
    """A tensor that is computed when it is written, unless the weight is small."""
    if job.done is not None or job.columns.tensor.nbytes <= _LAZY_ABOVE:
        return job.tensor(part)
    return ir.LazyTensor(partial(job.tensor, part), job.dtype(part), ir.Shape(job.shape(part)))
