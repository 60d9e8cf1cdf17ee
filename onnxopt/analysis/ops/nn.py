"""Layers of neural networks: normalisation, attention, recurrent networks."""

from __future__ import annotations

from onnxopt.analysis.context import Context, infers, normalize_axis, unknown_shape
from onnxopt.analysis.dims import Dim, exact_divide, floor_divide, fresh
from onnxopt.analysis.ops.common import FLOAT, dtype_attribute, same_as_input


@infers("BatchNormalization")
def infer_batch_normalization(context: Context) -> None:
    """The data normalised, and statistics of the shape of the mean."""
    mean = context.fact(3)
    for index in range(1, len(context.outs)):
        context.output(index, mean.dtype, mean.shape)
    same_as_input(context)


@infers("LayerNormalization")
def infer_layer_normalization(context: Context) -> None:
    """The data normalised from an axis on, and the statistics with those dimensions 1."""
    same_as_input(context)
    infer_statistics(context)


@infers("RMSNormalization", "SimplifiedLayerNormalization")
def infer_rms_normalization(context: Context) -> None:
    """The data normalised, in the type of the scale."""
    context.output(0, context.dtype(1) or context.dtype(0), context.shape(0))
    infer_statistics(context)


def infer_statistics(context: Context) -> None:
    """The outputs from the second on: the data's shape with the normalised dimensions 1."""
    dtype = dtype_attribute(context, "stash_type", FLOAT)
    shape = context.shape(0)
    for index in range(1, len(context.outs)):
        context.output(index, dtype)
        if shape is not None:
            axis = normalize_axis(context.integer("axis", -1), len(shape))
            context.outs[index].shape = shape[:axis] + (1,) * (len(shape) - axis)


@infers("RotaryEmbedding")
def infer_rotary_embedding(context: Context) -> None:
    """The data rotated."""
    same_as_input(context)


@infers("Attention")
def infer_attention(context: Context) -> None:
    """Scaled dot-product attention, with tensors of heads apart (rank 4) or joined (rank 3)."""
    query_type, value_type = context.dtype(0), context.dtype(2)
    for index, dtype in enumerate((query_type, context.dtype(1), value_type, query_type)):
        context.output(index, dtype)
    query, key, value = (context.known_shape(index) for index in range(3))
    joined = len(query) == 3
    context.out.shape = unknown_shape(len(query))
    heads: Dim = context.integer("q_num_heads", 0) if joined else query[1]
    groups: Dim = context.integer("kv_num_heads", 0) if joined else value[1]
    length, new = query[-2], key[-2]
    width = _head(value, groups, joined)
    if joined:
        context.out.shape = (query[0], length, heads * width)
    else:
        context.out.shape = (query[0], heads, length, width)
    past = context.shape(4)
    total = new if not context.has(4) else fresh() if past is None else past[2] + new
    context.output(1, context.dtype(1), (key[0], groups, total, _head(key, groups, joined)))
    context.output(2, value_type, (value[0], groups, total, width))
    context.output(3, query_type, (query[0], heads, length, total))


def _head(shape: tuple[Dim, ...], groups: Dim, joined: bool) -> Dim:
    """The width of one head."""
    if not joined:
        return shape[-1]
    exact = exact_divide(shape[-1], groups)
    return floor_divide(shape[-1], groups) if exact is None else exact


@infers("LSTM", "GRU", "RNN")
def infer_recurrent(context: Context) -> None:
    """All hidden states, the last one, and the last cell state of an LSTM."""
    dtype = context.dtype(0)
    for index in range(len(context.outs)):
        context.output(index, dtype)
    data = context.known_shape(0)
    weights = context.shape(2)
    directions = 2 if context.string("direction", "forward") == "bidirectional" else 1
    hidden: Dim = context.integer("hidden_size", 0) or (fresh() if weights is None else weights[2])
    if context.integer("layout", 0):
        batch, sequence = data[0], data[1]
        states: tuple[Dim, ...] = (batch, sequence, directions, hidden)
        last: tuple[Dim, ...] = (batch, directions, hidden)
    else:
        sequence, batch = data[0], data[1]
        states = (sequence, directions, batch, hidden)
        last = (directions, batch, hidden)
    context.output(0, dtype, states)
    context.output(1, dtype, last)
    context.output(2, dtype, last)
