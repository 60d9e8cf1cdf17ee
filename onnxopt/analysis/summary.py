"""What a model is made of: the data behind ``onnxopt inspect``. Never reads weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import onnx_ir as ir

from onnxopt.analysis.constants import constant_node_tensor
from onnxopt.analysis.cost import Cost, cost_of
from onnxopt.analysis.facts import Facts
from onnxopt.analysis.naming import dtype_name

_LARGEST = 10


@dataclass(frozen=True)
class Port:
    """An input or output of the model.

    Attributes:
        name: Its name.
        type: Element type, such as ``float32``, or the type of what is no tensor.
        dims: Dimensions as the file states them: numbers, names, None where unnamed; None when there is no shape.
    """

    name: str
    type: str
    dims: tuple[int | str | None, ...] | None


@dataclass(frozen=True)
class Weight:
    """A constant.

    Attributes:
        name: Its name.
        type: Element type.
        dims: Dimensions.
        bytes: Size of its data in bytes.
        uses: The number of nodes' inputs it feeds.
    """

    name: str
    type: str
    dims: tuple[int, ...]
    bytes: int
    uses: int


@dataclass(frozen=True)
class Summary:
    """What a model is made of.

    Attributes:
        name: The name of the main graph.
        ir_version: Version of the file format.
        producer: Who wrote the file.
        opsets: Version of each imported operator set.
        nodes: Nodes in the main graph and its bodies.
        functions: Nodes in each function of the model.
        ops: Nodes by op type, the most frequent first; other domains than the standard one are prefixed.
        inputs: Inputs that the caller must give.
        overridable: Inputs with a default among the weights.
        outputs: Outputs.
        parameters: Elements of all constants.
        weight_bytes: Bytes of all constants.
        bytes_by_type: The same by element type.
        largest: The largest constants.
        cost: Multiply-accumulate operations, and what was assumed to count them.
    """

    name: str
    ir_version: int
    producer: str
    opsets: dict[str, int]
    nodes: int
    functions: dict[str, int]
    ops: dict[str, int]
    inputs: tuple[Port, ...]
    overridable: tuple[Port, ...]
    outputs: tuple[Port, ...]
    parameters: int
    weight_bytes: int
    bytes_by_type: dict[str, int]
    largest: tuple[Weight, ...]
    cost: Cost

    def to_json(self) -> dict[str, Any]:
        """The summary as plain dictionaries, lists, strings and numbers."""
        return asdict(self)


def summarize(
    model: ir.Model, facts: Facts | None = None, dims: Mapping[str, int] | None = None
) -> Summary:
    """Describes a model.

    Args:
        model: The model.
        facts: Its facts, when they are known already.
        dims: Values of symbolic dimensions to count operations with; those not named count as 1.
    """
    facts = facts or Facts(model)
    weights = sorted(_weights(model), key=lambda item: (-item[0].bytes, item[0].name))
    types: Counter[str] = Counter()
    for weight, _ in weights:
        types[weight.type] += weight.bytes
    nodes = list(_nodes(model))
    inputs, overridable = _inputs(model)
    return Summary(
        name=model.graph.name or "",
        ir_version=model.ir_version,
        producer=" ".join(filter(None, (model.producer_name, model.producer_version))),
        opsets=dict(model.opset_imports),
        nodes=sum(1 for _ in ir.traversal.RecursiveGraphIterator(model.graph)),
        functions={_function_name(f): len(list(f.all_nodes())) for f in model.functions.values()},
        ops=dict(Counter(map(_op_name, nodes)).most_common()),
        inputs=inputs,
        overridable=overridable,
        outputs=tuple(map(_port, model.graph.outputs)),
        parameters=sum(size for _, size in weights),
        weight_bytes=sum(weight.bytes for weight, _ in weights),
        bytes_by_type=dict(types.most_common()),
        largest=tuple(weight for weight, _ in weights[:_LARGEST]),
        cost=cost_of(model, facts, dims),
    )


def _nodes(model: ir.Model) -> Iterator[ir.Node]:
    yield from ir.traversal.RecursiveGraphIterator(model.graph)
    for function in model.functions.values():
        yield from function.all_nodes()


def _op_name(node: ir.Node) -> str:
    return f"{node.domain}.{node.op_type}" if node.domain else node.op_type


def _function_name(function: ir.Function) -> str:
    return ".".join(filter(None, function.identifier()))


def _inputs(model: ir.Model) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
    required = tuple(_port(v) for v in model.graph.inputs if not v.is_initializer())
    return required, tuple(_port(v) for v in model.graph.inputs if v.is_initializer())


def _port(value: ir.Value) -> Port:
    if isinstance(value.type, ir.TensorType):
        kind = dtype_name(value.type.dtype)
    else:
        kind = "unknown" if value.type is None else str(value.type)
    dims = None
    if value.shape is not None:
        dims = tuple(dim if isinstance(dim, int) else dim.value for dim in value.shape)
    return Port(value.name or "", kind, dims)


def _weights(model: ir.Model) -> Iterator[tuple[Weight, int]]:
    """Each constant with its number of elements."""
    for graph in model.graphs():
        for value in graph.initializers.values():
            if value.const_value is not None:
                yield _weight(value, value.const_value)
    for node in _nodes(model):
        if node.op_type == "Constant" and node.domain == "" and node.outputs:
            tensor = constant_node_tensor(node)
            if tensor is not None:
                yield _weight(node.outputs[0], tensor)


def _weight(value: ir.Value, tensor: ir.TensorProtocol) -> tuple[Weight, int]:
    dims = tuple(tensor.shape.numpy())
    uses = len(value.uses())
    weight = Weight(value.name or "", dtype_name(tensor.dtype), dims, tensor.nbytes, uses)
    return weight, tensor.size
