"""What each operator demands of an operand: index ranges, lengths, shape-like values, domains.

One small function an idea, and a table from (operator, operand) to function, after the operator
specifications of ONNX (https://onnx.ai/onnx/operators). `trace` calls them on every use of a value
that carries a graph input.
"""

from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir

from onnxopt.runtime.facts import Dim
from onnxopt.runtime.site import Site, attribute, constant, dim_of, dims


def _gather(site: Site) -> None:
    site.bound(dim_of(site.operand(0), attribute(site.node, "axis", 0)))


def _gather_nd(site: Site) -> None:
    data, own = dims(site.operand(0)), dims(site.operand(1))
    batch = attribute(site.node, "batch_dims", 0) if site.node.op_type == "GatherND" else 0
    depth = own[-1] if own else None
    if data is None:
        site.bound(None)
        return
    picked = data[batch : batch + depth] if isinstance(depth, int) else data[batch:]
    static = [dim for dim in picked if isinstance(dim, int)]
    site.bound(min(static) if len(static) == len(picked) and static else None)


def _rows_of(operand: int) -> Callable[[Site], None]:
    def demand(site: Site) -> None:
        site.bound(dim_of(site.operand(operand), 0))

    return demand


def _one_hot(site: Site) -> None:
    depth = constant(site.operand(1))
    if depth is not None and depth.size == 1:
        site.bound(int(depth.reshape(())))


def _sequence_lens(site: Site) -> None:
    site.bound(dim_of(site.operand(0), 0), inclusive=True, least=1)


def _reverse_lens(site: Site) -> None:
    axis = attribute(site.node, "time_axis", 0)
    site.bound(dim_of(site.operand(0), axis), inclusive=True, least=1)


def _small_index(site: Site) -> None:
    site.bound(None)


def _shift(site: Site) -> None:
    site.bound(8)


def _role(name: str) -> Callable[[Site], None]:
    def demand(site: Site) -> None:
        site.facts.role = site.facts.role or name
        if site.facts.operand is None:
            site.facts.operand = dims(site.operand(0))

    return demand


def _split(site: Site) -> None:
    site.facts.role = "split"
    size = dim_of(site.operand(0), attribute(site.node, "axis", 0))
    site.facts.operand = None if size is None else [size]


def _key_lens(site: Site) -> None:
    shape = dims(site.operand(1))  # (batch, heads, positions, size) or (batch, positions, size)
    site.bound(shape[-2] if shape else None, inclusive=True, least=1)


def _domain(name: str) -> Callable[[Site], None]:
    def demand(site: Site) -> None:
        site.facts.domain = site.facts.domain or name

    return demand


def _divisor(site: Site) -> None:
    site.facts.domain = site.facts.domain or "nonzero"


def _compared(site: Site, into: list[float]) -> None:
    other = constant(site.operand(1 - site.index))
    if other is None or not site.scale:
        return
    if other.dtype.kind in "OUS":
        site.facts.strings += [str(item) for item in other.ravel()[:16].tolist()]
        return
    for constant_value in other.ravel()[:16].astype(float).tolist():
        value = (constant_value * site.divisor - site.offset) / site.scale
        if value not in into:
            into.append(value)


def _equal(site: Site) -> None:
    _compared(site, site.facts.choices)


def _ordered(site: Site) -> None:
    _compared(site, site.facts.thresholds)


def _from_one(site: Site) -> None:
    """``(1 - x) * -10000`` is how exporters spell an additive attention mask."""
    left = constant(site.operand(0))
    if left is None or left.size != 1 or float(left.reshape(())) != 1.0:
        return
    for user in site.node.outputs[0].consumers():
        for value in user.inputs:
            factor = constant(value)
            if user.op_type == "Mul" and factor is not None and factor.size == 1:
                large = abs(float(factor.reshape(()))) >= 1e3
                site.facts.role = site.facts.role or ("mask" if large else "")


def _cast(site: Site) -> None:
    if attribute(site.node, "to", 0) == ir.DataType.BOOL and site.whole:
        site.facts.role = site.facts.role or "mask"


def _attention_mask(site: Site) -> None:
    """Boolean masks select; others are added to the scores."""
    if site.whole:
        value = site.operand(site.index)
        boolean = value is None or value.dtype in (None, ir.DataType.BOOL)
        site.facts.role = site.facts.role or ("mask" if boolean else "additive-mask")


def _keys(attribute_name: str) -> Callable[[Site], None]:
    def demand(site: Site) -> None:
        found = site.node.attributes.get(attribute_name)
        if found is not None and not found.is_ref():
            site.facts.strings += [str(key) for key in list(found.as_strings())[:16]]

    return demand


def _forced(site: Site, axes: dict[int, Dim | None], rank: int | None) -> None:
    """A constant operand fixes sizes (and the rank) of the value itself."""
    if not site.whole:
        return
    for axis, size in axes.items():
        if isinstance(size, int):
            site.facts.axis_sizes.setdefault(axis, size)
    if site.facts.rank is None:
        site.facts.rank = rank


def _matmul(site: Site) -> None:
    if site.index == 0:
        shape = dims(site.operand(1))
        if shape is not None and len(shape) >= 2:
            _forced(site, {-1: shape[-2]}, None)


def _gemm(site: Site) -> None:
    shape = dims(site.operand(1))
    if shape is not None and len(shape) == 2:
        contracted = shape[1] if attribute(site.node, "transB", 0) else shape[0]
        axis = 0 if attribute(site.node, "transA", 0) else 1
        _forced(site, {axis: contracted}, 2)


def _conv(site: Site) -> None:
    shape = dims(site.operand(1))
    if shape is None:
        return
    channels = shape[1] if site.node.op_type == "Conv" else shape[0]
    if site.node.op_type == "Conv" and isinstance(channels, int):
        channels *= attribute(site.node, "group", 1)
    _forced(site, {1: channels}, len(shape))


def _channels(site: Site) -> None:
    _forced(site, {1: dim_of(site.operand(1), 0)}, None)


def _recurrent(site: Site) -> None:
    _forced(site, {2: dim_of(site.operand(1), 2)}, 3)


def _recurrent_state(site: Site) -> None:
    _forced(site, {0: dim_of(site.operand(1), 0), 2: dim_of(site.operand(2), 2)}, 3)


def _layer_norm(site: Site) -> None:
    _forced(site, {-1: dim_of(site.operand(1), -1)}, None)


Demand = Callable[[Site], None]

DEMANDS: dict[tuple[str, int], Demand] = {
    ("Gather", 1): _gather,
    ("GatherElements", 1): _gather,
    ("ScatterElements", 1): _gather,
    ("Scatter", 1): _gather,
    ("GatherBlockQuantized", 1): _gather,
    ("GatherND", 1): _gather_nd,
    ("ScatterND", 1): _gather_nd,
    ("OneHot", 0): _one_hot,
    ("OneHot", 1): _role("dims"),
    ("RoiAlign", 2): _rows_of(0),
    ("EmbedLayerNormalization", 0): _rows_of(2),
    ("EmbedLayerNormalization", 1): _rows_of(4),
    ("RotaryEmbedding", 1): _rows_of(2),
    ("RotaryEmbedding", 3): _rows_of(1),
    ("SequenceAt", 1): _small_index,
    ("SequenceErase", 1): _small_index,
    ("SequenceInsert", 2): _small_index,
    ("BitShift", 1): _shift,
    ("ReverseSequence", 1): _reverse_lens,
    ("Loop", 0): _role("trip"),
    ("Loop", 1): _role("condition"),
    ("If", 0): _role("condition"),
    ("Dropout", 1): _domain("unit"),
    ("Dropout", 2): _role("condition"),
    ("ConstantOfShape", 0): _role("dims"),
    ("Reshape", 1): _role("reshape"),
    ("Expand", 1): _role("expand"),
    ("Tile", 1): _role("repeats"),
    ("Upsample", 1): _role("scales"),
    ("Slice", 1): _role("starts"),
    ("Slice", 2): _role("ends"),
    ("Slice", 3): _role("axes"),
    ("Slice", 4): _role("steps"),
    ("Pad", 1): _role("pads"),
    ("Pad", 3): _role("axes"),
    ("Squeeze", 1): _role("axes"),
    ("Unsqueeze", 1): _role("axes"),
    ("CumSum", 1): _role("axes"),
    ("Split", 1): _split,
    ("TopK", 1): _role("k"),
    ("NonMaxSuppression", 2): _role("k"),
    ("Range", 0): _role("range-start"),
    ("Range", 1): _role("range-limit"),
    ("Range", 2): _role("k"),
    ("Sqrt", 0): _domain("positive"),
    ("Log", 0): _domain("positive"),
    ("BatchNormalization", 4): _domain("positive"),
    ("QuantizeLinear", 1): _domain("positive"),
    ("DequantizeLinear", 1): _domain("positive"),
    ("Acosh", 0): _domain("positive"),
    ("Acos", 0): _domain("signed-unit"),
    ("Asin", 0): _domain("signed-unit"),
    ("Atanh", 0): _domain("signed-unit"),
    ("Bernoulli", 0): _domain("unit"),
    ("Div", 1): _divisor,
    ("Mod", 1): _divisor,
    ("Reciprocal", 0): _divisor,
    ("Equal", 0): _equal,
    ("Equal", 1): _equal,
    ("Sub", 1): _from_one,
    ("Cast", 0): _cast,
    ("Attention", 3): _attention_mask,
    ("Attention", 6): _key_lens,
    ("LabelEncoder", 0): _keys("keys_strings"),
    ("CategoryMapper", 0): _keys("cats_strings"),
    ("TfIdfVectorizer", 0): _keys("pool_strings"),
    ("OneHotEncoder", 0): _keys("cats_strings"),
    ("MatMul", 0): _matmul,
    ("Gemm", 0): _gemm,
    ("Conv", 0): _conv,
    ("ConvTranspose", 0): _conv,
    ("BatchNormalization", 0): _channels,
    ("InstanceNormalization", 0): _channels,
    ("LayerNormalization", 0): _layer_norm,
    **{(op, 0): _recurrent for op in ("LSTM", "GRU", "RNN")},
    **{(op, 4): _sequence_lens for op in ("LSTM", "GRU", "RNN")},
    **{(op, 5): _recurrent_state for op in ("LSTM", "GRU", "RNN")},
    ("LSTM", 6): _recurrent_state,
    **{
        (op, index): _ordered
        for op in ("Greater", "Less", "GreaterOrEqual", "LessOrEqual")
        for index in (0, 1)
    },
}


def demand_of(node: ir.Node, index: int) -> Demand | None:
    """The demand of operand ``index`` of ``node``, or None when anything will do."""
    if node.op_type == "Resize" and index in (1, 2, 3):
        old = len(node.inputs) == 2  # opset 10: (X, scales)
        return _role("scales" if old or index == 2 else "sizes" if index == 3 else "roi")
    if node.op_type.startswith("Reduce") and index == 1:
        return _role("axes")
    return DEMANDS.get((node.op_type, index))
