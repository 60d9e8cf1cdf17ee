"""What a model costs: multiply-accumulate operations, as expressions in its symbolic dimensions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import onnx_ir as ir

from onnxopt.analysis.context import Context, Unknown, normalize_axis
from onnxopt.analysis.dims import Dim, evaluate, free_symbols, product
from onnxopt.analysis.effects import is_function_call
from onnxopt.analysis.facts import Facts

CostFunction = Callable[[Context], Dim]
_COSTS: dict[tuple[str, str], CostFunction] = {}
_MICROSOFT = "com.microsoft"


def _costs(*op_types: str, domain: str = "") -> Callable[[CostFunction], CostFunction]:
    def register(function: CostFunction) -> CostFunction:
        for op_type in op_types:
            _COSTS[domain, op_type] = function
        return function

    return register


@dataclass
class Cost:
    """Multiply-accumulate operations of a model.

    Attributes:
        macs: Their number in one run. Bodies of loops count as run once, and of an ``If`` both branches.
        by_op: The same by op type, the greatest first.
        assumed: The values put in for symbolic dimensions.
        uncounted: Nodes that would count but whose shapes are not known well enough.
    """

    macs: int = 0
    by_op: dict[str, int] = field(default_factory=dict)
    assumed: dict[str, int] = field(default_factory=dict)
    uncounted: int = 0


def node_macs(node: ir.Node, facts: Facts) -> Dim | None:
    """The multiply-accumulate operations of one node.

    Returns:
        An expression in the model's symbolic dimensions; 0 for operators that are not made of them; None when the
        shapes are not known.
    """
    if is_function_call(node, facts.model):
        return 0
    function = _COSTS.get((node.domain, node.op_type))
    if function is None:
        return 0
    try:
        return function(Context(facts, node, facts.opset(node, node.domain) or 1))
    except (Unknown, TypeError, ValueError, IndexError):
        return None


def cost_of(
    model: ir.Model, facts: Facts, dims: Mapping[str, int] | None = None, default: int = 1
) -> Cost:
    """Counts the multiply-accumulate operations of a model, functions once for each call.

    Args:
        model: The model.
        facts: Its facts.
        dims: Values for symbolic dimensions.
        default: The value of those not named.
    """
    cost = Cost()
    values = dict(dims or {})
    for node in _nodes(model.graph):
        macs = node_macs(node, facts)
        if macs is None:
            cost.uncounted += 1
            continue
        for name in free_symbols(macs):
            cost.assumed[name] = values.setdefault(name, default)
        number = evaluate(macs, values, default)
        # A dim of 1 where the model wants more gives windows of negative size: nothing is computed.
        if number > 0:
            cost.macs += number
            cost.by_op[node.op_type] = cost.by_op.get(node.op_type, 0) + number
    cost.by_op = dict(sorted(cost.by_op.items(), key=lambda item: -item[1]))
    return cost


def _nodes(graph: ir.Graph) -> Iterator[ir.Node]:
    yield from ir.traversal.RecursiveGraphIterator(graph)


def _output(context: Context) -> tuple[Dim, ...]:
    shape = context.facts.shape(context.node.outputs[0])
    if shape is None:
        raise Unknown
    return shape


def _convolution(context: Context, weight: int) -> Dim:
    return product(_output(context)) * product(context.known_shape(weight)[1:])


@_costs("Conv", "ConvInteger", "DeformConv")
@_costs("FusedConv", domain=_MICROSOFT)
def _conv(context: Context) -> Dim:
    """Each output element sums over the input channels of its group and the kernel."""
    return _convolution(context, 1)


@_costs("QLinearConv")
def _qlinear_conv(context: Context) -> Dim:
    return _convolution(context, 3)


@_costs("ConvTranspose")
def _conv_transpose(context: Context) -> Dim:
    """Each input element spreads over the output channels of its group and the kernel."""
    return product(context.known_shape(0)) * product(context.known_shape(1)[1:])


@_costs("MatMul", "MatMulInteger", "QLinearMatMul")
@_costs("DynamicQuantizeMatMul", "MatMulIntegerToFloat", domain=_MICROSOFT)
def _matmul(context: Context) -> Dim:
    return product(_output(context)) * context.known_shape(0)[-1]


@_costs("FusedMatMul", domain=_MICROSOFT)
def _fused_matmul(context: Context) -> Dim:
    axis = -2 if context.integer("transA", 0) else -1
    return product(_output(context)) * context.known_shape(0)[axis]


@_costs("MatMulNBits", domain=_MICROSOFT)
def _matmul_nbits(context: Context) -> Dim:
    return product(_output(context)) * context.integer("K", 0)


@_costs("Gemm")
@_costs("FusedGemm", domain=_MICROSOFT)
def _gemm(context: Context) -> Dim:
    axis = 0 if context.integer("transA", 0) else 1
    return product(_output(context)) * context.known_shape(0)[axis]


@_costs("Einsum")
def _einsum(context: Context) -> Dim:
    """One multiplication for each combination of labels, taken pairwise from the left at worst."""
    equation = context.string("equation", "").replace(" ", "")
    terms = equation.partition("->")[0].split(",")
    if len(terms) < 2:
        return 0
    labels: dict[str, Dim] = {}
    for index, term in enumerate(terms):
        shape = context.known_shape(index)
        if "." in term or len(term) != len(shape):
            raise Unknown
        labels.update(zip(term, shape, strict=True))
    return product(labels.values())


@_costs("LSTM", "GRU", "RNN")
def _recurrent(context: Context) -> Dim:
    """A product with the weights and one with the recurrence for each step, sequence and direction."""
    steps = context.known_shape(0)[:2]
    weights, recurrence = context.known_shape(1), context.known_shape(2)
    return product(steps) * (product(weights) + product(recurrence))


@_costs("Attention")
def _attention(context: Context) -> Dim:
    """Scores and weighted sums for every pair of positions and every head."""
    query, key, value = (context.known_shape(index) for index in range(3))
    total = key[-2]
    if context.has(4):
        total = total + context.known_shape(4)[2]
    if len(query) == 3:
        heads = context.integer("q_num_heads", 1)
        shared = context.integer("kv_num_heads", 1)
        width: Dim = query[2] + value[2] * heads // shared
        return query[0] * query[1] * total * width
    return query[0] * query[1] * query[2] * total * (query[3] + value[3])


@_costs("Attention", domain=_MICROSOFT)
def _ms_attention(context: Context) -> Dim:
    """The projections, then scores and weighted sums."""
    batch, length, _ = context.known_shape(0)
    weights = context.known_shape(1)
    width = _output(context)[2]
    return batch * length * product(weights) + 2 * batch * length * length * width


@_costs("MultiHeadAttention", "GroupQueryAttention", domain=_MICROSOFT)
def _multi_head_attention(context: Context) -> Dim:
    query, key = context.known_shape(0), context.known_shape(1)
    if len(query) != 3:
        raise Unknown
    total = key[normalize_axis(-2, len(key))]
    return 2 * query[0] * query[1] * total * query[2]
