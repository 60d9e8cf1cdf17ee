"""The large results of a region: how each is computed later, when the model is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx_ir as ir

from onnxopt.analysis.facts import Facts
from onnxopt.pipeline.base import Evaluate
from onnxopt.rewrite.uses import use_count

from ._deferred import deferred, later
from ._region import Region
from ._steps import MOVES_NOTHING, Step

_EAGER = 1 << 20
_DEFERRED = 1 << 16

Compute = Callable[[Sequence[ir.Value]], dict[ir.Value, ir.TensorProtocol]]


def nbytes(facts: Facts, value: ir.Value) -> int | None:
    """Returns the size of a value in bytes, without computing it; None where it is unknown."""
    tensor = facts.const_tensor(value)
    if tensor is not None:
        return int(tensor.nbytes)
    dtype, dims = facts.dtype(value), facts.static_shape(value)
    if dtype is None or dims is None or dtype == ir.DataType.STRING:
        return None
    return (dtype.bitwidth * int(np.prod(dims, dtype=object)) + 7) // 8


class LargeResults:
    """Finds the nodes of a region whose inputs or outputs are large, and defers what they compute.

    Up to 64 KiB is computed at once. Up to 1 MiB is, where it cannot be deferred. Nodes beyond that
    which cannot be deferred leave the region.

    Args:
        region: The region.
        opsets: The opset versions in force in it.
        run: The runtime.
        decline: Called with each node that is too large.
    """

    def __init__(
        self,
        region: Region,
        opsets: Mapping[str, int],
        run: Evaluate | None,
        decline: Callable[[ir.Node], None],
    ) -> None:
        self._region = region
        self._facts = region.facts
        self._opsets = opsets
        self._run = run
        self._decline = decline
        self._steps: dict[ir.Value, Step] = {}
        self._nodes: list[ir.Node] = []

    def defer(self, compute: Compute) -> dict[ir.Value, ir.TensorProtocol]:
        """Returns the large results as lazy tensors.

        Args:
            compute: Computes small values that large ones need.
        """
        for node in list(self._region.nodes):
            self._examine(node)
        small = [v for n in self._nodes for v in n.inputs if v is not None and self._is_small(v)]
        tensors = compute(list(dict.fromkeys(small)))
        for node in self._nodes:
            self._bind(node, tensors)
        return {v: t for v, t in tensors.items() if v in self._steps}

    def _is_small(self, value: ir.Value) -> bool:
        return value not in self._steps and self._facts.const_tensor(value) is None

    def _examine(self, node: ir.Node) -> None:
        if not all(v is None or self._region.is_constant(v) for v in node.inputs):
            self._region.drop(node)
            return
        values = [v for v in (*node.inputs, *node.outputs) if v is not None]
        size = max((nbytes(self._facts, v) or 0 for v in values), default=0)
        lazy = any(v in self._steps for v in node.inputs if v is not None)
        if not lazy and size <= _DEFERRED:
            return
        steps = self._plan(node)
        if steps is not None:
            self._steps.update(steps)
            self._nodes.append(node)
        elif lazy or size > _EAGER:
            self._decline(node)
            self._region.drop(node)

    def _plan(self, node: ir.Node) -> dict[ir.Value, Step] | None:
        dtypes = [None if v is None else self._facts.dtype(v) for v in node.inputs]
        if any(d is None for d, v in zip(dtypes, node.inputs, strict=True) if v is not None):
            return None
        if node.op_type in MOVES_NOTHING and not self._keeps_size(node):
            return None
        steps: dict[ir.Value, Step] = {}
        for index, value in enumerate(node.outputs):
            if not (use_count(value) or value.is_graph_output()):
                continue
            result = self._result(value)
            if result is None:
                return None
            step = later(node, index, dtypes, result, self._opsets, self._run)
            if step is None:
                return None
            steps[value] = step
        return steps

    def _keeps_size(self, node: ir.Node) -> bool:
        """Whether a reshape is valid; one that is not fails when the model runs, not when it is written."""
        source = node.inputs[0]
        return source is not None and nbytes(self._facts, source) == nbytes(
            self._facts, node.outputs[0]
        )

    def _result(self, value: ir.Value) -> tuple[ir.DataType, tuple[int, ...]] | None:
        dtype, dims = self._facts.dtype(value), self._facts.static_shape(value)
        return None if dtype is None or dims is None else (dtype, dims)

    def _bind(self, node: ir.Node, tensors: dict[ir.Value, ir.TensorProtocol]) -> None:
        inputs = []
        for value in node.inputs:
            tensor = None if value is None else self._facts.const_tensor(value)
            inputs.append(tensors.get(value) if tensor is None and value is not None else tensor)
            if value is not None and inputs[-1] is None:
                # What it needs could not be computed.
                self._region.drop(node)
                return
        for index, value in enumerate(node.outputs):
            result = self._result(value)
            if value in self._steps and result is not None:
                tensors[value] = deferred(node, index, self._steps[value], inputs, result)
