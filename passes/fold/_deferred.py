"""Constants too large to compute while optimising: computed when the model is written.

Each holds the tensors it is computed from, never their data, so that memory stays bounded by the few
largest tensors at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from onnxopt.io.tensors import file_region
from onnxopt.pipeline.base import Evaluate

from ._runtime import Unevaluable, execute, node_model
from ._steps import Step, step_for

Array = np.ndarray[Any, Any]

_RUNTIME_TYPES = frozenset(
    {ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.INT32, ir.DataType.INT64}
)
_RUNTIME_OPS = frozenset(
    {
        "Abs", "Add", "Cast", "Concat", "Div", "Exp", "Expand", "Gather", "Gemm", "MatMul", "Mul",
        "Neg", "Pad", "Pow", "Reciprocal", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum",
        "Sigmoid", "Slice", "Split", "Sqrt", "Sub", "Tanh", "Tile", "Transpose", "Where",
    }
)  # fmt: skip


class DeferredTensor(ir.LazyTensor):
    """A lazy tensor that knows what it is computed from.

    Args:
        compute: Computes it.
        dtype: Its element type.
        dims: Its dims.
        recipe: A key; equal keys mean equal content.
    """

    def __init__(
        self,
        compute: Callable[[], Array],
        dtype: ir.DataType,
        dims: tuple[int, ...],
        recipe: Hashable,
    ) -> None:
        def evaluate() -> ir.TensorProtocol:
            array = np.ascontiguousarray(compute())
            return ir.Tensor(array.reshape(dims), dtype=dtype)

        super().__init__(evaluate, dtype, ir.Shape(dims))
        self.recipe = recipe


def later(
    node: ir.Node,
    output: int,
    dtypes: Sequence[ir.DataType | None],
    result: tuple[ir.DataType, tuple[int, ...]],
    opsets: Mapping[str, int],
    run: Evaluate | None,
) -> Step | None:
    """Returns how to compute an output of a node when the model is written.

    Args:
        node: The node.
        output: Which of its outputs.
        dtypes: The element types of its inputs; None for one that is left out.
        result: The element type and dims of the output.
        opsets: The opset versions in force.
        run: The runtime, for what numpy does not do exactly.

    Returns:
        The step; None where there is no safe way to compute it later.
    """
    step = step_for(node, dtypes, result[1], opsets.get("", opsets.get("ai.onnx", 0)))
    if step is not None:
        return step
    return _runtime_step(node, output, [*dtypes, result[0]], opsets, run)


def deferred(
    node: ir.Node,
    output: int,
    step: Step,
    inputs: Sequence[ir.TensorProtocol | None],
    result: tuple[ir.DataType, tuple[int, ...]],
) -> DeferredTensor:
    """Makes the constant that a step computes from constants, without computing it."""
    attributes = tuple(sorted((a.name, repr(a.value)) for a in node.attributes.values()))
    recipe = (node.op_type, output, attributes, result, tuple(_source(t) for t in inputs))
    return DeferredTensor(_bind(step, inputs), *result, recipe)


def _bind(step: Step, inputs: Sequence[ir.TensorProtocol | None]) -> Callable[[], Array]:
    return lambda: step([None if t is None else t.numpy() for t in inputs])


def _source(tensor: ir.TensorProtocol | None) -> Hashable:
    if tensor is None:
        return None
    if isinstance(tensor, DeferredTensor):
        return tensor.recipe
    # The tensor itself compares by identity and, being in the key, stays alive.
    return _Same(tensor) if file_region(tensor) is None else file_region(tensor)


class _Same:
    """Compares by the identity of a tensor."""

    def __init__(self, tensor: ir.TensorProtocol) -> None:
        self._tensor = tensor

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other._tensor is self._tensor

    def __hash__(self) -> int:
        return id(self._tensor)


def _runtime_step(
    node: ir.Node,
    output: int,
    dtypes: Sequence[ir.DataType | None],
    opsets: Mapping[str, int],
    run: Evaluate | None,
) -> Step | None:
    if run is None or node.domain != "" or node.op_type not in _RUNTIME_OPS:
        return None
    if not all(dtype is None or dtype in _RUNTIME_TYPES for dtype in dtypes):
        return None
    model = node_model(node, opsets, dtypes[:-1], output)

    def compute(inputs: Sequence[Array | None]) -> Array:
        feeds = {f"i{i}": a for i, a in enumerate(inputs) if a is not None}
        try:
            return execute(run, model, feeds)[0]
        except Unevaluable:
            # Too late to leave the node as it was: the slow evaluator of the onnx package must do.
            from onnx.reference import ReferenceEvaluator

            results: Any = ReferenceEvaluator(model).run(None, dict(feeds))
            return np.asarray(results[0])

    return compute
