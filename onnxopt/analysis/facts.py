"""Facts about the values of a model: element types, symbolic shapes, small integer contents, constants.

They are worked out in one walk in topological order and kept beside the model: nothing is written into it, so that what the
user's file says about its values survives as it was. Inference is trusted over stored value types, which may be stale;
those count only for graph inputs and for outputs of operators nobody can infer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import onnx_ir as ir

from onnxopt.analysis import ops as _ops  # noqa: F401  (registers the inference functions)
from onnxopt.analysis.constants import cells_of, constant_of, content_of
from onnxopt.analysis.context import (
    MAX_CONTENT,
    REGISTRY,
    TRACKED,
    Content,
    Context,
    Fact,
    Shape,
    Unknown,
    unknown_elements,
    unknown_shape,
)
from onnxopt.analysis.declared import declare_dtype, declared_dim, graphs_of, refine
from onnxopt.analysis.dims import Dim, DimExpr, is_nonnegative, is_unknown, render
from onnxopt.analysis.fallback import infer_by_schema
from onnxopt.analysis.naming import dtype_name

_NOTHING = Fact()
_SMALL_BYTES = 4096
_STANDARD_DOMAINS = frozenset({"", "ai.onnx.ml", "ai.onnx.preview", "ai.onnx.preview.training"})


class Facts:
    """What is known of each value of a model.

    Facts hold for every input the model accepts, with two provisos that :mod:`onnxopt.analysis.dims`
    spells out: a name of a dimension in the graph's inputs means one number wherever it stands, and a symbolic target of a
    ``Reshape`` is not zero.

    Args:
        model: The model; its main graph, subgraphs and functions are walked once.
    """

    def __init__(self, model: ir.Model) -> None:
        self.model = model
        self._facts: dict[ir.Value, Fact] = {}
        self._arrays: dict[ir.Value, tuple[ir.TensorProtocol, np.ndarray]] = {}
        self._imports: dict[ir.Graph, Mapping[str, int]] = {}
        self._counts: set[DimExpr] = set()
        self._depth = 0
        self._model_imports: Mapping[str, int] = model.opset_imports
        self._scope: Mapping[str, int] = self._model_imports
        self.walk(model.graph)
        for function in model.functions.values():
            self._walk_function(function)

    # Queries

    def dtype(self, value: ir.Value | None) -> ir.DataType | None:
        """The element type of a tensor; None when unknown or no tensor."""
        return self.fact(value).dtype

    def shape(self, value: ir.Value | None) -> Shape | None:
        """The dimensions of a tensor, unknown ones as unknowns; None when not even the rank is known."""
        return self.fact(value).shape

    def rank(self, value: ir.Value | None) -> int | None:
        """The number of dimensions; None when unknown."""
        shape = self.fact(value).shape
        return None if shape is None else len(shape)

    def static_shape(self, value: ir.Value | None) -> tuple[int, ...] | None:
        """The dimensions when every one is a known number, else None."""
        shape = self.fact(value).shape
        if shape is None:
            return None
        numbers = tuple(dim for dim in shape if isinstance(dim, int))
        return numbers if len(numbers) == len(shape) else None

    def content(self, value: ir.Value | None) -> Content | None:
        """The elements of a small integer or boolean tensor.

        Returns:
            A dimension for a scalar, a tuple of them for a tensor of rank 1 with up to 64 elements; booleans as 0 and 1.
            Elements may be unknowns. None for everything else.
        """
        fact = self.fact(value)
        if fact.content is None and not fact.settled and value is not None:
            fact.settled = True
            tensor = constant_of(value)
            if tensor is not None:
                fact.content = content_of(tensor)
                fact.cells = None if fact.content is not None else cells_of(tensor)
        return fact.content

    def elements(self, value: ir.Value | None) -> Content | None:
        """Like :meth:`content`, but elements of a small tensor nothing is known of come as unknowns."""
        content = self.content(value)
        if content is not None or value is None:
            return content
        fact = self.fact(value)
        if fact.dtype not in TRACKED or fact.shape is None:
            return None
        if fact.shape == ():
            fact.content = unknown_elements(1)[0]
        elif len(fact.shape) == 1 and isinstance(count := fact.shape[0], int):
            fact.content = unknown_elements(count) if count <= MAX_CONTENT else None
        return fact.content

    def const_tensor(self, value: ir.Value | None) -> ir.TensorProtocol | None:
        """The tensor a constant holds, its data unread.

        Returns:
            None unless ``value`` is the output of a ``Constant`` node, or an initializer that is not listed as an input of
            its graph (which could be overridden).
        """
        return None if value is None else constant_of(value)

    def const(self, value: ir.Value | None, max_bytes: int | None = None) -> np.ndarray | None:
        """The array a constant holds.

        Args:
            value: The value.
            max_bytes: Give None for constants larger than this, in bytes.
        """
        tensor = self.const_tensor(value)
        if tensor is None or value is None or (max_bytes is not None and tensor.nbytes > max_bytes):
            return None
        if tensor.nbytes > _SMALL_BYTES:
            return tensor.numpy()
        cached = self._arrays.get(value)
        if cached is None or cached[0] is not tensor:
            cached = self._arrays[value] = (tensor, tensor.numpy())
        return cached[1]

    def opset(self, where: ir.Node | ir.Graph, domain: str = "") -> int | None:
        """The opset version in force at a node or graph; None when its domain is not imported."""
        imports = self._imports_at(where)
        version = imports.get(domain)
        return imports.get("ai.onnx") if version is None and domain == "" else version

    def describe(self, value: ir.Value | None) -> str:
        """A value's type for messages, such as ``float32[b,3,224,224]``; ``?`` for what is unknown."""
        fact = self.fact(value)
        if fact.container is not None:
            return str(fact.container)
        dtype = dtype_name(fact.dtype)
        if fact.shape is None:
            return f"{dtype}[*]"
        return f"{dtype}[{','.join('?' if is_unknown(dim) else render(dim) for dim in fact.shape)}]"

    def fact(self, value: ir.Value | None) -> Fact:
        """All that is known of a value."""
        if value is None:
            return _NOTHING
        found = self._facts.get(value)
        if found is None:
            if value.producer() is not None:
                return _NOTHING
            found = self._facts[value] = self._leaf(value)
        return found

    def is_count(self, dim: Dim) -> bool:
        """Whether an integer is >= 0 in every run that succeeds: by what it is, or as the size of a tensor."""
        return is_nonnegative(dim) or dim in self._counts

    def add_counts(self, dims: Iterable[Dim]) -> None:
        """Notes sizes of a tensor. Those inside of bodies are not noted, since a body may not run."""
        if self._depth == 1:
            self._counts.update(
                dim for dim in dims if isinstance(dim, DimExpr) and not is_nonnegative(dim)
            )

    # Updates

    def infer(self, node: ir.Node) -> None:
        """Works out the facts of a node's outputs from those of its inputs; also for a node outside of any graph."""
        outer = self._scope, self._depth
        # Where the node will lie is not known, so that none of its sizes are noted.
        self._scope, self._depth = self._imports_at(node), 2
        try:
            self._infer(node, self._scope)
        finally:
            self._scope, self._depth = outer

    def copy_facts(self, old: ir.Value, new: ir.Value) -> None:
        """Takes over the facts of ``old`` for a value that stands for it.

        What both know differently is spelt as for ``old``, since facts of other values refer to that.
        """
        source, target = self.fact(old), self.fact(new)
        if target is _NOTHING:
            target = Fact()
        self._facts[new] = merged = Fact(
            source.dtype if target.dtype is None else target.dtype,
            refine(source.shape, target.shape),
            self.content(old) if target.content is None else target.content,
        )
        merged.container = target.container or source.container
        merged.cells = target.cells or source.cells

    def set_fact(self, value: ir.Value, fact: Fact) -> None:
        """Records what is known of a value, in place of what was."""
        self._facts[value] = fact

    def apply(self, model: ir.Model | None = None) -> int:
        """Writes what was inferred into the values that have no type or shape.

        Args:
            model: The model whose values to fill in; the analysed one when left out.

        Returns:
            The number of values that gained a type or a shape.
        """
        changed = 0
        for node in ir.traversal.RecursiveGraphIterator((model or self.model).graph):
            changed += sum(self._write(value) for value in node.outputs)
        return changed

    # Walking

    def walk(self, graph: ir.Graph | ir.Function) -> None:
        """Infers all nodes of a graph in order, in the opset scope of the graph around it."""
        scope = self._scope
        if isinstance(graph, ir.Graph):
            self._imports[graph] = scope
        self._depth += 1
        try:
            for node in graph:
                self._infer(node, scope)
        finally:
            self._depth -= 1

    def _walk_function(self, function: ir.Function) -> None:
        self._imports[function.graph] = self._scope = function.opset_imports
        for value in function.inputs:
            self._facts[value] = Fact()
        self.walk(function)
        self._scope = self._model_imports

    def _infer(self, node: ir.Node, imports: Mapping[str, int]) -> None:
        domain = node.domain
        version = imports.get(domain)
        if version is None:
            version = imports.get("ai.onnx", 0) if domain == "" else 1
        context = Context(self, node, version)
        known = self._run(context)
        facts = self._facts
        for value, fact in zip(node.outputs, context.outs, strict=True):
            if not known:
                self._declare(value, fact)
            elif fact.dtype is None and fact.container is None:
                declare_dtype(value, fact)
            if fact.shape is not None:
                for dim in fact.shape:
                    if dim.__class__ is int and dim < 0:
                        # Such a node fails when it runs; what follows must not build on it.
                        fact.shape = unknown_shape(len(fact.shape))
                        break
            facts[value] = fact

    def _run(self, context: Context) -> bool:
        """Runs the inference of a node; False when it has none."""
        node = context.node
        if self.model.functions and node.op_identifier() in self.model.functions:
            return False
        function = REGISTRY.get((node.domain, node.op_type))
        try:
            if function is not None:
                function(context)
                return True
            return node.domain in _STANDARD_DOMAINS and infer_by_schema(context)
        except Unknown:
            return True
        except Exception:
            # Malformed nodes end up here, and inference must not be what stops on them.
            return function is not None

    def _leaf(self, value: ir.Value) -> Fact:
        """The facts of a value that no node produces."""
        tensor = value.const_value
        if tensor is not None:
            return Fact(tensor.dtype, tuple(tensor.shape.numpy()))
        fact = Fact()
        self._declare(value, fact)
        return fact

    def _declare(self, value: ir.Value, fact: Fact) -> None:
        """Takes over what the file says about a value."""
        declare_dtype(value, fact)
        # What files say of the shapes of their outputs is too often a guess.
        guessed = value.is_graph_output() and value.producer() is not None
        if fact.container is None and value.shape is not None and not guessed:
            named = self._scope is self._model_imports
            fact.shape = tuple(declared_dim(dim, named) for dim in value.shape)

    def _imports_at(self, where: ir.Node | ir.Graph) -> Mapping[str, int]:
        if isinstance(where, ir.Graph):
            return self._imports.get(where, self._model_imports)
        graph = where.graph
        if graph is None:
            graph = next(iter(graphs_of(where.inputs)), None)
        return self._model_imports if graph is None else self._imports.get(graph, self._scope)

    def _write(self, value: ir.Value) -> bool:
        fact = self.fact(value)
        changed = False
        if value.type is None and fact.dtype is not None:
            value.type = ir.TensorType(fact.dtype)
            changed = True
        if value.shape is None and fact.shape is not None:
            value.shape = ir.Shape(
                [
                    None if is_unknown(dim) else dim if isinstance(dim, int) else render(dim)
                    for dim in fact.shape
                ]
            )
            changed = True
        return changed
