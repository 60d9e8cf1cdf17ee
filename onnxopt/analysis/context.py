"""What an inference function sees of a node and where it leaves what it found out.

An inference function takes a :class:`Context`, reads the facts of the inputs and writes those of the outputs one
after the other. Where it cannot go on it raises :class:`Unknown`; what it wrote until then stands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import onnx_ir as ir

from onnxopt.analysis.dims import Dim, fresh, fresh_value, product

if TYPE_CHECKING:
    from onnxopt.analysis.facts import Facts

Shape: TypeAlias = tuple[Dim, ...]
Content: TypeAlias = Dim | tuple[Dim, ...]

MAX_CONTENT = 64
"""Integer tensors of up to this many elements have their content tracked."""

INTEGERS = frozenset(
    {
        ir.DataType.INT8,
        ir.DataType.INT16,
        ir.DataType.INT32,
        ir.DataType.INT64,
        ir.DataType.UINT8,
        ir.DataType.UINT16,
        ir.DataType.UINT32,
        ir.DataType.UINT64,
    }
)
TRACKED = INTEGERS | {ir.DataType.BOOL}


class Unknown(Exception):
    """Inference cannot tell more about this node. Never leaves the analysis."""


class Fact:
    """What is known of one value.

    Attributes:
        dtype: Element type; None when unknown or no tensor.
        shape: Dimensions; None when not even the rank is known.
        content: Elements of a small integer or boolean tensor (0 and 1) of rank 0 or 1.
        cells: Elements of a small integer or boolean tensor of higher rank, the last dimension varying fastest.
        container: The type of a value that is no tensor: a sequence, an optional, a sparse tensor.
        settled: Whether ``content`` has been looked for in a constant.
    """

    __slots__ = ("cells", "container", "content", "dtype", "settled", "shape")

    def __init__(
        self,
        dtype: ir.DataType | None = None,
        shape: Shape | None = None,
        content: Content | None = None,
    ) -> None:
        self.dtype = dtype
        self.shape = shape
        self.content = content
        self.cells: tuple[Dim, ...] | None = None
        self.container: ir.TypeProtocol | None = None
        self.settled = False


class Context:
    """One node under inference.

    Attributes:
        facts: The facts of the whole model.
        node: The node.
        version: The opset version in force for the node's domain.
        outs: The facts of the outputs, to be filled in.
        out: The first of them.
    """

    __slots__ = ("facts", "inputs", "node", "out", "outs", "version")

    def __init__(self, facts: Facts, node: ir.Node, version: int) -> None:
        self.facts = facts
        self.node = node
        self.version = version
        self.inputs: Sequence[ir.Value | None] = node.inputs
        self.out = Fact()
        self.outs = [self.out]
        count = len(node.outputs)
        if count != 1:
            self.outs = [self.out, *(Fact() for _ in range(count - 1))] if count else []

    # Inputs

    def value(self, index: int) -> ir.Value | None:
        """The input at ``index``; None where it is left out."""
        return self.inputs[index] if index < len(self.inputs) else None

    def has(self, index: int) -> bool:
        """Whether the input at ``index`` is given."""
        return index < len(self.inputs) and self.inputs[index] is not None

    def fact(self, index: int) -> Fact:
        """All that is known of an input."""
        inputs = self.inputs
        return self.facts.fact(inputs[index] if index < len(inputs) else None)

    def dtype(self, index: int) -> ir.DataType | None:
        """The element type of an input."""
        return self.fact(index).dtype

    def shape(self, index: int) -> Shape | None:
        """The shape of an input; None when its rank is unknown."""
        return self.fact(index).shape

    def known_shape(self, index: int) -> Shape:
        """The shape of an input.

        Raises:
            Unknown: Its rank is not known.
        """
        shape = self.fact(index).shape
        if shape is None:
            raise Unknown
        return shape

    def content(self, index: int) -> Content | None:
        """The content of an input, as :meth:`Facts.content` gives it."""
        return self.facts.content(self.value(index))

    def cells(self, index: int) -> tuple[Dim, ...] | None:
        """The elements of a small integer input of any rank, the last dimension varying fastest; None when unknown."""
        content = self.content(index)
        if content is None:
            return self.fact(index).cells
        return content if isinstance(content, tuple) else (content,)

    def elements(self, index: int) -> tuple[Dim, ...]:
        """The elements of an integer input, as a tuple even for a scalar; unknown ones as unknowns.

        Raises:
            Unknown: Not even their number is known.
        """
        content = self.facts.elements(self.value(index))
        if content is None:
            raise Unknown
        return content if isinstance(content, tuple) else (content,)

    def list_or_input(self, name: str, index: int, since: int) -> tuple[int, ...] | None:
        """A list that is an attribute before an opset version and an input from it on.

        Returns:
            None where it is left out.

        Raises:
            Unknown: Its elements are not all known.
        """
        if self.version < since:
            return self.integers(name)
        return self.known_ints(index) if self.has(index) else None

    def known_ints(self, index: int) -> tuple[int, ...]:
        """The elements of an integer input, all of them known numbers.

        Raises:
            Unknown: Some are not.
        """
        content = self.content(index)
        if content is None:
            raise Unknown
        items = content if isinstance(content, tuple) else (content,)
        numbers = tuple(item for item in items if isinstance(item, int))
        if len(numbers) != len(items):
            raise Unknown
        return numbers

    # Attributes

    def attribute(self, name: str) -> Any:
        """The value of an attribute; None where there is none.

        Raises:
            Unknown: It refers to an attribute of the function around the node.
        """
        attr = self.node.attributes.data.get(name)
        if attr is None:
            return None
        if attr.is_ref():
            raise Unknown
        return attr.value

    def integer(self, name: str, default: int) -> int:
        """The value of an integer attribute."""
        value = self.attribute(name)
        return default if value is None else int(value)

    def integers(self, name: str) -> tuple[int, ...] | None:
        """The value of a list attribute; None where there is none."""
        value = self.attribute(name)
        return None if value is None else tuple(int(item) for item in value)

    def string(self, name: str, default: str) -> str:
        """The value of a string attribute."""
        value = self.attribute(name)
        if value is None:
            return default
        return value.decode() if isinstance(value, bytes) else str(value)

    # Outputs

    def output(
        self,
        index: int,
        dtype: ir.DataType | None,
        shape: Shape | None = None,
    ) -> None:
        """Writes what is known of an output, where the node has it."""
        if index < len(self.outs):
            self.outs[index].dtype = dtype
            self.outs[index].shape = shape

    def set_cells(self, cells: tuple[Dim, ...] | None) -> None:
        """Writes the elements of the first output, whose shape is set already, where their number is right."""
        shape = self.out.shape
        if cells is None or shape is None:
            return
        if shape == ():
            self.out.content = cells[0] if len(cells) == 1 else None
        elif len(shape) == 1:
            self.out.content = cells if shape[0] == len(cells) else None
        elif product(shape) == len(cells):
            self.out.cells = cells


InferFunction: TypeAlias = Callable[[Context], None]

REGISTRY: dict[tuple[str, str], InferFunction] = {}
"""Inference functions by domain and op type."""


def infers(*op_types: str, domain: str = "") -> Callable[[InferFunction], InferFunction]:
    """Registers a function as the inference of some op types."""

    def register(function: InferFunction) -> InferFunction:
        for op_type in op_types:
            REGISTRY[domain, op_type] = function
        return function

    return register


def unknown_shape(rank: int) -> Shape:
    """A shape of known rank and unknown dimensions."""
    return tuple(fresh() for _ in range(rank))


def unknown_elements(count: int) -> tuple[Dim, ...]:
    """Elements of unknown value."""
    return tuple(fresh_value() for _ in range(count))


def normalize_axis(axis: int, rank: int) -> int:
    """An axis counted from the front.

    Raises:
        Unknown: It lies outside of the rank.
    """
    if not -rank <= axis < rank:
        raise Unknown
    return axis + rank if axis < 0 else axis
