"""Nodes that compute constants from constants, computed once, here.

All of a round's results are asked of the runtime in one session. Only values that something outside
needs become constants, and only while the model does not grow beyond a small allowance. Large results
are computed when the model is written. What the runtime cannot compute stays as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import onnx_ir as ir

from onnxopt.pipeline.base import Context, Pass
from onnxopt.rewrite.editor import Rewrite, where

from ._exactly import evaluate_exactly
from ._large import LargeResults, nbytes
from ._plan import Plan
from ._region import UNFOLDABLE, Region
from ._runtime import Unevaluable, evaluate
from ._steps import step_for

Array = np.ndarray[Any, Any]

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
        folded = _fold(context, context.model.graph, context.model.opset_imports)
        for function in context.model.functions.values():
            folded += _fold(context, function.graph, function.opset_imports)
        return folded


def _fold(context: Context, graph: ir.Graph, opsets: Mapping[str, int]) -> int:
    folded = 0
    for _ in range(_ROUNDS):
        region = Region(context.model, context.facts, graph)
        attempt = _Round(context, region, opsets)
        made = attempt.run()
        folded += made
        if not made and not attempt.failed:
            break
    return folded


class _Round:
    """One round: choose the frontier, compute it, replace it."""

    def __init__(self, context: Context, region: Region, opsets: Mapping[str, int]) -> None:
        self._context = context
        self._facts = context.facts
        self._region = region
        self._opsets = opsets
        self._tensors: dict[ir.Value, ir.TensorProtocol] = {}
        self.failed = 0

    def run(self) -> int:
        """Returns how many nodes became constants."""
        context, region = self._context, self._region
        large = LargeResults(region, self._opsets, context.evaluate, self._decline_large)
        self._tensors.update(large.defer(self._compute_values))
        plan = Plan(region, context.editor.budget, self._nbytes, self._decline_growth)
        frontier = plan.frontier()
        self._compute([n for n in frontier if not any(v in self._tensors for v in n.outputs)])
        return sum(self._commit(node) for node in frontier if node in region.nodes)

    def _nbytes(self, value: ir.Value) -> int | None:
        return nbytes(self._facts, value)

    # Computing

    def _compute_values(self, values: Sequence[ir.Value]) -> dict[ir.Value, ir.TensorProtocol]:
        """Computes small values that deferred ones need."""
        producers = [v.producer() for v in values]
        self._compute(list(dict.fromkeys(n for n in producers if n is not None)), set(values))
        found = {v: self._tensors.pop(v) for v in values if v in self._tensors}
        self._tensors.clear()
        return found

    def _compute(self, nodes: list[ir.Node], extra: Collection[ir.Value] = ()) -> None:
        """Computes what is wanted of nodes, in as few sessions as memory allows."""
        batch: list[ir.Node] = []
        held = 0
        for node in nodes:
            batch.append(node)
            held += sum(self._nbytes(v) or 0 for v in (*node.inputs, *node.outputs) if v)
            if held > _SESSION_BYTES:
                self._batch(batch, extra)
                batch, held = [], 0
        self._batch(batch, extra)

    def _batch(self, nodes: list[ir.Node], extra: Collection[ir.Value]) -> None:
        """Computes nodes in one session; where that fails, in halves, down to the guilty ones."""
        # A failure takes what depends on it out of the region.
        nodes = [n for n in nodes if n in self._region.nodes]
        if not nodes:
            return
        values = [v for n in nodes for v in n.outputs if v in extra or self._region.is_wanted(v)]
        try:
            arrays = self._evaluate(values)
        except Unevaluable as failure:
            if len(nodes) > 1:
                middle = len(nodes) // 2
                self._batch(nodes[:middle], extra)
                self._batch(nodes[middle:], extra)
            elif not self._by_hand(nodes[0]):
                self._give_up(nodes[0], failure)
            return
        for value, array in zip(values, arrays, strict=True):
            self._tensors[value] = _stored(array, self._facts.dtype(value))

    def _evaluate(self, values: list[ir.Value]) -> list[Array]:
        arrays = evaluate_exactly(self._region, self._opsets, values)
        if arrays is not None:
            return arrays
        run = self._context.evaluate
        if run is None:
            self._context.stats.note(
                "some constants are not folded: no runtime is installed; `pip install onnxopt[cpu]`"
            )
            raise Unevaluable("no runtime is installed")
        return evaluate(run, self._region, self._opsets, values)

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
        try:
            array = step([None if t is None else t.numpy() for t in inputs])
        except (ValueError, TypeError, IndexError):
            # The node is invalid as it stands, and fails when the model runs.
            return False
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
        origin = self._region.cone(node)
        rewrite = Rewrite(
            FoldConstants.name, node, replaced, origin,
            tuple(build.nodes), tuple(build.constants), settled=True,
        )  # fmt: skip
        if self._context.editor.commit(rewrite) is None:
            build.discard()
            return 0
        return 1

    def _decline_large(self, node: ir.Node) -> None:
        self._decline(node, "too large to compute ahead of time")

    def _decline_growth(self, node: ir.Node) -> None:
        self._decline(node, "the model would grow")

    def _decline(self, node: ir.Node, reason: str) -> None:
        self._context.stats.decline(FoldConstants.name, where(node), reason)


def _stored(array: Array, dtype: ir.DataType | None) -> ir.TensorProtocol:
    """Returns a tensor that owns its data."""
    if array.dtype.kind in "OUS":
        items = [str(i).encode() if not isinstance(i, bytes) else i for i in array.reshape(-1)]
        return ir.StringTensor(items, shape=ir.Shape(array.shape))
    return ir.Tensor(np.array(array, order="C"), dtype=dtype)
