"""The ``com.microsoft`` operators that onnxruntime fuses into, as its contrib-operator documentation specifies them."""

from __future__ import annotations

from onnxopt.analysis.context import Context, Shape, Unknown, infers, unknown_shape
from onnxopt.analysis.dims import Dim, fresh
from onnxopt.analysis.ops.common import (
    FLOAT,
    INT32,
    broadcast_shapes,
    same_as_input,
)
from onnxopt.analysis.ops.convolution import convolve
from onnxopt.analysis.ops.matrix import gemm_shape, matmul_shape
from onnxopt.analysis.ops.nn import infer_statistics
from onnxopt.analysis.ops.quantize import infer_dequantize, infer_quantize

MICROSOFT = "com.microsoft"

infers("QuantizeLinear", domain=MICROSOFT)(infer_quantize)


@infers(
    *("BiasGelu", "BiasSoftmax", "FastGelu", "Gelu", "GroupNorm", "QuickGelu", "RotaryEmbedding"),
    *("QLinearSigmoid", "QLinearLeakyRelu", "QLinearSoftmax"),
    domain=MICROSOFT,
)
def infer_same(context: Context) -> None:
    """The output has the type and shape of the first input."""
    same_as_input(context)


@infers("DequantizeLinear", domain=MICROSOFT)
def infer_ms_dequantize(context: Context) -> None:
    """The type is the scale's."""
    infer_dequantize(context)
    context.out.dtype = context.dtype(1)


@infers("FusedConv", domain=MICROSOFT)
def infer_fused_conv(context: Context) -> None:
    """A convolution and its activation."""
    context.output(0, context.dtype(0))
    convolve(context, 0, 1)


@infers("FusedGemm", domain=MICROSOFT)
def infer_fused_gemm(context: Context) -> None:
    """A ``Gemm`` and its activation."""
    context.output(0, context.dtype(0))
    context.out.shape = gemm_shape(context, context.known_shape(0), context.known_shape(1))


@infers("FusedMatMul", "FusedMatMulActivation", domain=MICROSOFT)
def infer_fused_matmul(context: Context) -> None:
    """A ``MatMul`` whose operands may be transposed."""
    context.output(0, context.dtype(0))
    if context.integer("transBatchA", 0) or context.integer("transBatchB", 0):
        raise Unknown
    left = _transposed(context.known_shape(0), context.integer("transA", 0))
    right = _transposed(context.known_shape(1), context.integer("transB", 0))
    context.out.shape = matmul_shape(left, right)


def _transposed(shape: Shape, flag: int) -> Shape:
    return (*shape[:-2], shape[-1], shape[-2]) if flag and len(shape) > 1 else shape


@infers("MatMulNBits", domain=MICROSOFT)
def infer_matmul_nbits(context: Context) -> None:
    """A product with packed weights of ``K`` rows and ``N`` columns."""
    context.output(0, context.dtype(0))
    context.out.shape = (*context.known_shape(0)[:-1], context.integer("N", 0))


@infers("DynamicQuantizeMatMul", "MatMulIntegerToFloat", domain=MICROSOFT)
def infer_matmul_to_float(context: Context) -> None:
    """An integer product scaled back to floating point."""
    scale = 2 if context.node.op_type == "MatMulIntegerToFloat" else 0
    context.output(0, context.dtype(scale))
    context.out.shape = matmul_shape(context.known_shape(0), context.known_shape(1))


@infers("MatMulInteger16", domain=MICROSOFT)
def infer_matmul_integer16(context: Context) -> None:
    """A product of 16-bit integers, accumulated in 32 bits."""
    context.output(0, INT32)
    context.out.shape = matmul_shape(context.known_shape(0), context.known_shape(1))


@infers("QLinearAdd", "QLinearMul", domain=MICROSOFT)
def infer_qlinear_binary(context: Context) -> None:
    """Arithmetic on two quantised tensors that broadcast."""
    context.output(0, context.dtype(0))
    context.out.shape = broadcast_shapes([context.known_shape(0), context.known_shape(3)])


@infers(
    "SkipLayerNormalization",
    "SkipSimplifiedLayerNormalization",
    domain=MICROSOFT,
)
def infer_skip_layer_normalization(context: Context) -> None:
    """The sum of two inputs normalised, statistics, and the sum itself."""
    same_as_input(context)
    infer_statistics(context)
    for index in (1, 2):
        if index < len(context.outs):
            context.outs[index].dtype = FLOAT
    same_as_input(context, 0, 3)


@infers("EmbedLayerNormalization", domain=MICROSOFT)
def infer_embed_layer_normalization(context: Context) -> None:
    """Embeddings summed and normalised, and the number of unmasked positions."""
    dtype = context.dtype(2)
    context.output(0, dtype, unknown_shape(3))
    context.output(1, INT32, unknown_shape(1))
    ids, words = context.known_shape(0), context.known_shape(2)
    context.output(0, dtype, (ids[0], ids[1], words[1]))
    context.output(1, INT32, (ids[0],))
    context.output(2, dtype, (ids[0], ids[1], words[1]))


@infers("MultiHeadAttention", domain=MICROSOFT)
def infer_multi_head_attention(context: Context) -> None:
    """Attention of a query to keys and values; the heads are joined in the output."""
    dtype = context.dtype(0)
    for index in range(len(context.outs)):
        context.output(index, dtype)
    query, value = context.known_shape(0), context.known_shape(2)
    if len(query) != 3 or len(value) not in (3, 4):
        raise Unknown
    width = value[2] if len(value) == 3 else value[1] * value[3]
    context.output(0, dtype, (query[0], query[1], width))


@infers("GroupQueryAttention", domain=MICROSOFT)
def infer_group_query_attention(context: Context) -> None:
    """Attention whose query heads share key and value heads; the cache comes out grown."""
    dtype = context.dtype(0)
    query = context.known_shape(0)
    width: Dim = query[2]
    if not context.has(1):
        # Query, key and value lie in one tensor.
        heads, shared = context.integer("num_heads", 0), context.integer("kv_num_heads", 0)
        width = (width * heads) // (heads + 2 * shared)
    context.output(0, dtype, (query[0], query[1], width))
    for index in (1, 2):
        context.output(index, context.dtype(index + 2) or dtype)
        past = context.shape(index + 2)
        if past is not None and index < len(context.outs):
            context.outs[index].shape = (past[0], past[1], fresh(), past[3])


@infers("Attention", domain=MICROSOFT)
def infer_ms_attention(context: Context) -> None:
    """Attention that projects its input to query, key and value itself."""
    context.output(0, context.dtype(0), unknown_shape(3))
    data, bias = context.known_shape(0), context.shape(1)
    sizes = context.integers("qkv_hidden_sizes")
    if sizes:
        width: Dim = sizes[2]
    elif bias is None:
        raise Unknown
    else:
        width = bias[-1] // 3
    context.output(0, context.dtype(0), (data[0], data[1], width))
