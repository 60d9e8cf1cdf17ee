"""Nodes that compute constants from constants, computed once, here.

All of a round's results are asked of the runtime in one session. Only values that something outside
needs become constants, and only while the model does not grow beyond a small allowance. Large results
are computed when the model is written. What the runtime cannot compute stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import onnx_ir as ir

from onnxopt.pipeline.base import Context, Pass
from onnxopt.rewrite.editor import Rewrite, where
from onnxopt.rewrite.uses import use_count

from ._deferred import DeferredTensor, defer
from ._region import UNFOLDABLE, Region
from ._runtime import Unevaluable, evaluate
from ._steps import step_for

Array = np.ndarray[Any, Any]

_LARGE = 1 << 20
_SMALL = 1 << 10
_SESSION_BYTES = 32 << 20
_ROUNDS = 16


@dataclass(frozen=True)
class FoldConstants(Pass):
    """Replaces nodes whose inputs are all constants by what they compute.

    Example: Add(2.0, Mul(3.0, 4.0)) -> 14.0
    """

    name: ClassVar[str] = "fold-constants"
    summary: ClassVar[str] = "Compute once what only depends on constants."

    def run(self, context: Context) -> int:
        """Folds the main graph with its subgraphs, then each function's body."""
        if context.evaluate is None:
            context.stats.note(
                "constants are not folded: no runtime is installed; `pip install onnxopt[cpu]`"
            )
            return 0
        folded = _fold(context, context.model.graph, context.model.opset_imports)
        for function in context.model.functions.values():
            folded += _fold(context, function.graph, function.opset_imports)
        return folded


def _fold(context: Context, graph: ir.Graph, opsets: Mapping[str, int]) -> int:
    folded = 0
    skip: set[ir.Node] = set()
    for _ in range(_ROUNDS):
        region = Region(context.model, context.facts, graph)
        attempt = _Round(context, region, opsets, skip)
        made = attempt.run()
        folded += made
        if not made and not attempt.failed:
            break
    return folded


class _Round:
    """One round: choose the frontier, compute it, replace it."""

    def __init__(
        self, context: Context, region: Region, opsets: Mapping[str, int], skip: set[ir.Node]
    ) -> None:
        self._context = context
        self._facts = context.facts
        self._region = region
        self._opsets = opsets
        self._skip = skip
        self._tensors: dict[ir.Value, ir.TensorProtocol] = {}
        self.failed = 0

    def run(self) -> int:
        """Returns how many nodes became constants."""
        self._defer_large()
        frontier = self._frontier()
        self._compute([n for n in frontier if not self._is_deferred(n)])
        return sum(self._commit(node) for node in frontier if node in self._region.nodes)

    # What to fold

    def _nbytes(self, value: ir.Value) -> int | None:
        """The bytes of a value, without computing it; None where its dims are unknown."""
        tensor = self._tensor(value)
        if tensor is not None:
            return int(tensor.nbytes)
        dtype, dims = self._facts.dtype(value), self._facts.static_shape(value)
        if dtype is None or dims is None or dtype == ir.DataType.STRING:
            return None
        return (dtype.bitwidth * int(np.prod(dims, dtype=object)) + 7) // 8

    def _defer_large(self) -> None:
        """Makes large results lazy, and takes out of the region what cannot be computed later."""
        for node in list(self._region.nodes):
            if node in self._skip or not self._readable(node):
                self._region.drop(node)
                continue
            sizes = [self._nbytes(v) or 0 for v in (*node.inputs, *node.outputs) if v is not None]
            lazy = any(v in self._tensors for v in node.inputs if v is not None)
            if not lazy and max(sizes, default=0) <= _LARGE:
                continue
            if any(v is not None and self._tensor(v) is None for v in node.inputs):
                # Its small inputs become constants first; it follows in the next round.
                self._region.drop(node)
            elif not self._defer(node):
                self._decline(node, "too large to compute ahead of time")
                self._region.drop(node)

    def _readable(self, node: ir.Node) -> bool:
        return all(v is None or self._region.is_constant(v) for v in node.inputs)

    def _defer(self, node: ir.Node) -> bool:
        inputs = [None if v is None else self._tensor(v) for v in node.inputs]
        for index, value in enumerate(node.outputs):
            if not (use_count(value) or value.is_graph_output()):
                continue
            dtype, dims = self._facts.dtype(value), self._facts.static_shape(value)
            if dtype is None or dims is None:
                return False
            run = self._context.evaluate
            tensor = defer(node, index, inputs, (dtype, dims), self._opsets, run)
            if tensor is None:
                return False
            self._tensors[value] = tensor
        return True

    def _tensor(self, value: ir.Value) -> ir.TensorProtocol | None:
        return self._facts.const_tensor(value) or self._tensors.get(value)

    def _frontier(self) -> list[ir.Node]:
        """Nodes with results that are needed outside and fit the budget, in order."""
        chosen = []
        for node in reversed(list(self._region.nodes)):
            wanted = self._region.wanted(node)
            if not wanted:
                continue
            if any(self._region.is_sequence(v) for v in wanted):
                self._region.drop(node)
            elif not self._affordable(node, wanted):
                self._decline(node, "the model would grow")
                self._region.drop(node)
            else:
                chosen.append(node)
        return chosen[::-1]

    def _affordable(self, node: ir.Node, wanted: Sequence[ir.Value]) -> bool:
        sizes = [self._nbytes(v) for v in wanted]
        added = sum(size for size in sizes if size is not None)
        if added <= _SMALL:
            return True
        budget = self._context.editor.budget
        return budget.allows(added + budget.growth([], [], self._region.cone(node)))

    # Computing

    def _is_deferred(self, node: ir.Node) -> bool:
        return any(v in self._tensors for v in node.outputs)

    def _compute(self, nodes: list[ir.Node]) -> None:
        """Computes what is wanted of nodes, in as few sessions as memory allows."""
        batch: list[ir.Node] = []
        held = 0
        for node in nodes:
            batch.append(node)
            held += sum(self._nbytes(v) or 0 for v in (*node.inputs, *node.outputs) if v)
            if held > _SESSION_BYTES:
                self._batch(batch)
                batch, held = [], 0
        self._batch(batch)

    def _batch(self, nodes: list[ir.Node]) -> None:
        """Computes nodes in one session; where that fails, in halves, down to the guilty ones."""
        run = self._context.evaluate
        if not nodes or run is None:
            return
        values = [v for n in nodes for v in self._region.wanted(n)]
        try:
            arrays = evaluate(run, self._region, self._opsets, values)
        except Unevaluable as failure:
            if len(nodes) > 1:
                middle = len(nodes) // 2
                self._batch(nodes[:middle])
                self._batch(nodes[middle:])
            elif not self._by_hand(nodes[0]):
                self._give_up(nodes[0], failure)
            return
        for value, array in zip(values, arrays, strict=True):
            self._tensors[value] = _stored(array, self._facts.dtype(value))

    def _by_hand(self, node: ir.Node) -> bool:
        """Computes a node in numpy, for element types that the runtime lacks."""
        value = node.outputs[0]
        dtype, dims = self._facts.dtype(value), self._facts.static_shape(value)
        inputs = [None if v is None else self._facts.const_tensor(v) for v in node.inputs]
        if dtype is None or dims is None:
            return False
        if any(t is None for t, v in zip(inputs, node.inputs, strict=True) if v is not None):
            return False
        version = self._facts.opset(node) or 0
        step = step_for(node, [None if t is None else t.dtype for t in inputs], dims, version)
        if step is None:
            return False
        array = step([None if t is None else t.numpy() for t in inputs])
        self._tensors[value] = _stored(array, dtype)
        return True

    def _give_up(self, node: ir.Node, failure: Unevaluable) -> None:
        node.meta[UNFOLDABLE] = str(failure)
        self.failed += 1
        self._decline(node, f"the runtime cannot compute it: {failure}")
        self._region.drop(node)

    # Replacing

    def _commit(self, node: ir.Node) -> int:
        build = self._context.editor.builder(node)
        replaced = []
        for value in self._region.wanted(node):
            tensor = self._tensors.get(value)
            if tensor is None:
                return 0
            replaced.append((value, build.tensor("folded", tensor)))
        origin = [node, *self._region.cone(node)]
        rewrite = Rewrite(
            FoldConstants.name, node, replaced, list(dict.fromkeys(origin)),
            tuple(build.nodes), tuple(build.constants),
        )  # fmt: skip
        if self._context.editor.commit(rewrite) is None:
            build.discard()
            self._skip.add(node)
            return 0
        return 1

    def _decline(self, node: ir.Node, reason: str) -> None:
        self._context.stats.decline(FoldConstants.name, where(node), reason)


def _stored(array: Array, dtype: ir.DataType | None) -> ir.TensorProtocol:
    """Returns a tensor that owns its data."""
    if array.dtype.kind in "OUS":
        items = [str(i).encode() if not isinstance(i, bytes) else i for i in array.reshape(-1)]
        return ir.StringTensor(items, shape=ir.Shape(array.shape))
    return ir.Tensor(np.array(array, order="C"), dtype=dtype)


__all__ = ["DeferredTensor", "FoldConstants"]
