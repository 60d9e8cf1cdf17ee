"""What a model file can say and the IR cannot: carried beside the IR and put back on writing.

onnx-ir drops or refuses training information, sparse tensors, map and opaque types, and annotations
of names that are not values. They travel in the ``meta`` of the graph, value or attribute that they
belong to. ``Graph.meta`` and ``Value.meta`` survive cloning; ``Model.meta`` does not, so what belongs to
the whole model lies in the main graph's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import onnx_ir as ir

from onnxopt.io.paths import DataFile
from onnxopt.io.tensors import content_digest

if TYPE_CHECKING:
    import onnx

_MODEL_KEY = "onnxopt.model"
_GRAPH_KEY = "onnxopt.graph"
_SPARSE_KEY = "onnxopt.sparse"
_INFO_KEY = "onnxopt.value_info"
# Where onnx-ir keeps a quantisation annotation.
_QUANTIZATION_KEY = "quant_parameter_tensor_names"

_EMPTY: Mapping[str, Any] = {}


class _Immutable:
    """Carried things are never changed, so copies of a model share them."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


class VerbatimType(_Immutable, ir.TypeProtocol):
    """A type that onnx-ir has no class for (map, opaque, incomplete), kept as the file spells it.

    Args:
        encoded: The serialised ``TypeProto``.
        denotation: The type's denotation.
    """

    dtype = ir.DataType.UNDEFINED
    elem_type = ir.DataType.UNDEFINED

    def __init__(self, encoded: bytes, denotation: str | None = None) -> None:
        self.encoded = encoded
        self.denotation = denotation

    def __eq__(self, other: object) -> bool:
        return isinstance(other, VerbatimType) and other.encoded == self.encoded

    def __hash__(self) -> int:
        return hash(self.encoded)

    def __repr__(self) -> str:
        return f"VerbatimType({len(self.encoded)} bytes)"


class SparseTensor(_Immutable):
    """A sparse tensor: the value of a sparse attribute, or of a sparse initializer.

    Attributes:
        values: The non-zero elements, of dims ``[nnz]``; their name is a sparse initializer's name.
        indices: INT64, dims ``[nnz]`` (linear) or ``[nnz, rank]``; see ``SparseTensorProto`` in onnx.proto.
        dims: Dims of the dense tensor.
    """

    def __init__(
        self, values: ir.TensorProtocol, indices: ir.TensorProtocol, dims: Sequence[int]
    ) -> None:
        self.values = values
        self.indices = indices
        self.dims = tuple(dims)
        self._key: tuple[bytes, bytes, tuple[int, ...]] | None = None

    def _identity(self) -> tuple[bytes, bytes, tuple[int, ...]]:
        if self._key is None:
            self._key = (content_digest(self.values), content_digest(self.indices), self.dims)
        return self._key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SparseTensor) and other._identity() == self._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def __repr__(self) -> str:
        return f"SparseTensor<{self.values.dtype},{list(self.dims)}>"


@dataclass(frozen=True)
class Info(_Immutable):
    """A ``ValueInfoProto`` of the file that the IR's value does not repeat exactly.

    It is written back as it was, as long as the value's type and shape are still what they were.

    Attributes:
        proto: The entry.
        state: The value's type and shape when the file was read, as a serialised ``TypeProto``.
    """

    proto: onnx.ValueInfoProto
    state: bytes


@dataclass(frozen=True)
class GraphCarry(_Immutable):
    """What one graph carries.

    Attributes:
        sparse: Sparse initializers, by name.
        value_info: Entries of ``value_info`` that no value of the IR repeats: the name is unknown (then
            without state), or that of a graph input or output, which has an entry of its own.
        quantization: Annotations that name no value of the IR.
        outputs: Graph outputs whose entry differs from the value's own, by position.
    """

    sparse: dict[str, SparseTensor] = field(default_factory=dict)
    value_info: list[Info] = field(default_factory=list)
    quantization: list[onnx.TensorAnnotation] = field(default_factory=list)
    outputs: dict[int, Info] = field(default_factory=dict)

    def is_empty(self) -> bool:
        """Whether there is nothing to carry."""
        return not (self.sparse or self.value_info or self.quantization or self.outputs)


@dataclass(frozen=True)
class ModelCarry(_Immutable):
    """What the whole model carries.

    Attributes:
        source: The file that the model was loaded from.
        data_files: The other files that its weights were in.
        training_info: ``ModelProto.training_info``, its tensors inline.
    """

    source: DataFile | None = None
    data_files: tuple[DataFile, ...] = ()
    training_info: list[onnx.TrainingInfoProto] = field(default_factory=list)


def meta(value: ir.Value) -> Mapping[str, Any]:
    """Return a value's ``meta`` to read from.

    Reading ``Value.meta`` creates a store in each value that has none, which is costly over a whole graph.
    """
    store: Mapping[str, Any] | None = getattr(value, "_metadata", _EMPTY)
    return value.meta if store is _EMPTY else store or _EMPTY


def attach_model(graph: ir.Graph, carry: ModelCarry) -> None:
    """Attach to the main graph what the model carries."""
    graph.meta[_MODEL_KEY] = carry


def model_carry(model: ir.Model) -> ModelCarry:
    """Return what the model carries."""
    carry: ModelCarry = model.graph.meta.get(_MODEL_KEY) or ModelCarry()
    return carry


def attach_graph(graph: ir.Graph, carry: GraphCarry) -> None:
    """Attach to a graph what it carries."""
    if not carry.is_empty():
        graph.meta[_GRAPH_KEY] = carry


def graph_carry(graph: ir.Graph) -> GraphCarry:
    """Return what a graph carries."""
    carry: GraphCarry = graph.meta.get(_GRAPH_KEY) or GraphCarry()
    return carry


def attach_info(value: ir.Value, info: Info) -> None:
    """Attach to an initializer its ``value_info`` entry."""
    value.meta[_INFO_KEY] = info


def value_info(value: ir.Value) -> Info | None:
    """Return the ``value_info`` entry that the file had for an initializer."""
    info: Info | None = meta(value).get(_INFO_KEY)
    return info


def attach_sparse(value: ir.Value, tensor: SparseTensor) -> None:
    """Mark a value as a sparse initializer."""
    value.meta[_SPARSE_KEY] = tensor


def sparse_tensor(value: ir.Value) -> SparseTensor | None:
    """Return the sparse tensor behind an initializer; None for a dense one."""
    tensor: SparseTensor | None = meta(value).get(_SPARSE_KEY)
    return tensor


def annotate(value: ir.Value, parameters: dict[str, str]) -> None:
    """Attach a quantisation annotation to a value."""
    value.meta[_QUANTIZATION_KEY] = parameters


def quantization(value: ir.Value) -> Mapping[str, str]:
    """Return a value's quantisation annotation: kind of parameter to tensor name; empty for none."""
    parameters: Mapping[str, str] = meta(value).get(_QUANTIZATION_KEY) or {}
    return parameters


def pinned_names(model: ir.Model) -> frozenset[str]:
    """Names that must survive, because carried parts of the model refer to them.

    These are the initializers and values that training information and quantisation annotations
    mention: a pass that removes or renames one would leave a dangling reference.

    Args:
        model: A model that this package loaded.
    """
    names: set[str] = set()
    for info in model_carry(model).training_info:
        names.update(_names_in_training(info))
    for graph in _graphs(model):
        for annotation in graph_carry(graph).quantization:
            names.add(annotation.tensor_name)
            names.update(entry.value for entry in annotation.quant_parameter_tensor_names)
        for value in _values(graph):
            names.update(quantization(value).values())
    return frozenset(names)


def _graphs(model: ir.Model) -> Iterator[ir.Graph]:
    yield from model.graphs()
    for function in model.functions.values():
        yield from function.subgraphs()


def _values(graph: ir.Graph) -> Iterator[ir.Value]:
    yield from graph.inputs
    yield from graph.initializers.values()
    for node in graph:
        yield from node.outputs


def _names_in_training(info: onnx.TrainingInfoProto) -> Iterator[str]:
    for binding in (*info.initialization_binding, *info.update_binding):
        yield binding.key
        yield binding.value
    for graph in (info.initialization, info.algorithm):
        for node in graph.node:
            yield from node.input
